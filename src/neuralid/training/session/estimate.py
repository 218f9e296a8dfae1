"""What a run would take: measured on a few steps before it begins, for a dry run."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...core.device import device_of
from ...data.dataset import Dataset
from ...latents.coordinates import Coordinates
from ...latents.whitening import Whitening
from ...models.architecture import architecture
from ...models.building import build_drawer, build_perceptual
from ..batches import Batches
from ..config import TrainConfig
from ..distributed.world import World
from ..finish.encoding import SHARE, train_encoder
from ..loop import Step, train_loop
from ..runs.checkpoint import KEPT
from ..runs.plan import Plan
from ..state import TrainState
from .choice import Choice, use_forms

FIRST = 2  # reports of training that are slower than the rest and do not count
SECONDS = 10.0  # of training, to measure its speed
MOST_BATCH = 64  # pictures of a process in a step, on a CPU
MOST_STEPS = 100  # there are at least so many to take
SHOWN = 64  # faces in a snapshot's grid
LESSONS = 3  # steps of the encoder on drawn faces, and as many on real ones; the first don't count
FEW = 8  # pictures of a process in each


@dataclass(frozen=True)
class Estimate:
    """What a run would take."""

    seconds: float  # of training alone
    encoder_seconds: float  # of the encoder's
    images_per_second: float  # in training
    bytes: int  # on disk, at most, while it runs

    def tell(self, say: Callable[[str], None]) -> None:
        speed = f"{self.images_per_second:.1f} images/s here"
        say(
            f"time: about {_shown(self.seconds)} of training ({speed}), up to a tenth more for "
            f"metrics, then {_shown(self.encoder_seconds)} for the encoder"
        )
        say(f"disk: about {self.bytes / 1e6:.0f} MB in the run's folder")


def estimate(
    plan: Plan, faces: Dataset, device: torch.device, choice: Choice, world: World
) -> Estimate:
    """Train fresh networks for some seconds, which are thrown away.

    All processes call this together.
    """
    state = TrainState.fresh(plan.model, plan.train, device)
    use_forms(state, choice)
    speed = _measure(state, plan.train, faces, choice.precision, world)
    images = plan.train.kimg * 1000
    lessons = SHARE * images / _measure_encoder(state, plan.train, faces, choice.precision, world)
    snapshots = math.ceil(plan.train.kimg / plan.train.snapshot)
    weights = _size(state.average.state_dict()) / 2  # in half precision
    grid = 0.7 * faces.images[:SHOWN].nbytes  # about what a PNG of faces takes
    needed = snapshots * (weights + grid) + (KEPT + 1) * _size(state.pack())
    return Estimate(images / speed, lessons, speed, round(needed))


def check_disk(found: Estimate, out: Path, say: Callable[[str], None]) -> None:
    """Warn if the disk of the runs has less room than a run would take."""
    nearest = next(path for path in (out, *out.absolute().parents) if path.exists())
    free = shutil.disk_usage(nearest).free
    if free < found.bytes:
        say(f"only {free / 1e6:.0f} MB are free there: raise `snapshot`, or choose another `out`")


def _measure(
    state: TrainState, asked: TrainConfig, faces: Dataset, precision: str, world: World
) -> float:
    """Pictures a second, of all processes together."""
    device = device_of(state.generator)
    # A CPU takes as long for a picture in larger batches, and minutes for a very large one.
    most = MOST_BATCH * world.size if device.type == "cpu" else asked.batch
    together = min(asked.micro_batch or asked.batch, most)
    least = MOST_STEPS * together / 1000
    config = replace(asked, kimg=least, batch=together, micro_batch=None, compile=False)
    batches = Batches(faces.images, faces.training(), config.seed, config.mirror)
    batches.place(device)
    marks: list[tuple[float, int]] = []  # when so many pictures had been shown

    def on_step(step: Step) -> None:
        marks.append((time.perf_counter(), step.images))

    def is_enough() -> bool:
        return len(marks) > FIRST + 1 and marks[-1][0] - marks[FIRST][0] > SECONDS

    train_loop(
        state,
        batches,
        config,
        precision,
        on_step=on_step,
        on_snapshot=lambda state: None,
        go_back=lambda: None,
        should_stop=is_enough,
        world=world,
    )
    (began, before), (ended, after) = marks[min(FIRST, len(marks) - 2)], marks[-1]
    return (after - before) / max(ended - began, 1e-9)


def _measure_encoder(
    state: TrainState, asked: TrainConfig, faces: Dataset, precision: str, world: World
) -> float:
    """Pictures a second, of all processes together, that an encoder of these networks is shown."""
    device, few = device_of(state.generator), FEW * world.size
    kimg = 2 * LESSONS * few / SHARE / 1000
    config = replace(asked, kimg=kimg, batch=few, micro_batch=None)
    drawer, perceptual = build_drawer(state.average), build_perceptual(state.discriminator)
    size = math.prod(drawer.latent_shape)
    by_layer = architecture(drawer.config.architecture).inverting.by_layer
    marks: list[float] = []

    def on_step(done: int, total: int) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        marks.append(time.perf_counter())

    train_encoder(
        drawer,
        Whitening.of(state.average) if by_layer else Coordinates.plain(size),
        Batches(faces.images, faces.training(), config.seed, config.mirror),
        config,
        precision,
        perceptual=perceptual,
        world=world,
        on_step=on_step,
    )
    taken = marks[LESSONS - 1] - marks[0] + marks[-1] - marks[LESSONS]
    return 2 * (LESSONS - 1) * few / max(taken, 1e-9)


def _size(values: Any) -> int:
    """Bytes of all tensors in a state."""
    if isinstance(values, Tensor):
        return values.numel() * values.element_size()
    inside = values.values() if isinstance(values, dict) else values
    return sum(map(_size, inside)) if isinstance(values, dict | list | tuple) else 0


def _shown(seconds: float) -> str:
    minutes = seconds / 60
    if minutes >= 90:
        return f"{minutes / 60:.1f} hours"
    return f"{minutes:.0f} min" if minutes >= 1.5 else f"{seconds:.0f} s"
