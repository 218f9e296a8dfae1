"""One training step: the discriminator, the generator, the average.

Letters in shapes: N pictures of one pass, Z random numbers of a face, S side of a face.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..core.device import autocast, device_of, send
from ..latents.latent import draw_noise_batch
from ..models.recipe import Recipe
from .augment import Augmentation
from .batches import Batches
from .config import TrainConfig
from .distributed.world import World
from .losses import discriminator_loss, generator_loss, r1_penalty
from .state import TrainState

USES = DRAWING, DISCRIMINATOR, GENERATOR = range(3)  # what random numbers of a pass are for


@dataclass(frozen=True)
class Pass:
    """What the networks see at once: this process's share of a batch, or of a micro-batch."""

    real: Tensor  # (N, 3, S, S)
    noise: Tensor  # (N, Z)
    seed: int
    everyone: Tensor | None = None  # noise of all processes' shares, (N * P, Z), if not alone

    def rng(self, use: int) -> torch.Generator:
        """Where dropout and augmentation draw from, on its device: a function of the pass."""
        return torch.Generator(self.real.device).manual_seed(self.rng_seed(use))

    def rng_seed(self, use: int) -> int:
        return (self.seed + use) % (1 << 63)


@dataclass(frozen=True)
class Engine:
    """Both networks as they are trained: by one process, or by several together."""

    generator: nn.Module
    discriminator: nn.Module
    recipe: Recipe
    precision: str
    world: World
    moved: Tensor | None = None  # how far the average moves, if that is kept on the device
    compiled: Mapping[nn.Module, Callable[..., Tensor]] = field(default_factory=dict)

    @classmethod
    def start(cls, state: TrainState, config: TrainConfig, precision: str, world: World) -> Engine:
        generator, discriminator = map(world.wrap, (state.generator, state.discriminator))
        return cls(generator, discriminator, config.recipe, precision, world)

    def form(self, network: nn.Module) -> Callable[..., Tensor]:
        """The compiled form of a network, if it was compiled."""
        return self.compiled.get(network, network)

    def is_penalised(self, state: TrainState) -> bool:
        """Whether R1 is due in this step; it is lazy, as in StyleGAN2 (Karras 2020, appendix B)."""
        return self.recipe.r1 > 0 and state.step % self.recipe.r1_interval == 0


def passes(
    state: TrainState, batches: Batches, config: TrainConfig, world: World
) -> Iterator[Pass]:
    """What this process sees in the next step: pictures, latents and seeds, functions of it."""
    device = device_of(state.generator)
    together = config.micro_batch or config.batch
    mine = together // world.size
    noise = draw_noise_batch(config.batch, state.generator.config, config.seed, state.step)
    for first in range(0, config.batch, together):
        start = first + world.rank * mine
        real = batches.after(state.images + start, mine)
        yield Pass(
            send(real, device).contiguous(memory_format=torch.channels_last),
            send(noise[start : start + mine], device),
            _seed(config.seed, state.step, first),
            send(noise[first : first + together], device) if world.size > 1 else None,
        )


