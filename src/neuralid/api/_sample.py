"""``sample``: draw faces from seeds."""

from __future__ import annotations

import operator
import secrets
from collections.abc import Iterable
from typing import SupportsIndex

import numpy as np

from ..core.checks import check_range
from ..core.errors import ConfigError
from ..latents import latent
from ..models.architecture import architecture
from ._model import Model, Report, Say
from .results import MOST_GRID, Sampled

COUNT = 16  # faces drawn by default
CHUNK = 64  # faces between two calls of `on_step`
MOST = 10 * MOST_GRID  # megapixels of all faces together, since they are in memory at once

Seeds = SupportsIndex | Iterable[SupportsIndex] | str


def sample(
    model: Model,
    n: int | None,
    seed: int | None,
    seeds: Seeds | None,
    trunc: float | None,
    scale: float,
    on_step: Report | None,
) -> Sampled:
    """See `Studio.sample`."""
    chosen = choose_seeds(n, seed, seeds, model.say)
    if trunc is None:
        trunc = architecture(model.weights.description.model.architecture).truncation
    check_range("trunc", trunc, 0, 10)
    check_range("scale", scale, 1, 64)
    side = model.size * scale
    check_range("megapixels of all the faces together", len(chosen) * side * side / 1e6, 0, MOST)
    model.check_room(len(chosen), scale)
    latents = latent.draw_latents(model.generator, chosen, trunc)
    parts = []
    for part in latents.split(CHUNK):
        parts.append(model.draw(part, scale))
        if on_step is not None:
            on_step(sum(map(len, parts)), len(latents))
    return Sampled(np.concatenate(parts), latents, chosen, trunc, model)


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
