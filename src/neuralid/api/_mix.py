"""``mix``: make one face, or a picture of several, from photos, latents and drawn pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.checks import check_range
from ..core.errors import ConfigError
from ..faces.crop import default_face_size
from ..faces.paste import put_back
from ..latents.config import InvertConfig
from ..latents.mixing import along, loop, mix_latents, normalised
from ..pictures import images
from ..pictures.photo import Photo, name_of
from ._framing import Framing
from ._model import Model, Report
from ._people import Input, People, Person, Result, resolve, same_input
from .results import Mixed

LARGEST = 16.0  # a face put back into a photo is first enlarged at most this many times


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
        """How many faces are drawn."""
        if self.matrix is not None:
            return (1 + self.matrix) * (1 + people - self.matrix)
        return self.strip or self.frames or 1

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

    def find_kept(self, inputs: Sequence[Input]) -> int | None:
        """The index of the input to keep; None if there is none."""
        if self.keep is None:
            return None
        if isinstance(self.keep, int):
            check_range("keep", self.keep, 0, len(inputs) - 1)
            return self.keep
        for place, each in enumerate(inputs):
            if same_input(each, self.keep):
                return place
        raise ConfigError(
            f"{_name_of_input(self.keep)} is not an input", hint="`keep` names one of the photos"
        )


def check_request(
    inputs: Sequence[Input],
    layout: Layout,
    weights: Sequence[float] | None,
    blend: str,
    attributes: Mapping[str, float],
    scale: float,
) -> list[float]:
    """Raise `ConfigError` now for what would be an error after work; returns everyone's shares."""
    if len(inputs) < (1 if attributes else 2):
        raise ConfigError("mix needs at least two inputs", hint="one will do with `attributes`")
    check_range("scale", scale, 1, 64)
    mix_latents(torch.zeros(2, 1), None, blend)  # so that an unknown blend fails at once
    layout.check(len(inputs), weights)
    layout.find_kept(inputs)
    shares: list[float] = normalised(weights, len(inputs) if layout.matrix is None else 2).tolist()
    return shares


def mix(
    model: Model,
    inputs: Sequence[Input],
    layout: Layout,
    weights: Sequence[float] | None,
    blend: str,
    attributes: Mapping[str, float],
    scale: float,
    framing: Framing,
    config: InvertConfig,
    on_step: Report | None,
) -> Mixed:
    """See `Studio.mix`."""
    shares = check_request(inputs, layout, weights, blend, attributes, scale)
    keep = layout.find_kept(inputs)
    model.check_room(layout.count(len(inputs)), scale, copies=4)
    mixer = _Mixer(shares, blend, _sum_directions(model, attributes))
    who = resolve(inputs, model, framing, config, keep, on_step)
    mixed, picture, film = _draw(layout, who, mixer, scale)
    recipe = _recipe(layout, who.people, mixer, attributes)
    return Mixed(picture, mixed, shares, who.model, recipe, film, layout.is_face, who.frame)


@dataclass(frozen=True)
class _Mixer:
    """How latents become one: shares, blend, and the offset of the attributes."""

    shares: list[float]
    blend: str
    offset: Tensor  # (*L)

    def __call__(self, latents: Tensor) -> Tensor:
        return mix_latents(latents, self.shares, self.blend) + self.offset


def _draw(
    layout: Layout, who: People[Model], mixer: _Mixer, scale: float
) -> tuple[Tensor, np.ndarray, np.ndarray | None]:
    """Draw the mix: its latent, the picture, and a film's frames."""
    model, latents = who.model, torch.stack([person.latent for person in who.people])
    if layout.matrix is not None:
        mixed = mixer(latents[[0, layout.matrix]])
        return mixed, _draw_matrix(who.people, layout.matrix, mixer, model, scale), None
    if layout.strip is not None:
        way = along(latents, layout.strip, mixer.blend) + mixer.offset
        return mixer(latents), images.hstack(list(model.draw(way, scale))), None
    if layout.frames is not None:
        way = loop(latents, layout.frames, mixer.blend) + mixer.offset
        film = model.draw(way, scale)
        return way[0], film[0], film
    mixed = mixer(latents)
    face = model.draw(mixed[None])
    if who.kept is not None:
        return mixed, _put_back(*who.kept, face, model), None
    return mixed, model.enlarge(face, scale)[0], None


def _name_of_input(each: Input) -> str:
    return repr(each) if isinstance(each, Result | Tensor) else name_of(each)


def _sum_directions(model: Model, moves: Mapping[str, float]) -> Tensor:
    """The sum of the directions asked for: ``(*L)``."""
    known, total = model.weights.directions, torch.zeros(model.latent_shape)
    for name, value in moves.items():
        check_range(f"the attribute {name}", value, -100, 100)
        if name not in known:
            there = (
                f"there are {', '.join(known)}"
                if known
                else "train with a list of attributes to have some"
            )
            raise ConfigError(f"these weights have no attribute '{name}'", hint=there)
        total += value * known[name].vector
    return total


def _draw_matrix(
    people: Sequence[Person], rows: int, mixer: _Mixer, model: Model, scale: float
) -> np.ndarray:
    """Draw the columns' people on top, the rows' on the left, each pair's mix where they meet."""
    left, above = people[:rows], people[rows:]
    pairs = [torch.stack([a.latent, b.latent]) for a in left for b in above]
    mixes = model.draw(torch.stack([mixer(pair) for pair in pairs]))
    empty = np.full_like(mixes[0], 255)
    cells = [empty, *(person.face for person in above)]
    for index, person in enumerate(left):
        cells += [person.face, *mixes[index * len(above) : (index + 1) * len(above)]]
    return images.grid(model.enlarge(np.stack(cells), scale), columns=1 + len(above))


def _put_back(photo: Photo, person: Person, drawn: np.ndarray, model: Model) -> np.ndarray:
    assert person.crop is not None  # `resolve` made sure of it
    image = photo.pixels
    side = person.crop.face_size or default_face_size(image.shape[1], image.shape[0])
    large = model.enlarge(drawn, min(LARGEST, max(1.0, side / drawn.shape[1])))[0]
    return put_back(image, large, person.crop)


def _recipe(
    layout: Layout, people: Sequence[Person], mixer: _Mixer, attributes: Mapping[str, float]
) -> dict[str, Any]:
    recipe: dict[str, Any] = {
        "inputs": [Path(person.name).name for person in people],
        "shares": [round(share, 6) for share in mixer.shares],
        "blend": mixer.blend,
        "attributes": dict(attributes),
    }
    for name in ("strip", "matrix"):
        if vars(layout)[name] is not None:
            recipe[name] = vars(layout)[name]
    return recipe