def train_step(state: TrainState, batch: Sequence[Pass], engine: Engine) -> Tensor:
    """One step of both networks on a batch in one pass or, gradients added up, in several.

    Returns the two losses and D's mean outputs, ``(4,)``, of this process's pictures.
    """
    told = []
    state.generator.track(torch.cat([_noise_of_all(part) for part in batch]))
    # One pass draws fakes once for both networks; several have no room for all their graphs.
    once = len(batch) == 1

    # Train the discriminator on real and fake in one batch.
    penalised = engine.is_penalised(state)
    state.discriminator.requires_grad_(True)
    state.optimizer_d.zero_grad(set_to_none=True)
    for part in batch:
        with torch.set_grad_enabled(once):
            fake = _draw(engine.generator if once else state.generator, part, engine)
        with _added_up(engine.discriminator, part is batch[-1]):
            loss, values = _loss_d(part, fake.detach(), penalised, state.augmentation, engine)
            (loss / len(batch)).backward()
        told.append(values)
    state.optimizer_d.step()
    loss_d, on_real, on_fake, sign = torch.stack(told).mean(0)
    images = len(batch) * len(batch[0].real) * engine.world.size
    if state.augmentation.adapts:
        state.augmentation.adapt(engine.world.mean_in_place(sign), images)

    # Train the generator to be taken for real.
    state.discriminator.requires_grad_(False)
    state.optimizer_g.zero_grad(set_to_none=True)
    losses = []
    for part in batch:
        with _added_up(engine.generator, part is batch[-1]):
            if not once:
                fake = _draw(engine.generator, part, engine)
            loss = _loss_g(state, part, fake, engine)
            (loss / len(batch)).backward()
        losses.append(loss.detach())
    if state.both_learn:
        state.optimizer_g.step()

    # Update the average.
    moved = 1 - state.average_decay(engine.recipe, images) if engine.moved is None else engine.moved
    state.update_average(moved)
    return torch.stack([loss_d, torch.stack(losses).mean(), on_real, on_fake])


def rehearse(state: TrainState, part: Pass, engine: Engine) -> None:
    """Compute both losses and their gradients, and drop them: compilers do their work by that."""
    state.discriminator.requires_grad_(True)
    fake = _draw(engine.generator, part, engine)
    _loss_d(part, fake.detach(), False, state.augmentation, engine)[0].backward()
    state.discriminator.requires_grad_(False)
    _loss_g(state, part, fake, engine).backward()
    for optimizer in (state.optimizer_d, state.optimizer_g):
        optimizer.zero_grad(set_to_none=True)


def _draw(generator: nn.Module, part: Pass, engine: Engine) -> Tensor:
    """Fakes ``(N, 3, S, S)``, the same whenever the same generator draws them."""
    share = engine.world.share(part.rng(DRAWING))
    with autocast(part.noise.device, engine.precision):
        return engine.form(generator)(part.noise, share)


def _loss_d(
    part: Pass, fake: Tensor, penalised: bool, augment: Augmentation, engine: Engine
) -> tuple[Tensor, Tensor]:
    """The discriminator's loss; and ``(4,)``: it without the penalty, what `_outputs` says."""
    recipe, share = engine.recipe, engine.world.share(part.rng(DISCRIMINATOR))
    real = part.real.detach().requires_grad_(penalised)
    both = torch.cat([augment(x, share) for x in (real, fake.float())])
    # Compiled networks have no second derivatives, which the penalty needs.
    judge = engine.discriminator if penalised else engine.form(engine.discriminator)
    with autocast(real.device, engine.precision):
        logits = judge(both, replace(share, parts=2)).float()
    on_real, on_fake = logits.chunk(2)
    loss = discriminator_loss(on_real, on_fake, recipe.real_label)
    values = torch.stack([loss.detach(), *_outputs(on_real.detach(), on_fake.detach())])
    if penalised:
        loss = loss + recipe.r1 * recipe.r1_interval * r1_penalty(on_real, real)
    return loss, values


def _outputs(on_real: Tensor, on_fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """D's mean outputs as probabilities, and the mean sign of its logits of real pictures."""
    return on_real.sigmoid().mean(), on_fake.sigmoid().mean(), on_real.sign().mean()


def _loss_g(state: TrainState, part: Pass, fake: Tensor, engine: Engine) -> Tensor:
    share = engine.world.share(part.rng(GENERATOR))
    changed = state.augmentation(fake.float(), share)
    with autocast(fake.device, engine.precision):
        return generator_loss(engine.form(state.discriminator)(changed, share).float())


def _noise_of_all(part: Pass) -> Tensor:
    return part.noise if part.everyone is None else part.everyone


def _added_up(network: nn.Module, last: bool) -> AbstractContextManager[None]:
    """Leaves gradients where they are until the last pass; then they are averaged."""
    if last or not isinstance(network, DistributedDataParallel):
        return nullcontext()
    return network.no_sync()


def _seed(seed: int, step: int, first: int) -> int:
    return seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + first * 0x94D049BB133111EB
