"""Face -> latent: the paper's ``gan_reverse`` (section 3.3), for many faces at once.

Letters in shapes: N faces, Z latent size, S side of a face.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .config import InvertConfig
from .lbfgs import minimize
from .models.inference import FoldedGenerator
from .quality import psnr, ssim


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
    on_step: Callable[[int, int], None] | None = None,
) -> Inversion:
    """Minimise ``sum((target - G(z))^2) + prior * |z|^2`` over z for each face, by L-BFGS.

    The paper starts from a random z and restarts its search 50 times; here every face starts
    from z = 0, the mean of the latents, and keeps one search with its memory. With ``metric``
    (of the weights), the search runs in coordinates in which every direction moves the pixels
    about as much. Both spare most of the evaluations. Each face has its own step length and
    stop, so the others do not matter to it. The small prior, which the paper does not
    have, costs about 0.1 dB and keeps latents about as long as drawn ones, where their mixes look
    like faces. ``on_step(done, total)`` hears of each round.

    Shape:
        - targets: ``(N, 3, S, S)``, RGB in ``[-0.5, 0.5]``
        - metric: ``(Z, Z)``
    """
    config = config or InvertConfig()
    started = time.perf_counter()
    device = generator.dense_weight.device
    wanted = targets.to(device).contiguous(memory_format=torch.channels_last)

    start = torch.zeros(len(targets), generator.config.latent_size, device=device)
    to_latent = _coordinates(metric, start)

    def objective(u: Tensor) -> tuple[Tensor, Tensor]:
        u = u.detach().requires_grad_(True)
        with torch.enable_grad():
            z = u @ to_latent
            losses = (wanted - generator(z)).square().flatten(1).sum(1)
            losses = losses + config.prior * z.square().sum(1)
            (gradient,) = torch.autograd.grad(losses.sum(), u)
        return losses.detach(), gradient

    found = minimize(
        objective,
        start,
        config.steps,
        memory=config.memory,
        on_round=None if on_step is None else lambda done, _: on_step(done, config.steps),
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


def _coordinates(metric: Tensor | None, like: Tensor) -> Tensor:
    """``(Z, Z)``: from coordinates of even effect to latents, the metric's inverse square root.

    Directions that do next to nothing are held back by a tenth of the mean effect.
    """
    if metric is None:
        return torch.eye(like.shape[1]).to(like)
    effects, directions = torch.linalg.eigh(metric.double().cpu())
    lengths = (effects.clamp_min(0) + effects.mean() / 10).rsqrt()
    return (directions * (lengths / lengths.mean()) @ directions.T).to(like)
