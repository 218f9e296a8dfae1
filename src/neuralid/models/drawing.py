"""Drawing faces with a trained generator.

Letters in shapes: N batch, Z latent size, L the latent's own shape, S side of a face.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from ..core.device import PrecisionTrial, autocast, device_of
from .network import GeneratorNetwork
from .preparing import prepare

# Faces drawn at a time; fixed for weights, as rounding may depend on the batch size.
CHUNK = 8  # in float32
SMALL = 56  # pixels a side
MANY_SMALL, MANY_LARGE = 32, 16  # in bfloat16, which is asked for to draw many
GROUP = 64  # faces that are begun at a time; a multiple of all three


class Drawer(nn.Module):
    """A trained generator in its inference form; every architecture has its own.

    A module in it may name, in ``kernel_names``, buffers that `prepare` is to cast.

    A layer whose weights take longer to read than to use belongs in `begin`, which sees more faces
    at a time than `finish`. Whoever writes one of the two writes the other; together they are
    ``forward``.

    Shape:
        - latents: ``(N, *L)`` -> ``(N, 3, S, S)`` in ``[-0.5, 0.5]``, or a little beyond if the
          architecture's outputs are linear
    """

    def __init__(self, generator: GeneratorNetwork) -> None:
        super().__init__()
        self.config = generator.config
        self.latent_shape = generator.latent_shape  # L

    def begin(self, latents: Tensor) -> Tensor:
        """The first part of drawing: ``(N, *L)`` -> what `finish` takes. By default nothing."""
        return latents

    def finish(self, begun: Tensor) -> Tensor:
        """The rest: what `begin` gave, or some of its rows -> ``(N, 3, S, S)``. By default all."""
        faces: Tensor = self(begun)
        return faces

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


@torch.no_grad()
def draw_faces(drawer: Drawer, latents: Tensor, precision: str = "fp32") -> Tensor:
    """Draw faces in chunks padded to one fixed size, so that no face depends on the others.

    In bf16 a drawer from `prepare` is the faster one.

    Shape: ``(N, *L) -> (N, 3, S, S)`` in ``[-0.5, 0.5]``, float32 on the CPU.
    """
    chunk = faces_at_a_time(drawer.config.size, precision)
    device, faces = device_of(drawer), []
    with autocast(device, precision):
        for group in latents.split(GROUP):
            begun = drawer.begin(_padded(group, GROUP).to(device))
            for start in range(0, max(len(group), 1), chunk):  # one of none has a shape
                faces.append(drawer.finish(begun[start : start + chunk]).cpu())
    return torch.cat(faces)[: len(latents)].float().clamp_(-0.5, 0.5)


def faces_at_a_time(size: int, precision: str) -> int:
    """How many faces of a size are finished at a time.

    >>> [faces_at_a_time(56, "fp32"), faces_at_a_time(56, "bf16"), faces_at_a_time(112, "bf16")]
    [8, 32, 16]
    """
    if precision == "fp32":
        return CHUNK
    return MANY_SMALL if size <= SMALL else MANY_LARGE


def drawing_trial(drawer: Drawer) -> PrecisionTrial:
    """As many faces as are finished at a time; a whole group is begun all the same."""
    own = drawer.config
    latents = torch.zeros(faces_at_a_time(own.size, "bf16"), *drawer.latent_shape)

    def ready(precision: str) -> Callable[[], object]:
        return partial(draw_faces, prepare(drawer, precision), latents, precision)

    return PrecisionTrial(f"draw {own.architecture} {own.size} {own.latent_size}", ready)


def search_trial(drawer: Drawer) -> PrecisionTrial:
    """Two faces and the gradient of their latents: what a search computes again and again."""
    own = drawer.config

    def ready(precision: str) -> Callable[[], object]:
        device = device_of(drawer)
        latents = drawer.latents(torch.zeros(2, own.latent_size, device=device)).detach().clone()
        draw = prepare(drawer, precision, to_search=True)

        def work() -> None:
            with torch.enable_grad(), autocast(device, precision):
                faces = draw(latents.requires_grad_()).float()
                torch.autograd.grad(faces.square().sum(), latents)

        return work

    return PrecisionTrial(f"search {own.architecture} {own.size} {own.latent_size}", ready)


@torch.no_grad()
def map_noise(drawer: Drawer, noise: Tensor) -> Tensor:
    """`Drawer.latents` in chunks padded to one fixed size: ``(N, Z) -> (N, *L)``, on the CPU."""
    device, chunk = device_of(drawer), CHUNK
    parts = [drawer.latents(_padded(part, chunk).to(device)).cpu() for part in noise.split(chunk)]
    return torch.cat(parts)[: len(noise)]


def _padded(rows: Tensor, size: int) -> Tensor:
    """So many rows, those after the last one zeros."""
    return torch.cat([rows, rows.new_zeros(size - len(rows), *rows.shape[1:])])
