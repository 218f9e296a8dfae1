"""``train``: a folder of faces -> a run folder, and weights in the cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch

from .. import __version__, images, latent, weights
from ..align import measure_frame
from ..config import Frame, Recipe
from ..dataset import Dataset, load_dataset
from ..device import describe, peak_memory_mb, pick_device, pick_precision
from ..files import check_writable
from ..models.inference import FoldedGenerator, draw_faces, latent_metric
from ..training.batches import Batches
from ..training.checkpoint import load_checkpoint, save_checkpoint
from ..training.loop import Step, train_loop
from ..training.plan import Plan, new_plan, resumed_plan
from ..training.runs import Run
from ..training.state import TrainState
from ._studio import quiet

TICK = 1000  # pictures between two lines of the log
SHOWN = 64  # faces in a snapshot's grid
MEASURED = 256  # faces in which the places of the eyes are measured
SIZES_NAMED = 4  # face sizes that are named one by one


@dataclass(frozen=True)
class Trained:
    """Where the run is, and the averaged generator's weights (None for a dry run)."""

    run: Path | None
    weights: Path | None  # None too for a run that was stopped: its folder has its own
    images: int  # real pictures shown
    finished: bool = True


def train(
    data: str | Path | None = None,
    *,
    out: str | Path = "runs",
    name: str | None = None,
    licence: str | None = None,
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
    dry_run: bool = False,
    on_load: Callable[[int, int], None] | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
    on_message: Callable[[str], None] = quiet,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train a generator on a folder or zip of faces (paper, sections 2.1 and 3).

    Options left out take the defaults of `TrainConfig`, `ModelConfig` and `CropConfig`, or, with
    ``resume`` (a run's folder, its name under ``out``, or "latest"), those of the run; only
    ``kimg``, ``snapshot``, ``precision``, ``data`` and ``licence`` may differ from it. ``kimg`` and
    ``snapshot`` are thousands of pictures; ``face_size`` and the deltas pixels; ``rotation``
    degrees. With ``align`` the largest face of each picture is found and framed, as `Frame` says.

    ``on_load(done, total)`` hears of pictures read, ``on_step`` of training steps, ``on_message``
    of anything worth a line. When ``should_stop()`` says so, the run saves and ends early,
    and nothing is published; while pictures are read it ends in a `KeyboardInterrupt`.

    Raises `DataError`, `TrainingError`, `ConfigError`, `DeviceError` or `OutputError`.
    """
    options = {
        "data": data,
        "name": name,
        "licence": licence,
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
    resumed = Run.find(Path(out), resume) if resume is not None else None
    plan = resumed_plan(resumed, options) if resumed else new_plan(options)
    where = pick_device(device)
    on_message(f"device: {describe(where)}, {pick_precision(plan.train.precision, where)}")

    def loading(done: int, total: int) -> None:
        if should_stop():
            raise KeyboardInterrupt
        if on_load is not None:
            on_load(done, total)

    if resumed is None:
        check_writable(_nearest_folder(Path(out)) / "run")
    faces = _load(plan, workers, loading, on_message)
    if dry_run:
        kimg_, count = plan.train.kimg, len(faces.training())
        on_message(f"dry run: {kimg_:g} kimg would be trained on {count} faces")
        return Trained(None, None, 0)
    run = resumed or Run.create(Path(out), plan.name)
    run.write_options({**plan.to_dict(), "version": __version__})
    if resumed is None:
        _log_skipped(run, faces)
    session = _Session(plan, run, where, on_message)
    return session.run_to_the_end(faces, resumed is not None, on_step, should_stop)


class _Session:
    """One stretch of training, from start or resume to its end."""

    def __init__(
        self, plan: Plan, run: Run, device: torch.device, say: Callable[[str], None]
    ) -> None:
        self.plan, self.run, self.device, self.say = plan, run, device, say
        self.precision = pick_precision(plan.train.precision, device)
        self.state = TrainState.fresh(plan.model, plan.train, device)
        self.ticks: list[Step] = []
        self.frame: Frame | None = None

    def run_to_the_end(
        self,
        faces: Dataset,
        resuming: bool,
        on_step: Callable[[Step], None],
        should_stop: Callable[[], bool],
    ) -> Trained:
        if resuming:
            self._resume()
        self.say(f"run: {self.run.folder}")
        config = self.plan.train
        self.frame = measure_frame(faces.images[faces.training()[:MEASURED]])

        def step(report: Step) -> None:
            self._tick(report)
            on_step(report)

        train_loop(
            self.state,
            Batches(faces.images, faces.training(), config.seed, config.mirror),
            config,
            self.precision,
            on_step=step,
            on_snapshot=self._snapshot,
            should_stop=should_stop,
        )
        if self.state.images < config.kimg * 1000:
            return Trained(self.run.folder, None, self.state.images, finished=False)
        self.say("measuring the directions of latent space")
        metric = latent_metric(FoldedGenerator(self.state.average))
        if weights.is_published(self.plan.name):
            self.say(f"replacing the weights '{self.plan.name}' in the cache")
        path = weights.publish(self.plan.name, self.state.average, self._description(), metric)
        return Trained(self.run.folder, path, self.state.images)

    def _resume(self) -> None:
        load_checkpoint(
            self.run.folder,
            self.device,
            self.state.unpack,
            lambda path: self.say(f"{path.name} is damaged; going back to the one before"),
        )
        self.say(f"resumed after {self.state.images / 1000:.1f} kimg")

    def _tick(self, report: Step) -> None:
        """Log the mean of the steps of each `TICK` pictures, and of what is left at the end."""
        self.ticks.append(report)
        before = report.images - self.plan.train.batch
        if report.images // TICK == before // TICK and report.images < report.total:
            return
        names = [f.name for f in fields(Step)][2:]
        means = {n: round(float(np.mean([getattr(s, n) for s in self.ticks])), 5) for n in names}
        self.ticks.clear()
        self.run.log(
            {
                "kimg": report.images / 1000,
                **means,
                "memory_mb": peak_memory_mb(self.device),
                "device": str(self.device),
                "time": round(time.time(), 1),
            }
        )

    def _snapshot(self, state: TrainState) -> None:
        """Write a grid of the same latents as ever, the weights, and a checkpoint."""
        kimg = f"{state.images // 1000:06d}"
        z = latent.draw(range(SHOWN), self.plan.model.latent_size)
        faces = images.to_uint8(draw_faces(FoldedGenerator(state.average), z))
        images.save_picture(self.run.folder / f"fakes{kimg}.png", images.grid(faces))
        path = self.run.folder / f"weights-{kimg}.safetensors"
        weights.save_weights(path, state.average, self._description())
        save_checkpoint(self.run.folder, state.images, state.pack())

    def _description(self) -> weights.Description:
        return weights.Description(
            model=self.plan.model,
            images_seen=self.state.images,
            dataset=self.plan.data.name,
            crop=vars(self.plan.crop),
            frame=self.frame,
            recipe=self.plan.train.recipe.name,
            licence=self.plan.licence,
            version=__version__,
        )


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


def _log_skipped(run: Run, faces: Dataset) -> None:
    for name, why in faces.skipped.items():
        run.log({"skipped": name, "why": why})
