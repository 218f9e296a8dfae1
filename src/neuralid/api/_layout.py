"""What a mix is asked to be: a face or a picture of several, of whom, and in what shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from ..core.checks import check_range
from ..core.errors import ConfigError
from ..latents.mixing import mix_latents, normalised
from ._page import check_page
from ._people import Input, find_input


@dataclass(frozen=True)
class Layout:
    """What to draw: one face, or one of these."""

    strip: int | None = None
    matrix: int | None = None
    frames: int | None = None
    keep: Input | int | None = None

    def __post_init__(self) -> None:
        given = [name for name, value in vars(self).items() if value is not None]
        if len(given) > 1:
            both = " and ".join(f"`{name}`" for name in given)
            raise ConfigError(f"{both} exclude each other", hint="run mix once for each")
        for name in ("strip", "frames"):
            if vars(self)[name] is not None:
                check_range(name, vars(self)[name], 2, 1000)

    @property
    def is_face(self) -> bool:
        return not any(value is not None for value in vars(self).values())

    def count(self, people: int) -> int:
        """How many faces are drawn for the picture."""
        if self.matrix is not None:
            return (1 + self.matrix) * (1 + people - self.matrix)
        return self.strip or self.frames or 1

    def mixes(self, people: int) -> int:
        """How many of those are mixes; in a matrix the others are the people themselves."""
        rows = self.matrix
        return self.count(people) if rows is None else rows * (people - rows)

    def sides(self, count: int, side: int) -> tuple[int, int] | None:
        """Width and height of the picture of ``count`` people whose faces are ``side`` pixels.

        None for a kept photo, which has sides of its own.
        """
        if self.keep is not None:
            return None
        if self.matrix is not None:
            return side * (1 + count - self.matrix), side * (1 + self.matrix)
        return side * (self.strip or 1), side

    def check(self, count: int, weights: object) -> None:
        """Raise now the errors that would otherwise come after minutes of work."""
        if weights and (self.strip is not None or self.frames is not None):
            raise ConfigError(
                "`weights` has no effect with `strip` or `frames`",
                hint="leave out one or the other",
            )
        if self.matrix is not None and not 1 <= self.matrix < count:
            raise ConfigError(
                f"`matrix` {self.matrix} does not split {count} people into two groups",
                hint="the first N inputs are the rows, the rest are the columns",
            )


@dataclass(frozen=True)
class Blending:
    """What of whom: how latents are asked to become one."""

    weights: Sequence[float] | None
    blend: str | None  # None: the architecture's
    attributes: Mapping[str, float]
    style: Input | int | None = None  # whose colours and skin; None for everyone's


@dataclass(frozen=True)
class Request:
    """What follows from a request before anything is read."""

    shares: list[float]
    keep: int | None  # an index of the inputs, as is the next
    style: int | None


def check_request(
    inputs: Sequence[Input], layout: Layout, blending: Blending, scale: float, page: bool = False
) -> Request:
    """Raise `ConfigError` now for what would be an error after work."""
    count, weights = len(inputs), blending.weights
    way = next((f"`{n}`" for n in ("strip", "frames") if vars(layout)[n] is not None), None)
    if count < (1 if way is None else 2):
        least = "at least one input" if way is None else f"at least two inputs for {way}"
        raise ConfigError(f"mix needs {least}", hint="a photo, a latent file or a drawn picture")
    check_range("scale", scale, 1, 64)
    mix_latents(torch.zeros(2, 1), None, blending.blend or "mean")  # an unknown one fails at once
    layout.check(count, weights)
    if page:
        check_page(count)
    keep = find_input("keep", layout.keep, inputs)
    style = find_input("style", blending.style, inputs)
    shares: list[float] = normalised(weights, count if layout.matrix is None else 2).tolist()
    return Request(shares, keep, style)
