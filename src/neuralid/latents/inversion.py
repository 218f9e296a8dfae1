"""Face -> latent: the paper's ``gan_reverse`` (section 3.3), for many faces at once.

Letters in shapes: N faces, L the latent's own shape, D numbers in a latent, S side of a face.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.device import autocast, device_of
from ..models.drawing import Drawer
from ..models.encoder import Encoder
from ..pictures.quality import psnr, ssim
from .config import InvertConfig
from .coordinates import Coordinates
from .lbfgs import minimize


@dataclass(frozen=True)
class Inversion:
    """What was found for each face."""

    latents: Tensor  # (N, *L), on the CPU
    faces: Tensor  # (N, 3, S, S) in [-0.5, 0.5], on the CPU: the drawer's faces for them
    psnr: Tensor  # (N,), dB against the targets
    ssim: Tensor  # (N,), of their luma, 1 at best
    evaluations: Tensor  # (N,): passes of the drawer spent on each
    seconds: float  # for all of them together


def invert(
    drawer: Drawer,
    targets: Tensor,
    config: InvertConfig | None = None,
    *,
    coordinates: Coordinates | None = None,
    encoder: Encoder | None = None,
    precision: str = "fp32",
    on_step: Callable[[int, int], None] | None = None,
) -> Inversion:
    """Minimise ``sum((target - G(z))^2) + prior * |z - mean|^2`` for each face, by L-BFGS.

    The paper starts from a random z and restarts its search 50 times. Here every face starts from
    the ``encoder``'s guess (without an encoder, from the mean of the latents, which is zero for the
    paper's), and one search keeps its memory to the end. With ``coordinates`` (those of the
    weights), the search runs where every direction moves the pixels about as much. Together these
    three save most of the evaluations. Each face has its own step length and end, so faces do not
    affect one another.

    The small prior, which the paper does not have, costs about 0.1 dB. It keeps latents about as
    long as drawn ones, and mixes of such latents look like faces. ``precision``, "fp32" or "bf16",
    is that of the search. ``on_step(done, total)`` is called after each round.

    Shape:
        - targets: ``(N, 3, S, S)``, RGB in ``[-0.5, 0.5]``
    """
    config = config or InvertConfig()
    started = time.perf_counter()
    device = device_of(drawer)
    wanted = targets.to(device).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        zero = torch.zeros(len(wanted), *drawer.latent_shape, device=device)
        mean = drawer.truncate(zero, 0.0)
        start = mean if encoder is None else encoder.to(device)(wanted)
    way = (coordinates or Coordinates.plain(start[0].numel())).to(device)

    def objective(u: Tensor) -> tuple[Tensor, Tensor]:
        u = u.detach().requires_grad_(True)
        with torch.enable_grad():
            z = (u @ way.to_latent).view_as(start)
            with autocast(device, precision):
                drawn = drawer(z).float()
            losses = (wanted - drawn).square().flatten(1).sum(1)
            losses = losses + config.prior * (z - mean).square().flatten(1).sum(1)
            (gradient,) = torch.autograd.grad(losses.sum(), u)
        return losses.detach(), gradient

    total = config.evaluations
    found = minimize(
        objective,
        start.flatten(1) @ way.to_even,
        total,
        memory=config.memory,
        on_round=None if on_step is None else lambda done, _: on_step(done, total),
    )
    latents = (found.x @ way.to_latent).view_as(start)
    with torch.no_grad():
        faces = drawer(latents).cpu()
    return Inversion(
        latents.cpu(),
        faces,
        psnr(faces, targets.cpu()),
        ssim(faces, targets.cpu()),
        found.evaluations.cpu(),
        time.perf_counter() - started,
    )
