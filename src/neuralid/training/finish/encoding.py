"""Train the encoder of a finished generator: on faces the generator drew, then on real ones.

Letters in shapes: N batch, D numbers in a latent, S side of a face.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...core.device import autocast, device_of
from ...latents.config import InvertConfig
from ...latents.coordinates import Coordinates
from ...latents.latent import draw_noise_batch
from ...models.building import empty, initialise
from ...models.drawing import Drawer
from ...models.encoder import Encoder
from ..batches import Batches
from ..config import TrainConfig

SHARE = 0.25  # of the number of pictures the generator was trained on
DRAWN = 0.5  # share of the steps on drawn faces; the rest are on real ones
RATE = 1e-3
WARMUP = 100  # steps


def train_encoder(
    drawer: Drawer,
    coordinates: Coordinates,
    batches: Batches,
    config: TrainConfig,
    precision: str,
    *,
    on_step: Callable[[int, int], None] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Encoder | None:
    """An encoder for ``drawer``, or None if ``should_stop()`` became true before its end.

    First it learns to find the latents of drawn faces; every direction counts by how much it moves
    the pixels (the ``coordinates``). Then it learns from real faces, which the drawer should draw
    again from the encoder's guess; the objective is inversion's. It is shown `SHARE` times as many
    pictures as the generator was. The result is a function of the seed.
    """
    device, model = device_of(drawer), drawer.config
    steps = max(1, round(config.kimg * 1000 * SHARE / config.batch))
    rng = torch.Generator().manual_seed(config.seed)
    bare = empty(lambda: Encoder(model.size, drawer.latent_shape, model.slope))
    encoder = initialise(bare, rng).to(device)
    way = coordinates.to(device)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=RATE, betas=(0.9, 0.99))

    for step in range(steps):
        if should_stop():
            return None
        for group in optimizer.param_groups:
            group["lr"] = _rate(step, steps)
        if step < DRAWN * steps:
            z = _draw(drawer, config, step)
            loss = _loss_on_drawn(encoder, drawer, z, way, precision)
        else:
            real = batches.after(step * config.batch, config.batch).to(device)
            loss = _loss_on_real(encoder, drawer, real, way, precision)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        on_step(step + 1, steps)

    encoder.append(way.to_latent)  # from now on it guesses latents, not even coordinates
    return encoder.eval().requires_grad_(False)


def _loss_on_drawn(
    encoder: Encoder, drawer: Drawer, z: Tensor, way: Coordinates, precision: str
) -> Tensor:
    with torch.no_grad(), autocast(z.device, precision):
        faces = drawer(z).float()
    with autocast(z.device, precision):
        found = encoder(faces).float()
    return (found.flatten(1) - z.flatten(1) @ way.to_even).square().sum(1).mean()


def _loss_on_real(
    encoder: Encoder, drawer: Drawer, real: Tensor, way: Coordinates, precision: str
) -> Tensor:
    with autocast(real.device, precision):
        found = encoder(real).float()
        z = (found.flatten(1) @ way.to_latent).view_as(found)
        drawn = drawer(z).float()
    error = (drawn - real).square().flatten(1).sum(1)
    far = (z - drawer.truncate(z, 0.0)).square().flatten(1).sum(1)  # from the mean
    return (error + InvertConfig.prior * far).mean()


@torch.no_grad()
def _draw(drawer: Drawer, config: TrainConfig, step: int) -> Tensor:
    """Draw latents; the generator was trained on other ones."""
    noise = draw_noise_batch(config.batch, drawer.config, config.seed, (1 << 40) + step)
    return drawer.latents(noise.to(device_of(drawer)))


def _rate(step: int, steps: int) -> float:
    """The rate of a step: it rises over the first ones, then falls along a cosine."""
    rise = min(1.0, (step + 1) / min(WARMUP, steps))
    return RATE * rise * (0.5 + 0.5 * math.cos(math.pi * step / steps))
