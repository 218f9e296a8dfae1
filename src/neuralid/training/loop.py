"""The training loop: steps, a look at how they went, snapshots; back to a good state if need be."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..core.device import device_of
from ..core.errors import TrainingError
from .batches import Batches
from .compiling import compile_networks, wants_compiling
from .config import TrainConfig
from .distributed.world import World
from .recording import Recorder
from .state import TrainState
from .step import Engine, passes

ROLLBACKS = 3  # times a run that diverges goes back, each time to half the learning rates
LOOK = 16  # steps from one look at the losses to the next, where a look makes the device wait
LOOKS = {"cpu": 1}  # where it does not


@dataclass(frozen=True)
class Step:
    """One report to ``on_step``: means over the steps since the last one."""

    images: int  # real pictures shown so far
    total: int  # pictures the run will show
    loss_d: float
    loss_g: float
    d_real: float  # mean probability the discriminator gives real pictures
    d_fake: float  # and generated ones
    images_per_second: float
    new: int = 0  # pictures shown since the last report
    augment_p: float | None = None  # probability of augmentation now, if it adapts
    real_sign: float | None = None  # and the statistic it follows, from -1 to 1


def train_loop(
    state: TrainState,
    batches: Batches,
    config: TrainConfig,
    precision: str,
    *,
    on_step: Callable[[Step], None],
    on_snapshot: Callable[[TrainState], None],
    go_back: Callable[[], None],
    should_stop: Callable[[], bool],
    world: World | None = None,
    on_message: Callable[[str], None] = lambda message: None,
) -> None:
    """Train until ``config.kimg`` thousand pictures were shown or ``should_stop()``.

    ``on_snapshot`` is called every ``config.snapshot`` thousand pictures and at the end, with a
    state in which every number is finite. A loss or a number in the state that is not makes
    ``go_back()`` put the last such state back, with lower learning rates; a `TrainingError` if
    that was done `ROLLBACKS` times. On a CPU ``on_step`` hears of every step, elsewhere of every
    16 together. There steps are recorded; should that fail, ``on_message`` says so.
    """
    world = world or World()
    total, interval = round(config.kimg * 1000), round(config.snapshot * 1000)
    every = LOOKS.get(device_of(state.generator).type, LOOK)
    engine = Engine.start(state, config, precision, world)
    if wants_compiling(state, config, engine):
        (part, *_) = passes(state, batches, config, world)
        engine = compile_networks(state, part, engine, on_message)
    recorder = Recorder.start(engine, on_message)
    look, saved = _Look(world, total), -1
    stop = world.any(should_stop())
    while state.images < total and not stop:
        look.begin()
        batch = list(passes(state, batches, config, world))
        look.add(recorder.train_step(state, batch), config.batch)
        before = state.images
        state.images += config.batch
        state.step += 1
        save = before // interval != state.images // interval or state.images >= total
        if not save and state.step % every:
            continue

        # Look at how it goes; on a GPU this waits until all of it is computed.
        step = look.report(state)
        good = math.isfinite(step.loss_d + step.loss_g)
        if good:
            on_step(step)
            stop = world.any(should_stop())
            save = save or stop
            good = not save or state.is_finite()
        if not good:
            _check_rollbacks(state)
            go_back()
            recorder.forget()
            saved = -1
        elif save:
            on_snapshot(state)
            saved = state.images
    if saved != state.images:
        on_snapshot(state)


class _Look:
    """The steps since the last look: what they gave, kept on the device, and when they began."""

    def __init__(self, world: World, total: int) -> None:
        self.world, self.total = world, total
        self.values: list[Tensor] = []
        self.new, self.started = 0, 0.0

    def begin(self) -> None:
        if not self.values:
            self.new, self.started = 0, time.perf_counter()

    def add(self, values: Tensor, images: int) -> None:
        self.values.append(values)
        self.new += images

    def report(self, state: TrainState) -> Step:
        means = self.world.mean(torch.stack(self.values).mean(0))
        loss_d, loss_g, d_real, d_fake = means.tolist()
        speed = self.new / (time.perf_counter() - self.started)
        self.values.clear()
        step = Step(state.images, self.total, loss_d, loss_g, d_real, d_fake, speed, self.new)
        changes = state.augmentation
        if not changes.adapts:
            return step
        return replace(step, augment_p=float(changes.probability), real_sign=float(changes.sign))


def _check_rollbacks(state: TrainState) -> None:
    if state.rollbacks >= ROLLBACKS:
        raise TrainingError(
            f"training diverged after {state.images / 1000:.1f} kimg: the loss is not finite, "
            f"at an eighth of the learning rates too",
            hint="the last checkpoint is sound: resume with `precision` fp32 if it was bf16, "
            "or start a run with another recipe or a larger batch",
        )
