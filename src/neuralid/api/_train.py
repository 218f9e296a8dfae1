"""``train``: a folder of faces -> a run folder, and weights in the cache."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .. import __version__, weights
from ..core.device import describe, pick_device, pick_precision
from ..core.errors import OutputError
from ..core.files import check_writable
from ..data.dataset import Dataset, load_dataset
from ..faces.config import Frame
from ..latents.attributes import UTKFACE, Attributes, read_attributes
from ..models.recipe import Recipe
from ..training.distributed.launch import launch_name, launch_time, was_launched
from ..training.distributed.world import World, check_shares, join_world
from ..training.loop import Step
from ..training.runs.folder import Run
from ..training.runs.plan import Plan, new_plan, resumed_plan
from ..training.runs.tensorboard import check_installed, event_files
from ..training.session.session import Session, Trained
from ._studio import quiet

SIZES_NAMED = 4  # face sizes that are named one by one


def train(
    data: str | Path | None = None,
    *,
    out: str | Path = "runs",
    name: str | None = None,
    licence: str | None = None,
    attributes: str | Path | None = None,
    architecture: str | None = None,
    size: int | None = None,
    latent_size: int | None = None,
    kimg: float | None = None,
    batch: int | None = None,
    micro_batch: int | None = None,
    recipe: str | Recipe | None = None,
    face_size: int | None = None,
    delta_i: int | None = None,
    delta_j: int | None = None,
    rotation: float | None = None,
    align: bool | None = None,
    mirror: bool | None = None,
    resume: str | None = None,
    snapshot: float | None = None,
    seed: int | None = None,
    workers: int | None = None,
    max_images: int | None = None,
    device: str = "auto",
    precision: str | None = None,
    tensorboard: bool = False,
    dry_run: bool = False,
    on_load: Callable[[int, int], None] = lambda done, total: None,
    on_step: Callable[[Step], None] = lambda step: None,
    on_encoder: Callable[[int, int], None] = lambda done, total: None,
    on_message: Callable[[str], None] = quiet,
    on_alone: Callable[[], None] = lambda: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train a generator on a folder or zip of faces (paper, sections 2.1 and 3).

    Options left out take the defaults of `TrainConfig`, `ModelConfig` and `CropConfig` (the recipe
    that of the architecture), or, with
    ``resume`` (a run's folder, its name under ``out``, or "latest"), those of the run; only
    ``kimg``, ``snapshot``, ``precision``, ``micro_batch``, ``data``, ``licence`` and ``attributes``
    may differ from it. ``batch`` is for all processes together, and with ``micro_batch`` goes
    through the networks in parts of that size. ``kimg`` and ``snapshot`` are thousands of
    pictures; ``face_size`` and the deltas pixels; ``rotation`` degrees. With
    ``align`` the largest face of each picture is found and framed, as `Frame` says. ``attributes``
    is a list in CelebA's format, or "utkface" for that data set's file names: the weights then
    hold a direction in latent space for each attribute. ``tensorboard`` writes event files into
    the run's folder; it needs the extra of that name.

    ``on_load(done, total)`` hears of pictures read, ``on_step`` of training steps,
    ``on_encoder(done, total)`` of what comes after, the encoder's and then the directions',
    ``on_message`` of anything worth a line. ``on_alone()`` is called in the first of several
    processes, once the others only wait for it. When ``should_stop()`` says so, the run saves and
    ends early, and nothing is published; while pictures are read it ends in a `KeyboardInterrupt`.

    Under ``torchrun``, or in a program that has set up ``torch.distributed``, every process calls
    this alike; the first one writes, and its callbacks are the ones that hear.

    Raises `DataError`, `TrainingError`, `ConfigError`, `DeviceError` or `OutputError`.
    """
    options = {
        "data": data,
        "name": name,
        "licence": licence,
        "attributes": _source(attributes),
        "max_images": max_images,
        "architecture": architecture,
        "size": size,
        "latent_size": latent_size,
        "face_size": face_size,
        "delta_i": delta_i,
        "delta_j": delta_j,
        "rotation": rotation,
        "align": align,
        "kimg": kimg,
        "batch": batch,
        "micro_batch": micro_batch,
        "recipe": recipe,
        "mirror": mirror,
        "snapshot": snapshot,
        "seed": seed,
        "precision": precision,
    }
    check_installed(tensorboard)
    talk = _Talk(on_load, on_step, on_encoder, on_message, on_alone, should_stop)
    start = _Start(Path(out), resume, workers, device, tensorboard, dry_run)
    with join_world() as world:
        return _train(options, start, talk if world.is_first else talk.silent(), world)


@dataclass(frozen=True)
class _Start:
    """What does not decide the outcome."""

    out: Path
    resume: str | None
    workers: int | None
    device: str
    tensorboard: bool
    dry_run: bool


@dataclass(frozen=True)
class _Talk:
    """Who hears of how it goes."""

    on_load: Callable[[int, int], None] | None
    on_step: Callable[[Step], None]
    on_encoder: Callable[[int, int], None]
    say: Callable[[str], None]
    on_alone: Callable[[], None]
    should_stop: Callable[[], bool]

    def silent(self) -> _Talk:
        return _Talk(
            None, lambda step: None, lambda done, total: None, quiet, lambda: None, self.should_stop
        )

    def loading(self, done: int, total: int) -> None:
        if self.should_stop():
            raise KeyboardInterrupt
        if self.on_load is not None:
            self.on_load(done, total)


