"""``sample``: seeds -> faces."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np

from ..core.checks import check_range
from ..core.errors import ConfigError
from ..latents import latent
from ._model import Model, Report, Say
from .results import MOST_GRID, Sampled

COUNT = 16  # faces drawn if nobody says how many
CHUNK = 64  # faces drawn between two reports of progress
MOST = 10 * MOST_GRID  # megapixels, which are held at once

Seeds = int | Sequence[int] | str


def sample(
    model: Model,
    n: int | None,
    seed: int | None,
    seeds: Seeds | None,
    trunc: float,
    scale: float,
    on_step: Report | None,
) -> Sampled:
    """See `Studio.sample`."""
    chosen = choose_seeds(n, seed, seeds, model.say)
    check_range("trunc", trunc, 0, 10)
    check_range("scale", scale, 1, 64)
    side = model.size * scale
    check_range("megapixels of all the faces together", len(chosen) * side * side / 1e6, 0, MOST)
    latents = latent.draw(chosen, model.latent_size) * trunc
    parts = []
    for part in latents.split(CHUNK):
        parts.append(model.draw(part, scale))
        if on_step is not None:
            on_step(sum(map(len, parts)), len(latents))
    return Sampled(np.concatenate(parts), latents, chosen, trunc, model)


def choose_seeds(n: int | None, seed: int | None, seeds: Seeds | None, say: Say) -> list[int]:
    """The seeds asked for, or ``n`` (16) that follow ``seed`` or a random one, which is said.

    Raises `ConfigError`.
    """
    if seeds is not None:
        if seed is not None or n is not None:
            one = "`n`" if seed is None else "`seed`"
            raise ConfigError(f"{one} and `seeds` exclude each other", hint=f"leave {one} out")
        if isinstance(seeds, str):
            return latent.parse_seeds(seeds)
        return [seeds] if isinstance(seeds, int) else list(seeds)
    n = COUNT if n is None else n
    check_range("n", n, 1, 100_000)
    if seed is None:
        seed = secrets.randbelow(1 << 31)
        say(f"seed: {seed}")
    check_range("seed", seed, 0, (1 << 63) - 1 - n)
    return list(range(seed, seed + n))
