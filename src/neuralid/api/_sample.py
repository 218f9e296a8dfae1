"""``sample``: draw faces from seeds."""

from __future__ import annotations

import operator
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import SupportsIndex

import torch

from ..core.checks import check_precision, check_range
from ..core.device import pick_precision
from ..core.errors import ConfigError
from ..latents import latent
from ..models.architecture import architecture
from ..models.drawing import drawing_trial
from ._model import Model, Report, Say
from ._people import Input, latents_of
from .results import MOST_GRID, Sampled

COUNT = 16  # faces drawn by default
MOST = 10 * MOST_GRID  # megapixels of all faces together, since they are in memory at once

Seeds = SupportsIndex | Iterable[SupportsIndex] | str


def sample(
    model: Model,
    n: int | None,
    seed: int | None,
    seeds: Seeds | None,
    inputs: Sequence[Input] | None,
    trunc: float | None,
    scale: float,
    precision: str,
    on_step: Report | None,
) -> Sampled:
    """See `Studio.sample`."""
    check_precision(precision)
    check_range("trunc", 1 if trunc is None else trunc, 0, 10)
    check_range("scale", scale, 1, 64)
    if inputs is not None:
        check_latents_alone(n, seed, seeds, len(inputs))
        _check_room(model, len(inputs), scale)
        trunc = 1.0 if trunc is None else trunc
        people = latents_of(inputs, model)
        given = torch.stack([person.latent for person in people])
        latents = model.generator.truncate(given, trunc)
        chosen, names = [], [Path(person.name).name for person in people]
    else:
        chosen, names = choose_seeds(n, seed, seeds, model.say), []
        _check_room(model, len(chosen), scale)
        if trunc is None:
            trunc = architecture(model.weights.description.model.architecture).truncation
        latents = latent.draw_latents(model.generator, chosen, trunc)
    exact = choose_precision(model, precision)
    faces = model.draw(latents, scale, exact, on_step)
    return Sampled(faces, latents, chosen, trunc, model, names)


def choose_precision(model: Model, name: str) -> str:
    """The precision to draw in; says what "auto" is on this machine."""
    chosen = pick_precision(name, model.device, drawing_trial(model.generator))
    if name == "auto":
        model.say(f"precision: {chosen}")
    return chosen


def _check_room(model: Model, count: int, scale: float) -> None:
    """Raise `ConfigError` for more faces than fit."""
    side = model.size * scale
    check_range("megapixels of all the faces together", count * side * side / 1e6, 0, MOST)
    model.check_room(count, scale)


def check_latents_alone(n: int | None, seed: int | None, seeds: Seeds | None, count: int) -> None:
    """Raise `ConfigError` if latents are given with what chooses other faces, or none are."""
    for name, value in {"n": n, "seed": seed, "seeds": seeds}.items():
        if value is not None:
            raise ConfigError(
                f"`{name}` and `latents` exclude each other", hint=f"leave `{name}` out"
            )
    check_range("the number of `latents`", count, 1, 100_000)


def choose_seeds(n: int | None, seed: int | None, seeds: Seeds | None, say: Say) -> list[int]:
    """The seeds requested, or ``n`` (16) from ``seed`` on; ``say`` reports a random ``seed``.

    Raises `ConfigError`.
    """
    if seeds is not None:
        if seed is not None or n is not None:
            one = "`n`" if seed is None else "`seed`"
            raise ConfigError(f"{one} and `seeds` exclude each other", hint=f"leave {one} out")
        if isinstance(seeds, str):
            return latent.parse_seeds(seeds)
        listed = seeds if isinstance(seeds, Iterable) else [seeds]
        chosen = [operator.index(each) for each in listed]  # NumPy's numbers too
        check_range("the number of `seeds`", len(chosen), 1, 100_000)
        return chosen
    n = COUNT if n is None else n
    check_range("n", n, 1, 100_000)
    if seed is None:
        seed = secrets.randbelow(1 << 31)
        say(f"seed: {seed}")
    check_range("seed", seed, 0, (1 << 63) - 1 - n)
    return list(range(seed, seed + n))
