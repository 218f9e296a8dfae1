"""``train``: a folder of faces -> a run folder, and weights in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from .. import __version__, weights
from ..attributes import UTKFACE, Attributes, read_attributes
from ..config import Frame, Recipe
from ..dataset import Dataset, load_dataset
from ..device import describe, pick_device, pick_precision
from ..errors import OutputError
from ..files import check_writable
from ..training.loop import Step
from ..training.plan import Plan, new_plan, resumed_plan
from ..training.runs import Run
from ..training.tensorboard import check_installed, event_files
from ._session import Session, Trained
from ._studio import quiet

SIZES_NAMED = 4  # face sizes that are named one by one


def train(
    data: str | Path | None = None,
    *,
    out: str | Path = "runs",
    name: str | None = None,
    licence: str | None = None,
    attributes: str | Path | None = None,
    size: int | None = None,
    latent_size: int | None = None,
    kimg: float | None = None,
    batch: int | None = None,
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
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train a generator on a folder or zip of faces (paper, sections 2.1 and 3).

    Options left out take the defaults of `TrainConfig`, `ModelConfig` and `CropConfig`, or, with
    ``resume`` (a run's folder, its name under ``out``, or "latest"), those of the run; only
    ``kimg``, ``snapshot``, ``precision``, ``data``, ``licence`` and ``attributes`` may differ from
    it. ``kimg`` and ``snapshot`` are thousands of pictures; ``face_size`` and the deltas pixels;
    ``rotation`` degrees. With ``align`` the largest face of each picture is found and framed, as
    `Frame` says. ``attributes`` is a list in CelebA's format, or "utkface" for that data set's file
    names: the weights then hold a direction in latent space for each attribute. ``tensorboard``
    writes event files into the run's folder; it needs the extra of that name.

    ``on_load(done, total)`` hears of pictures read, ``on_step`` of training steps,
    ``on_encoder(done, total)`` of what comes after, the encoder's and then the directions',
    ``on_message`` of anything worth a line. When ``should_stop()`` says so, the run saves and ends
    early, and nothing is published; while pictures are read it ends in a `KeyboardInterrupt`.

    Raises `DataError`, `TrainingError`, `ConfigError`, `DeviceError` or `OutputError`.
    """
    options = {
        "data": data,
        "name": name,
        "licence": licence,
        "attributes": _source(attributes),
        "max_images": max_images,
        "size": size,
        "latent_size": latent_size,
        "face_size": face_size,
        "delta_i": delta_i,
        "delta_j": delta_j,
        "rotation": rotation,
        "align": align,
        "kimg": kimg,
        "batch": batch,
        "recipe": recipe,
        "mirror": mirror,
        "snapshot": snapshot,
        "seed": seed,
        "precision": precision,
    }
    check_installed(tensorboard)
    resumed = Run.find(Path(out), resume) if resume is not None else None
    plan = resumed_plan(resumed, options) if resumed else new_plan(options)
    where = pick_device(device)
    on_message(f"device: {describe(where)}, {pick_precision(plan.train.precision, where)}")

    with ExitStack() as held:
        if resumed is None:
            check_writable(_nearest_folder(Path(out)) / "run")
        else:
            held.enter_context(resumed.locked())
        faces = _load(plan, workers, _stoppable(on_load, should_stop), on_message)
        known = _attributes(plan, faces, on_message)
        if dry_run:
            return _not_trained(plan, faces, on_message)
        run = resumed or _new_run(Path(out), plan, faces, held)
        held.enter_context(_told_how_to_go_on(run))
        facts = {"version": __version__, "pictures": _pictures(resumed, faces, on_message)}
        run.write_options({**plan.to_dict(), **facts})
        if tensorboard:
            held.enter_context(event_files(run))
        return Session(plan, run, where, known, on_message).run_to_the_end(
            faces, resumed is not None, on_step, on_encoder, should_stop
        )


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


def _stoppable(
    on_load: Callable[[int, int], None], should_stop: Callable[[], bool]
) -> Callable[[int, int], None]:
    def loading(done: int, total: int) -> None:
        if should_stop():
            raise KeyboardInterrupt
        on_load(done, total)

    return loading


def _not_trained(plan: Plan, faces: Dataset, say: Callable[[str], None]) -> Trained:
    say(f"dry run: {plan.train.kimg:g} kimg would be trained on {len(faces.training())} faces")
    return Trained(None, None, 0)


def _load(
    plan: Plan,
    workers: int | None,
    on_load: Callable[[int, int], None],
    say: Callable[[str], None],
) -> Dataset:
    faces = load_dataset(
        plan.data,
        plan.model.size,
        plan.crop,
        weights.cache_folder() / "datasets",
        frame=Frame() if plan.align else None,
        max_images=plan.max_images,
        workers=workers,
        on_step=on_load,
    )
    skipped = f", {len(faces.skipped)} unreadable ones skipped" if faces.skipped else ""
    say(f"data: {len(faces.names)} faces{skipped}, {len(faces.validation())} kept for validation")
    say(f"face size: {_sizes(faces.face_sizes)}")
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
