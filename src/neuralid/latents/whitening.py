"""Coordinates in which drawn latents are about standard normal, row by row.

Letters in shapes: N batch, L rows (layers) of a latent, Z numbers in a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.device import device_of
from ..models.drawing import Drawer
from ..models.network import GeneratorNetwork
from .latent import draw_noise_from

DRAWS = 20_000
TOGETHER = 2_000
LEAST = 1e-5  # of the largest variance: what a direction has at least


@dataclass(frozen=True)
class Whitening:
    """The way there and back: a row of a latent is ``mean + p @ to_latent``."""

    mean: Tensor  # (Z,)
    to_latent: Tensor  # (Z, Z): principal axes as rows, each as long as its standard deviation
    to_white: Tensor  # (Z, Z): its inverse

    @classmethod
    def of(cls, generator: GeneratorNetwork | Drawer) -> Whitening:
        """From the mean and the covariance of drawn latents' rows. On the generator's device."""
        mean, covariance = _moments(generator)
        variances, axes = torch.linalg.eigh(covariance)
        scale = variances.clamp_min(float(variances.max()) * LEAST).sqrt()
        to_latent, to_white = (axes * scale).T, axes / scale
        return cls(mean.float(), to_latent.float(), to_white.float()).to(device_of(generator))

    def latents(self, white: Tensor) -> Tensor:
        """``(N, L, Z)`` -> latents, the same shape."""
        return self.mean + white @ self.to_latent

    def whiten(self, latents: Tensor) -> Tensor:
        """Undo `latents`."""
        return (latents - self.mean) @ self.to_white

    def to(self, device: torch.device) -> Whitening:
        return Whitening(*(t.to(device) for t in (self.mean, self.to_latent, self.to_white)))


@torch.no_grad()
def _moments(generator: GeneratorNetwork | Drawer) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the rows of `DRAWS` latents, float64: ``(Z,)``, ``(Z, Z)``."""
    config, device = generator.config, device_of(generator)
    rng, size = torch.Generator().manual_seed(0), generator.latent_shape[-1]
    total = torch.zeros(size, dtype=torch.float64)
    squares = torch.zeros(size, size, dtype=torch.float64)
    count = 0
    for _ in range(DRAWS // TOGETHER):
        noise = draw_noise_from(rng, TOGETHER, config)
        rows = _rows(generator.latents(noise.to(device))).cpu().double()  # not all devices have it
        total += rows.sum(0)
        squares += rows.T @ rows
        count += len(rows)
    mean = total / count
    return mean, squares / count - mean.outer(mean)


def _rows(latents: Tensor) -> Tensor:
    """All rows of latents; those of one latent only once if they are the same: ``(M, Z)``."""
    rows = latents.unflatten(0, (-1, 1)).flatten(1, -2)
    return rows[:, 0] if bool((rows == rows[:, :1]).all()) else rows.flatten(0, 1)
