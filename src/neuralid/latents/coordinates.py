"""Coordinates of latent space in which every direction moves the pixels about as much.

Letters in shapes: N batch, L the latent's own shape, D numbers in a latent, S side of a face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.device import device_of
from ..models.drawing import Drawer
from .latent import draw_noise_from


@dataclass(frozen=True)
class Coordinates:
    """A change of coordinates and its inverse, for latents as rows of D numbers."""

    to_latent: Tensor  # (D, D), symmetric, on the CPU: even coordinates @ to_latent are latents
    to_even: Tensor  # (D, D): its inverse

    @classmethod
    def of(cls, metric: Tensor) -> Coordinates:
        """From the `latent_metric`, ``(D, D)``: its inverse square root, and the inverse of that.

        A tenth of the mean effect is added to each, so that directions that do next to nothing
        are not stretched too far.
        """
        effects, directions = torch.linalg.eigh(metric.cpu().double())
        lengths = (effects.clamp_min(0) + effects.mean() / 10).rsqrt()
        to_latent = (directions * (lengths / lengths.mean()) @ directions.T).float()
        return cls(to_latent, torch.linalg.inv(to_latent.double()).float())

    @classmethod
    def plain(cls, size: int) -> Coordinates:
        """The latents themselves, of ``size`` numbers, as coordinates."""
        same = torch.eye(size)
        return cls(same, same)

    def to(self, device: torch.device) -> Coordinates:
        return Coordinates(self.to_latent.to(device), self.to_even.to(device))


def latent_metric(drawer: Drawer, batch: int = 32) -> Tensor:
    """How much each direction of latent space moves the pixels: the mean of ``J^T J`` over draws.

    J is the drawer's Jacobian at a latent; ``J^T v`` for random v gives samples of the mean,
    twice as many as a latent has numbers. The same drawer always gives the same metric.

    Shape: ``(D, D)``, on the CPU.
    """
    config, device = drawer.config, device_of(drawer)
    size = math.prod(drawer.latent_shape)
    rng = torch.Generator().manual_seed(0)
    rounds = -(-2 * size // batch)
    metric = torch.zeros(size, size, dtype=torch.float64)
    for _ in range(rounds):
        z = (
            drawer.latents(draw_noise_from(rng, batch, config).to(device))
            .detach()
            .requires_grad_(True)
        )
        faces = drawer(z)
        probes = torch.randn(faces.shape, generator=rng).to(device)
        (pulled,) = torch.autograd.grad(faces, z, probes)  # (N, *L): J^T v
        pulled = pulled.flatten(1).cpu().double()
        metric += pulled.T @ pulled
    return (metric / (rounds * batch)).float()