def _train(options: dict[str, Any], start: _Start, talk: _Talk, world: World) -> Trained:
    """The first process finds, reads and makes the files of the run; the others hear of it."""
    resumed = world.alone(lambda: _resumed(start, options))
    plan = world.first(lambda: resumed_plan(resumed, options) if resumed else new_plan(options))
    check_shares(plan.train, world.size)
    where = world.each(lambda: pick_device(world.device(start.device)))
    many = f"{world.size} processes on " if world.size > 1 else ""
    precision = world.lowest(pick_precision(plan.train.precision, where))
    talk.say(f"device: {many}{describe(where)}, {precision}")

    with ExitStack() as held:
        if where.type == "cuda":
            held.enter_context(torch.cuda.device(where))
        world.alone(lambda: _keep(start, resumed, held))
        faces = world.in_turn(lambda: _load(plan, start.workers, talk))
        known = world.alone(lambda: _attributes(plan, faces, talk.say))
        if start.dry_run:
            return _not_trained(plan, faces, talk.say)
        resuming = world.first(lambda: resumed is not None)
        made = world.alone(lambda: _begun(resumed, start, plan, faces, held, talk.say))
        folder = world.first(lambda: made.folder if made else start.out)
        run = made or Run(folder)
        held.enter_context(_told_how_to_go_on(run))
        if start.tensorboard and world.is_first:
            held.enter_context(event_files(run))
        return Session(plan, run, where, known, talk.say, world, talk.on_alone).run_to_the_end(
            faces, resuming, talk.on_step, talk.on_encoder, talk.should_stop
        )


def _resumed(start: _Start, options: dict[str, Any]) -> Run | None:
    """The run to go on with: the one asked for, or that of this torchrun before a restart."""
    if start.resume is not None:
        return Run.find(start.out, start.resume)
    if not was_launched():
        return None
    wanted = new_plan(options).to_dict()
    return Run.launched_by(start.out, launch_name(), launch_time(), wanted)


def _keep(start: _Start, resumed: Run | None, held: ExitStack) -> None:
    """Keep other processes out of a run that is gone on with; a new one must have a place."""
    if resumed is None:
        check_writable(_nearest_folder(start.out) / "run")
    else:
        held.enter_context(resumed.locked())


def _begun(
    resumed: Run | None,
    start: _Start,
    plan: Plan,
    faces: Dataset,
    held: ExitStack,
    say: Callable[[str], None],
) -> Run:
    """The run's folder, with its options."""
    run = resumed or _new_run(start.out, plan, faces, held)
    facts = {"version": __version__, "pictures": _pictures(resumed, faces, say)}
    if was_launched():
        facts["launch"] = {"name": launch_name(), "time": time.time()}
    with _told_how_to_go_on(run):
        run.write_options({**plan.to_dict(), **facts})
    return run


def _pictures(resumed: Run | None, faces: Dataset, say: Callable[[str], None]) -> dict[str, Any]:
    """What tells one set of pictures from another; says so if the run began with others."""
    names = "\0".join(faces.names).encode("utf-8", "surrogateescape")
    now = {"count": len(faces.names), "names": hashlib.sha256(names).hexdigest()[:16]}
    before = resumed.read_options().get("pictures", now) if resumed else now
    if before != now:
        say(f"these are not the {before.get('count')} pictures the run began with")
    return now


@contextmanager
def _told_how_to_go_on(run: Run) -> Iterator[None]:
    """A file that cannot be written ends a run and loses nothing: the hint says so."""
    try:
        yield
    except OutputError as error:
        hint = error.hint or "make sure that the folder can be written to"
        error.hint = f"{hint}; go on with --resume {run.folder}"
        raise


def _not_trained(plan: Plan, faces: Dataset, say: Callable[[str], None]) -> Trained:
    say(f"dry run: {plan.train.kimg:g} kimg would be trained on {len(faces.training())} faces")
    return Trained(None, None, 0)


def _load(plan: Plan, workers: int | None, talk: _Talk) -> Dataset:
    faces = load_dataset(
        plan.data,
        plan.model.size,
        plan.crop,
        weights.cache_folder() / "datasets",
        frame=Frame() if plan.align else None,
        max_images=plan.max_images,
        workers=workers,
        on_step=talk.loading,
    )
    skipped = f", {len(faces.skipped)} unreadable ones skipped" if faces.skipped else ""
    kept = len(faces.validation())
    talk.say(f"data: {len(faces.names)} faces{skipped}, {kept} kept for validation")
    talk.say(f"face size: {_sizes(faces.face_sizes)}")
    return faces


def _nearest_folder(path: Path) -> Path:
    """The folder itself, or the nearest above it that exists: where it will be made."""
    return next(p for p in (path, *path.absolute().parents) if p.exists())


def _sizes(counts: dict[str, int]) -> str:
    if len(counts) > SIZES_NAMED:
        return f"{min(map(int, counts))} to {max(map(int, counts))} pixels"
    return ", ".join(f"{size} ({count} pictures)" for size, count in counts.items())


def _new_run(out: Path, plan: Plan, faces: Dataset, held: ExitStack) -> Run:
    run = Run.create(out, plan.name)
    held.enter_context(run.locked())
    for name, why in faces.skipped.items():
        run.log({"skipped": name, "why": why})
    return run


def _source(attributes: str | Path | None) -> str | None:
    """Where attributes come from; a list by its whole path, for the run to be resumed anywhere."""
    if attributes is None or str(attributes) in ("", UTKFACE):
        return None if attributes is None else str(attributes)
    return str(Path(attributes).resolve())


def _attributes(plan: Plan, faces: Dataset, say: Callable[[str], None]) -> Attributes | None:
    """Those of all faces, read before anything long begins."""
    if not plan.attributes:
        return None
    known = read_attributes(plan.attributes, faces.names)
    say(f"attributes: {', '.join(known.names)}")
    return known
