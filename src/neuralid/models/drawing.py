"""Drawing faces with a trained generator.

Letters in shapes: N batch, Z latent size, L the latent's own shape, S side of a face.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..core.device import PrecisionTrial, autocast, device_of
from .network import GeneratorNetwork

CHUNK = 8  # faces drawn at a time; fixed, as rounding may depend on the batch size


class Drawer(nn.Module):
    """A trained generator in its inference form; every architecture has its own.

    Shape:
        - latents: ``(N, *L)`` -> ``(N, 3, S, S)`` in ``[-0.5, 0.5]``, or a little beyond if the
          architecture's outputs are linear
    """

    def __init__(self, generator: GeneratorNetwork) -> None:
        super().__init__()
        self.config = generator.config
        self.latent_shape = generator.latent_shape  # L

    def latents(self, noise: Tensor) -> Tensor:
        """Map a seed's normal numbers to the space in which faces are searched for and mixed.

        Shape: ``(N, Z) -> (N, *L)``. By default the noise is the latent.
        """
        return noise

    def truncate(self, latents: Tensor, t: float) -> Tensor:
        """Move latents towards their mean: 1 leaves them alone, 0 gives the mean. On any device.

        Shape: ``(N, *L)`` -> the same. By default the mean is zero.
        """
        return latents * t


def draw_faces(drawer: Drawer, latents: Tensor) -> Tensor:
    """Draw faces in chunks padded to one fixed size, so that no face depends on the others.

    Shape: ``(N, *L) -> (N, 3, S, S)`` in ``[-0.5, 0.5]``, on the CPU.
    """
    return _in_chunks(drawer, latents, drawer).clamp_(-0.5, 0.5)


def search_trial(drawer: Drawer) -> PrecisionTrial:
    """Two faces and the gradient of their latents: what a search computes again and again."""
    own = drawer.config

    def ready(precision: str) -> Callable[[], object]:
        device = device_of(drawer)
        latents = drawer.latents(torch.zeros(2, own.latent_size, device=device)).detach().clone()

        def work() -> None:
            with torch.enable_grad(), autocast(device, precision):
                faces = drawer(latents.requires_grad_()).float()
                torch.autograd.grad(faces.square().sum(), latents)

        return work

    return PrecisionTrial(f"search {own.architecture} {own.size} {own.latent_size}", ready)


def map_noise(drawer: Drawer, noise: Tensor) -> Tensor:
    """`Drawer.latents` in chunks padded to one fixed size: ``(N, Z) -> (N, *L)``, on the CPU."""
    return _in_chunks(drawer.latents, noise, drawer)


@torch.no_grad()
def _in_chunks(compute: Callable[[Tensor], Tensor], rows: Tensor, drawer: Drawer) -> Tensor:
    device, parts = device_of(drawer), []
    for part in rows.split(CHUNK):
        padded = torch.cat([part, part.new_zeros(CHUNK - len(part), *part.shape[1:])])
        parts.append(compute(padded.to(device))[: len(part)].cpu())
    return torch.cat(parts)
