"""Face -> latent: the paper's ``gan_reverse`` (section 3.3), for many faces at once.

Letters in shapes: N faces, L the latent's own shape, D how many numbers it holds, S side of a face.
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

    The paper starts from a random z and restarts its search 50 times; here every face starts from
    what the ``encoder`` says of it (without one from the mean of the latents, zero in the paper's),
    and keeps one search with its memory. With ``coordinates`` (of the weights), the search runs
    where every direction moves the pixels about as much. All three spare most of the evaluations.
    Each face has its own step length and stop, so the others do not matter to it.
    The small prior, which the paper does not have, costs about 0.1 dB and keeps latents about as
    long as drawn ones, where their mixes look like faces. ``precision`` is the search's, "fp32" or
    "bf16". ``on_step(done, total)`` hears of each round.

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
