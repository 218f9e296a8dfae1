"""Face -> latent: the paper's ``gan_reverse`` (section 3.3), for many faces at once.

Letters in shapes: N faces, Z latent size, S side of a face.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.device import autocast
from ..models.encoder import Encoder
from ..models.inference import FoldedGenerator, even_coordinates
from ..pictures.quality import psnr, ssim
from .config import InvertConfig
from .lbfgs import minimize


@dataclass(frozen=True)
class Inversion:
    """What was found for each face."""

    latents: Tensor  # (N, Z), on the CPU
    faces: Tensor  # (N, 3, S, S) in [-0.5, 0.5], on the CPU: the generator's faces for them
    psnr: Tensor  # (N,), dB against the targets
    ssim: Tensor  # (N,), of their luma, 1 at best
    evaluations: Tensor  # (N,): generator passes spent on each
    seconds: float  # for all of them together


def invert(
    generator: FoldedGenerator,
    targets: Tensor,
    config: InvertConfig | None = None,
    *,
    metric: Tensor | None = None,
    encoder: Encoder | None = None,
    precision: str = "fp32",
    on_step: Callable[[int, int], None] | None = None,
) -> Inversion:
    """Minimise ``sum((target - G(z))^2) + prior * |z|^2`` over z for each face, by L-BFGS.

    The paper starts from a random z and restarts its search 50 times; here every face starts from
    what the ``encoder`` says of it (without one from z = 0, the mean of the latents), and keeps one
    search with its memory. With ``metric`` (of the weights), the search runs in coordinates in
    which every direction moves the pixels about as much. All three spare most of the
    evaluations. Each face has its own step length and stop, so the others do not matter to it.
    The small prior, which the paper does not have, costs about 0.1 dB and keeps latents about as
    long as drawn ones, where their mixes look like faces. ``precision`` is the search's, "fp32" or
    "bf16". ``on_step(done, total)`` hears of each round.

    Shape:
        - targets: ``(N, 3, S, S)``, RGB in ``[-0.5, 0.5]``
        - metric: ``(Z, Z)``
    """
    config = config or InvertConfig()
    started = time.perf_counter()
    device = generator.dense_weight.device
    wanted = targets.to(device).contiguous(memory_format=torch.channels_last)
    start = _start(generator, wanted, encoder)
    to_latent, to_even = _coordinates(metric, start)

    def objective(u: Tensor) -> tuple[Tensor, Tensor]:
        u = u.detach().requires_grad_(True)
        with torch.enable_grad():
            z = u @ to_latent
            with autocast(device, precision):
                drawn = generator(z).float()
            losses = (wanted - drawn).square().flatten(1).sum(1)
            losses = losses + config.prior * z.square().sum(1)
            (gradient,) = torch.autograd.grad(losses.sum(), u)
        return losses.detach(), gradient

    total = config.evaluations
    found = minimize(
        objective,
        start @ to_even,
        total,
        memory=config.memory,
        on_round=None if on_step is None else lambda done, _: on_step(done, total),
    )
    latents = found.x @ to_latent
    with torch.no_grad():
        faces = generator(latents).cpu()
    return Inversion(
        latents.cpu(),
        faces,
        psnr(faces, targets.cpu()),
        ssim(faces, targets.cpu()),
        found.evaluations.cpu(),
        time.perf_counter() - started,
    )


@torch.no_grad()
def _start(generator: FoldedGenerator, wanted: Tensor, encoder: Encoder | None) -> Tensor:
    """Where each search starts: ``(N, Z)``, the encoder's guess or zero."""
    zero = torch.zeros(len(wanted), generator.config.latent_size, device=wanted.device)
    return zero if encoder is None else encoder.to(wanted.device)(wanted)


def _coordinates(metric: Tensor | None, like: Tensor) -> tuple[Tensor, Tensor]:
    """From coordinates to latents, and back."""
    if metric is None:
        same = torch.eye(like.shape[1]).to(like)
        return same, same
    to_latent = even_coordinates(metric)
    return to_latent.to(like), torch.linalg.inv(to_latent.double()).to(like)
