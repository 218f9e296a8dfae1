"""Train the encoder of a finished generator: on faces it drew itself, then on real ones.

Letters in shapes: N batch, Z latent size, S side of a face.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...core.device import autocast
from ...latents.config import InvertConfig
from ...latents.latent import draw_batch
from ...models.encoder import Encoder
from ...models.inference import FoldedGenerator, even_coordinates
from ..batches import Batches
from ..config import TrainConfig

SHARE = 0.25  # of the pictures the generator was trained on
DRAWN = 0.5  # of the steps on drawn faces, the rest on real ones
RATE = 1e-3
WARMUP = 100  # steps


def train_encoder(
    generator: FoldedGenerator,
    metric: Tensor,
    batches: Batches,
    config: TrainConfig,
    precision: str,
    *,
    on_step: Callable[[int, int], None] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Encoder | None:
    """An encoder for ``generator``, or None if ``should_stop()`` said so before its end.

    First the latents of drawn faces are to be found again, every direction counting by how much
    it moves the pixels (the ``metric``, ``(Z, Z)``). Then the generator is to draw real faces
    again from what the encoder says of them, by the same objective as inversion's. Shows
    `SHARE` times as many pictures as the generator saw. A function of the seed.
    """
    device = generator.dense_weight.device
    steps = max(1, round(config.kimg * 1000 * SHARE / config.batch))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        encoder = Encoder(generator.config).to(device)
    to_latent = even_coordinates(metric).to(device)
    to_even = torch.linalg.inv(to_latent.double()).float()
    optimizer = torch.optim.Adam(encoder.parameters(), lr=RATE, betas=(0.9, 0.99))

    for step in range(steps):
        if should_stop():
            return None
        for group in optimizer.param_groups:
            group["lr"] = _rate(step, steps)
        if step < DRAWN * steps:
            z = _draw(generator, config, step).to(device)
            loss = _loss_on_drawn(encoder, generator, z, to_even, precision)
        else:
            real = batches.after(step * config.batch, config.batch).to(device)
            loss = _loss_on_real(encoder, generator, real, to_latent, precision)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        on_step(step + 1, steps)

    # Let the last layer speak of latents itself.
    with torch.no_grad():
        encoder.dense.weight.copy_(to_latent.T @ encoder.dense.weight)
        encoder.dense.bias.copy_(encoder.dense.bias @ to_latent)
    return encoder.eval().requires_grad_(False)


def _loss_on_drawn(
    encoder: Encoder, generator: FoldedGenerator, z: Tensor, to_even: Tensor, precision: str
) -> Tensor:
    with torch.no_grad(), autocast(z.device, precision):
        faces = generator(z).float()
    with autocast(z.device, precision):
        found = encoder(faces).float()
    return (found - z @ to_even).square().sum(1).mean()


def _loss_on_real(
    encoder: Encoder, generator: FoldedGenerator, real: Tensor, to_latent: Tensor, precision: str
) -> Tensor:
    with autocast(real.device, precision):
        z = encoder(real).float() @ to_latent
        drawn = generator(z).float()
    error = (drawn - real).square().flatten(1).sum(1)
    return (error + InvertConfig.prior * z.square().sum(1)).mean()


def _draw(generator: FoldedGenerator, config: TrainConfig, step: int) -> Tensor:
    """Latents of drawn faces; none of those the generator was trained on."""
    return draw_batch(config.batch, generator.config.latent_size, config.seed, (1 << 40) + step)


def _rate(step: int, steps: int) -> float:
    """Rises over the first steps, then falls along a cosine."""
    rise = min(1.0, (step + 1) / min(WARMUP, steps))
    return RATE * rise * (0.5 + 0.5 * math.cos(math.pi * step / steps))
