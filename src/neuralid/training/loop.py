"""The training loop: one discriminator step, one generator step, the average; then again.

Letters in shapes: N batch, Z latent size, S side of a face.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..config import TrainConfig
from ..device import autocast, keep_freed_memory
from ..errors import TrainingError
from ..latent import draw_batch
from .augment import diff_augment
from .batches import Batches
from .losses import discriminator_loss, generator_loss, r1_penalty
from .state import TrainState


@dataclass(frozen=True)
class Step:
    """One report to ``on_step``."""

    images: int  # real pictures shown so far
    total: int  # pictures the run will show
    loss_d: float
    loss_g: float
    d_real: float  # mean probability the discriminator gives real pictures
    d_fake: float  # and generated ones
    images_per_second: float  # of this step


def train_loop(
    state: TrainState,
    batches: Batches,
    config: TrainConfig,
    precision: str,
    *,
    on_step: Callable[[Step], None],
    on_snapshot: Callable[[TrainState], None],
    should_stop: Callable[[], bool],
) -> None:
    """Train until ``config.kimg`` thousand pictures were shown or ``should_stop()``.

    ``on_snapshot`` is called every ``config.snapshot`` thousand pictures and at the end. The
    global random state is left as it was.
    """
    total, interval = round(config.kimg * 1000), round(config.snapshot * 1000)
    saved = -1
    device = state.generator.dense.weight.device
    if device.type == "cpu":
        keep_freed_memory()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        while state.images < total and not should_stop():
            started = time.perf_counter()
            # Dropout and augmentation draw from the global generator: a function of the step.
            torch.manual_seed(_step_seed(config.seed, state.step))
            real = batches.after(state.images, config.batch)
            z = draw_batch(
                config.batch, state.generator.config.latent_size, config.seed, state.step
            )
            losses = _train_step(state, _place(real, device), z.to(device), config, precision)

            before = state.images
            state.images += config.batch
            state.step += 1
            on_step(_report(losses, state.images, total, config.batch, started))
            if before // interval != state.images // interval:
                on_snapshot(state)
                saved = state.images
    if saved != state.images:
        on_snapshot(state)


def _train_step(
    state: TrainState, real: Tensor, z: Tensor, config: TrainConfig, precision: str
) -> tuple[Tensor, ...]:
    """One step of both networks; returns the two losses and D's mean outputs."""
    recipe, device = config.recipe, real.device
    penalised = recipe.r1 > 0 and state.step % recipe.r1_interval == 0
    real.requires_grad_(penalised)

    # Draw fakes, once for both networks.
    with autocast(device, precision):
        fake = state.generator(z)  # (N, 3, S, S)

    # Train the discriminator on real and fake in one batch.
    state.discriminator.requires_grad_(True)
    both = torch.cat([diff_augment(x, recipe.augment) for x in (real, fake.detach().float())])
    with autocast(device, precision):
        logits = state.discriminator(both).float()
    on_real, on_fake = logits.chunk(2)
    loss_d = discriminator_loss(on_real, on_fake, recipe.real_label)
    # R1 is lazy, as in StyleGAN2 (Karras 2020, appendix B).
    weight = recipe.r1 * recipe.r1_interval
    penalty = weight * r1_penalty(on_real, real) if penalised else torch.zeros_like(loss_d)
    _descend(state.optimizer_d, loss_d + penalty)

    # Train the generator to be taken for real.
    state.discriminator.requires_grad_(False)
    with autocast(device, precision):
        judged = state.discriminator(diff_augment(fake.float(), recipe.augment)).float()
    loss_g = generator_loss(judged)
    _descend(state.optimizer_g, loss_g)

    # Update the average.
    state.update_average(recipe.ema)
    return loss_d.detach(), loss_g.detach(), on_real.sigmoid().mean(), on_fake.sigmoid().mean()


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def _report(
    losses: tuple[Tensor, ...], images: int, total: int, batch: int, started: float
) -> Step:
    values = torch.stack(losses).tolist()
    if not all(abs(value) < float("inf") for value in values):
        raise TrainingError(
            f"training diverged after {images / 1000:.1f} kimg: the loss is not finite",
            hint="resume from the last checkpoint, with --precision fp32 if it was bf16",
        )
    loss_d, loss_g, d_real, d_fake = values
    speed = batch / (time.perf_counter() - started)
    return Step(images, total, loss_d, loss_g, d_real, d_fake, speed)


def _place(x: Tensor, device: torch.device) -> Tensor:
    return x.to(device).contiguous(memory_format=torch.channels_last)


def _step_seed(seed: int, step: int) -> int:
    return (seed * 0x9E3779B97F4A7C15 + step) % (1 << 63)
