"""Drawing faces with a trained generator.

Letters in shapes: N batch, Z latent size, L the latent's own shape, S side of a face.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from ..core.device import PrecisionTrial, autocast, device_of
from .casting import cast_kernels
from .network import GeneratorNetwork

# Faces drawn at a time; fixed, as rounding may depend on the batch size.
CHUNKS = {"fp32": 8, "bf16": 16}


class Drawer(nn.Module):
    """A trained generator in its inference form; every architecture has its own.

    A module in it may name, in ``kernel_names``, buffers that `cast_kernels` is to cast.

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


def draw_faces(drawer: Drawer, latents: Tensor, precision: str = "fp32") -> Tensor:
    """Draw faces in chunks padded to one fixed size, so that no face depends on the others.

    In bf16 a drawer from `cast_kernels` is the faster one.

    Shape: ``(N, *L) -> (N, 3, S, S)`` in ``[-0.5, 0.5]``, float32 on the CPU.
    """
    with autocast(device_of(drawer), precision):
        faces = _in_chunks(drawer, latents, drawer, CHUNKS[precision])
    return faces.float().clamp_(-0.5, 0.5)


def drawing_trial(drawer: Drawer) -> PrecisionTrial:
    """As many faces as are drawn at a time."""
    own = drawer.config
    latents = torch.zeros(CHUNKS["bf16"], *drawer.latent_shape)

    def ready(precision: str) -> Callable[[], object]:
        return partial(draw_faces, cast_kernels(drawer, precision), latents, precision)

    return PrecisionTrial(f"draw {own.architecture} {own.size} {own.latent_size}", ready)


def search_trial(drawer: Drawer) -> PrecisionTrial:
    """Two faces and the gradient of their latents: what a search computes again and again."""
    own = drawer.config

    def ready(precision: str) -> Callable[[], object]:
        device = device_of(drawer)
        latents = drawer.latents(torch.zeros(2, own.latent_size, device=device)).detach().clone()
        draw = cast_kernels(drawer, precision)

        def work() -> None:
            with torch.enable_grad(), autocast(device, precision):
                faces = draw(latents.requires_grad_()).float()
                torch.autograd.grad(faces.square().sum(), latents)

        return work

    return PrecisionTrial(f"search {own.architecture} {own.size} {own.latent_size}", ready)


def map_noise(drawer: Drawer, noise: Tensor) -> Tensor:
    """`Drawer.latents` in chunks padded to one fixed size: ``(N, Z) -> (N, *L)``, on the CPU."""
    return _in_chunks(drawer.latents, noise, drawer, CHUNKS["fp32"])


@torch.no_grad()
def _in_chunks(
    compute: Callable[[Tensor], Tensor], rows: Tensor, drawer: Drawer, size: int
) -> Tensor:
    device, parts = device_of(drawer), []
    for part in rows.split(size):
        padded = torch.cat([part, part.new_zeros(size - len(part), *part.shape[1:])])
        parts.append(compute(padded.to(device))[: len(part)].cpu())
    return torch.cat(parts)
