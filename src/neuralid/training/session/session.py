"""One stretch of training, from start or resume to its end: the order of its stages."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import torch

from ...core.device import peak_memory_mb
from ...data.dataset import explain_skipped
from ..batches import Batches
from ..loop import Step, train_loop
from ..runs.folder import Run
from ..runs.records import RESUMED, Event, Tick, now
from ..state import TrainState
from .choice import use_forms
from .estimate import Estimate
from .job import Job
from .publish import finish_and_publish
from .recovery import Recovery
from .snapshots import Snapshots

TICK = 1000  # pictures between two lines of the log


@dataclass(frozen=True)
class Trained:
    """Where the run is, and the averaged generator's weights (None for a dry run)."""

    run: Path | None
    weights: Path | None  # None also for a stopped run, whose folder has its own
    images: int  # real pictures shown
    finished: bool = True
    skipped: dict[str, str] = field(default_factory=dict)  # pictures not used -> why
    estimate: Estimate | None = None  # of a dry run: what it would take

    @property
    def report(self) -> Path | None:
        """The page that shows how the run went; None before its first snapshot."""
        page = None if self.run is None else self.run / "report.html"
        return page if page is not None and page.is_file() else None

    def explain_skipped(self) -> list[str]:
        """For each reason, how many pictures were skipped, and the first of them."""
        return explain_skipped(self.skipped)


class Session:
    """One stretch of training, from start or resume to its end."""

    def __init__(self, job: Job) -> None:
        plan, run, device = job.plan, job.run, job.device
        self.job = job
        self.state = TrainState.fresh(plan.model, plan.train, device)
        use_forms(self.state, job.choice)
        self.recovery = Recovery(plan, run, self.state, device, job.world, job.say)
        self.ticks = Ticks(run, device)

    def run_to_the_end(self, resuming: bool) -> Trained:
        """Train, then finish and publish the generator, unless it is told to stop."""
        job = self.job
        found = resuming and self._resume()
        if job.plan.from_weights and not found:
            self.recovery.begin()
        job.say(f"run: {job.run.folder}")
        snapshots = Snapshots(job, self.recovery) if job.world.is_first else None
        batches = _batches(job)
        self._train(batches, snapshots)
        images = self.state.images
        if images < job.plan.train.kimg * 1000:
            return Trained(job.run.folder, None, images, False, job.faces.skipped)
        path = finish_and_publish(job, self.state, batches, snapshots)
        return Trained(job.run.folder, path, images, path is not None, job.faces.skipped)

    def _resume(self) -> bool:
        """Go on from the newest checkpoint that can be read; False if there is none yet."""
        found, kimg = self.recovery.restore(), self.state.images / 1000
        if self.job.world.is_first:
            self.job.run.log(Event(RESUMED, kimg, time=now()))
        self.job.say(
            f"resumed after {kimg:g} kimg" if found else "no checkpoint yet: starting over"
        )
        return found

    def _train(self, batches: Batches, snapshots: Snapshots | None) -> None:
        job = self.job

        def on_step(step: Step) -> None:
            if job.world.is_first:
                self.ticks.add(step)
                job.callbacks.on_step(step)

        def on_snapshot(state: TrainState) -> None:
            job.world.alone(lambda: snapshots.write(state) if snapshots is not None else None)

        train_loop(
            self.state,
            batches,
            job.plan.train,
            job.precision,
            on_step=on_step,
            on_snapshot=on_snapshot,
            go_back=self._go_back,
            should_stop=job.callbacks.should_stop,
            world=job.world,
            on_message=job.say,
        )

    def _go_back(self) -> None:
        self.ticks.clear()
        self.recovery.go_back()


class Ticks:
    """Logs the mean of the steps over each `TICK` pictures, and over the rest at the end."""

    def __init__(self, run: Run, device: torch.device) -> None:
        self.run, self.device = run, device
        self._steps: list[Step] = []

    def add(self, step: Step) -> None:
        """Take in a step; the one that reaches the next `TICK` pictures writes a line."""
        self._steps.append(step)
        before = step.images - step.new
        if step.images // TICK == before // TICK and step.images < step.total:
            return
        names = [f.name for f in fields(Step) if f.name not in ("images", "total", "new")]
        means = {name: _mean([getattr(step, name) for step in self._steps]) for name in names}
        self.clear()
        self.run.log(
            Tick(
                step.images / 1000,
                **means,
                memory_mb=peak_memory_mb(self.device),
                device=str(self.device),
                time=now(),
            )
        )

    def clear(self) -> None:
        """Forget the steps since the last line."""
        self._steps.clear()


def _mean(values: list[float | None]) -> float | None:
    """The mean, to be read; None where there is nothing to tell."""
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 5) if known else None


def _batches(job: Job) -> Batches:
    config, faces = job.plan.train, job.faces
    batches = Batches(faces.images, faces.training(), config.seed, config.mirror)
    batches.place(job.device)
    return batches
