"""From options to a run: find it, make a plan, read the pictures, train."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch

from ...core.device import can_bfloat16, describe, pick_device, pick_precision
from ...core.errors import TrainingError
from ...core.home import cache_folder, check_cache
from ...core.memory import check_memory
from ...data.dataset import Dataset, load_dataset
from ...data.listing import check_source
from ...faces.align import measure_eyes
from ...faces.config import Frame
from ...latents.attributes import Attributes, read_attributes
from ...models.architecture import architecture
from ...models.building import check_size
from ..distributed.world import World, check_shares, join_world
from ..options import TrainOptions
from ..runs.checkpoint import checkpoints, size_of
from ..runs.folder import Run
from ..runs.plan import Plan, new_plan, resumed_plan
from ..runs.tensorboard import check_installed, event_files
from . import snapshots
from .callbacks import Callbacks
from .choice import Choice, choose
from .estimate import check_disk, estimate
from .finished import find_finished
from .framing import tell_framing
from .job import Job
from .opening import find_run, hint_at_resume, lock_run, open_run
from .session import Session, Trained

SMALL = 500_000_000  # bytes of networks that are made without a look at the checkpoints
# Bytes that training takes for each value of the pictures in one pass, at the very least: from 430
# to 2,900 were measured.
PASS_MEMORY = 250
SIZES_NAMED = 4  # up to this many face sizes are listed one by one


def start_training(options: TrainOptions, callbacks: Callbacks) -> Trained:
    """Start or resume the run that ``options`` describe, and train it; see `neuralid.train`.

    Every process of a run calls this in the same way; only the first one's callbacks report.
    """
    check_installed(options.tensorboard)
    with join_world() as world:
        return _start(options, callbacks if world.is_first else callbacks.silent(), world)


def _start(options: TrainOptions, callbacks: Callbacks, world: World) -> Trained:
    """The first process finds, reads and makes the files of the run; the others are told."""
    out, say = Path(options.out), callbacks.on_message
    resumed = world.alone(lambda: find_run(options))
    plan = world.first(lambda: resumed_plan(resumed, options) if resumed else new_plan(options))
    world.alone(lambda: _check_networks(plan, resumed))
    check_shares(plan.train, world.size, architecture(plan.model.architecture).group)
    if done := world.first(lambda: find_finished(resumed, plan, say) if resumed else None):
        return Trained(resumed.folder if resumed else out, done.weights, done.images)
    world.alone(lambda: check_source(plan.data))
    device, choice = _pick_device(options.device, plan, resumed, world, say)
    world.each(lambda: _check_memory(plan, device, world))
    with ExitStack() as held:
        if device.type == "cuda":
            held.enter_context(torch.cuda.device(device))
            # Sizes stay the same from step to step, so that trying kernels once pays.
            held.enter_context(torch.backends.cudnn.flags(enabled=True, benchmark=True))
        world.alone(lambda: lock_run(resumed, out, held))
        if not options.dry_run:
            world.alone(check_cache)
        faces = world.in_turn(lambda: _read_faces(plan, options.workers, callbacks))
        attributes = world.alone(lambda: _read_attributes(plan, faces, say))
        if options.dry_run:
            return _end_dry_run(plan, faces, device, choice, world, out, say)
        resuming = world.first(lambda: resumed is not None)
        opened = world.alone(lambda: open_run(resumed, out, plan, faces, choice, held, say))
        folder = world.first(lambda: opened.folder if opened else out)
        run = opened or Run(folder)
        held.enter_context(hint_at_resume(run))
        if options.tensorboard and world.is_first:
            held.enter_context(event_files(run))
        job = Job(plan, run, faces, attributes, device, choice, callbacks, world)
        return Session(job).run_to_the_end(resuming)


def _check_networks(plan: Plan, resumed: Run | None) -> None:
    """Raise now if the networks are absurdly large, or too large to be in the run's checkpoints.

    Small ones are left to the checkpoints' reader, which says more.
    """
    needed = 4 * check_size(plan.model)
    found = checkpoints(resumed.folder) if resumed is not None else []
    if not found or needed < SMALL:
        return
    largest = max(size_of(path) for path in found)
    if largest < needed:
        raise TrainingError(
            f"the networks of {found[0].parent}/options.json take {needed / 1e6:.0f} MB, and its "
            f"checkpoints have {largest / 1e6:.0f} MB",
            hint="start a new run",
        )


def _check_memory(plan: Plan, device: torch.device, world: World) -> None:
    """Raise now if the pictures of one pass cannot fit into memory; of a GPU's it is not known."""
    count = plan.train.micro_batch or plan.train.batch
    count = -(-count // world.size)
    if device.type == "cpu":
        needed = PASS_MEMORY * 3.0 * count * plan.model.size**2
        what = f"a pass of {count} pictures of {plan.model.size} pixels"
        check_memory(needed, what, "choose a smaller `micro_batch`, or a smaller `batch`")


def _pick_device(
    name: str, plan: Plan, resumed: Run | None, world: World, say: Callable[[str], None]
) -> tuple[torch.device, Choice]:
    """This process's device, and how all of them compute."""
    device = world.each(lambda: pick_device(world.device(name)))
    choice = world.first(lambda: choose(plan, resumed, device, say))
    decided = device.type == "cpu" and can_bfloat16()  # by the first process, then
    usable = "bf16" if decided else pick_precision(plan.train.precision, device)
    if choice.precision == "bf16" and world.lowest(usable) == "fp32":
        choice = Choice(device.type, "fp32")
    many = f"{world.size} processes on " if world.size > 1 else ""
    say(f"device: {many}{describe(device)}, {choice.precision}")
    return device, choice


def _read_faces(plan: Plan, workers: int | None, callbacks: Callbacks) -> Dataset:
    faces = load_dataset(
        plan.data,
        plan.model.size,
        plan.crop,
        cache_folder() / "datasets",
        frame=Frame() if plan.align else None,
        split=plan.split,
        max_images=plan.max_images,
        workers=workers,
        on_step=callbacks.loading,
    )
    kept = len(faces.validation())
    callbacks.on_message(f"data: {len(faces.names)} faces, {kept} kept for validation")
    for line in faces.explain_skipped():
        callbacks.on_message(f"skipped: {line}")
    callbacks.on_message(f"face size: {_name_sizes(faces.face_sizes)}")
    return faces


def _name_sizes(counts: dict[str, int]) -> str:
    if len(counts) > SIZES_NAMED:
        return f"{min(map(int, counts))} to {max(map(int, counts))} pixels"
    return ", ".join(f"{size} ({count} pictures)" for size, count in counts.items())


def _read_attributes(plan: Plan, faces: Dataset, say: Callable[[str], None]) -> Attributes | None:
    """The attributes of all faces, read before any long work."""
    if not plan.attributes:
        return None
    known = read_attributes(plan.attributes, faces.names)
    say(f"attributes: {', '.join(known.names)}")
    return known


def _end_dry_run(
    plan: Plan,
    faces: Dataset,
    device: torch.device,
    choice: Choice,
    world: World,
    out: Path,
    say: Callable[[str], None],
) -> Trained:
    """Say whether the faces are framed alike, and what time and disk the run would take."""
    chosen = faces.training()
    if world.is_first:
        tell_framing(plan, measure_eyes(faces.images[chosen[: snapshots.MEASURED]]), say)
    found = estimate(plan, faces, device, choice, world)
    say(f"dry run: {plan.train.kimg:g} kimg would be trained on {len(chosen)} faces")
    found.tell(say)
    check_disk(found, out, say)
    return Trained(None, None, 0, skipped=faces.skipped, estimate=found)
