"""One stretch of training, from start or resume to its end: the order of its stages."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ... import __version__, weights
from ...core.device import peak_memory_mb, pick_precision
from ...data.dataset import Dataset
from ...faces.align import measure_frame
from ...faces.config import Frame
from ...latents.attributes import Attributes, Direction
from ...latents.coordinates import Coordinates, latent_metric
from ...latents.latent import draw_latents
from ...models.building import build_drawer
from ...models.drawing import Drawer, draw_faces
from ...models.encoder import Encoder
from ...pictures import images
from ..batches import Batches
from ..distributed.world import World
from ..finish.directions import find_directions
from ..finish.encoding import train_encoder
from ..health import spread
from ..loop import Step, train_loop
from ..runs.checkpoint import save_checkpoint
from ..runs.folder import Run, snapshot_label
from ..runs.history import RESUMED, History
from ..runs.plan import Plan
from ..runs.report import write_report
from ..state import TrainState
from .quality import Quality
from .recovery import Recovery

TICK = 1000  # pictures between two lines of the log
SHOWN = 64  # faces in a snapshot's grid
MEASURED = 256  # faces in which the places of the eyes are measured


@dataclass(frozen=True)
class Trained:
    """Where the run is, and the averaged generator's weights (None for a dry run)."""

    run: Path | None
    weights: Path | None  # None too for a run that was stopped: its folder has its own
    images: int  # real pictures shown
    finished: bool = True


class Session:
    """One stretch of training, from start or resume to its end."""

    def __init__(
        self,
        plan: Plan,
        run: Run,
        device: torch.device,
        attributes: Attributes | None,
        say: Callable[[str], None],
        world: World,
        on_alone: Callable[[], None] = lambda: None,
    ) -> None:
        self.on_alone = on_alone  # the others of this process's machine only wait from now on
        self.plan, self.run, self.device, self.say = plan, run, device, say
        self.world = world  # of its processes the first alone writes
        self.attributes = attributes  # of all faces
        self.precision = world.lowest(pick_precision(plan.train.precision, device))
        self.state = TrainState.fresh(plan.model, plan.train, device)
        self.recovery = Recovery(plan, run, self.state, device, world, say)
        self.ticks: list[Step] = []
        self.frame: Frame | None = None
        self.spread = 0.0  # of real faces
        self.quality: Quality | None = None
        self.should_stop: Callable[[], bool] = lambda: False

    def run_to_the_end(
        self,
        faces: Dataset,
        resuming: bool,
        on_step: Callable[[Step], None],
        on_encoder: Callable[[int, int], None],
        should_stop: Callable[[], bool],
    ) -> Trained:
        if resuming:
            self._resume()
        self.say(f"run: {self.run.folder}")
        config = self.plan.train
        self.should_stop = should_stop
        if self.world.is_first:
            some = faces.images[faces.training()[:MEASURED]]
            self.frame, self.spread = measure_frame(some), spread(images.to_tensor(some))
            self.quality = Quality(self.run, faces, self.device, self.precision, self.say)

        def step(report: Step) -> None:
            self._tick(report)
            on_step(report)

        batches = Batches(faces.images, faces.training(), config.seed, config.mirror)
        train_loop(
            self.state,
            batches,
            config,
            self.precision,
            on_step=step if self.world.is_first else lambda report: None,
            on_snapshot=self._snapshot if self.world.is_first else lambda state: None,
            go_back=self._go_back,
            should_stop=should_stop,
            world=self.world,
        )
        if self.state.images < config.kimg * 1000:
            return Trained(self.run.folder, None, self.state.images, finished=False)
        published = self.world.first(
            lambda: self._published(faces, batches, on_encoder, should_stop)
        )
        return Trained(
            self.run.folder, published, self.state.images, finished=published is not None
        )

    def _published(
        self,
        faces: Dataset,
        batches: Batches,
        on_encoder: Callable[[int, int], None],
        should_stop: Callable[[], bool],
    ) -> Path | None:
        """Give the finished generator its metric, encoder and directions, and publish it all.

        None if it was stopped; a resumed run begins here again.
        """
        config, drawer = self.plan.train, build_drawer(self.state.average)
        if self.world.size > 1:
            self.on_alone()
        if self.quality is not None:
            self.quality.finish(self.state.images)
        self.say("measuring the directions of latent space")
        metric = latent_metric(drawer)
        coordinates = Coordinates.of(metric)
        self.say("training the encoder")
        encoder = train_encoder(
            drawer,
            coordinates,
            batches,
            config,
            self.precision,
            on_step=on_encoder,
            should_stop=should_stop,
        )
        if encoder is None:
            return None
        directions = self._directions(faces, drawer, coordinates, encoder, on_encoder, should_stop)
        if directions is None:
            return None
        name = self.plan.name
        if weights.is_published(name):
            self.say(f"replacing the weights '{name}' in the cache")
        scores = self.quality.scores if self.quality is not None else {}
        described = replace(self._description(), scores=scores)
        return weights.publish(name, self.state.average, described, metric, encoder, directions)

    def _directions(
        self,
        faces: Dataset,
        drawer: Drawer,
        coordinates: Coordinates,
        encoder: Encoder,
        on_step: Callable[[int, int], None],
        should_stop: Callable[[], bool],
    ) -> dict[str, Direction] | None:
        """The directions of the attributes asked for; None if it was stopped."""
        if self.attributes is None:
            return {}
        names = ", ".join(self.attributes.names)
        self.say(f"looking for the directions of {names}")
        chosen = faces.training()
        known = Attributes(self.attributes.names, self.attributes.values[chosen])
        return find_directions(
            drawer,
            coordinates,
            encoder,
            faces.images[chosen],
            known,
            seed=self.plan.train.seed,
            precision=self.precision,
            on_step=on_step,
            should_stop=should_stop,
        )

    def _resume(self) -> None:
        """Go on from the newest checkpoint that can be read, if there is one."""
        found, kimg = self.recovery.restore(), self.state.images / 1000
        if self.world.is_first:
            self.run.log({"event": RESUMED, "kimg": kimg, "time": round(time.time(), 1)})
        self.say(f"resumed after {kimg:g} kimg" if found else "no checkpoint yet: starting anew")

    def _go_back(self) -> None:
        self.ticks.clear()
        self.recovery.go_back()

    def _tick(self, report: Step) -> None:
        """Log the mean of the steps of each `TICK` pictures, and of what is left at the end."""
        self.ticks.append(report)
        before = report.images - report.new
        if report.images // TICK == before // TICK and report.images < report.total:
            return
        names = [f.name for f in fields(Step)][2:-1]
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
        label = snapshot_label(state.images, self.plan.train.batch)
        drawer = build_drawer(state.average)
        faces = draw_faces(drawer, draw_latents(drawer, range(SHOWN)))
        grid = self.run.folder / f"fakes{label}.png"
        images.save_picture(grid, images.grid(images.to_uint8(faces)))
        path = self.run.folder / f"weights-{label}.safetensors"
        weights.save_weights(path, state.average, self._description())
        save_checkpoint(self.run.folder, state.images, state.pack())
        self.recovery.watch(spread(faces), self.spread)
        self._measure(faces)  # after all that must not be lost
        self._tell(grid)

    def _measure(self, faces: Tensor) -> None:
        """Measure the averaged generator, but not where somebody waits for the run to stop."""
        finished = self.state.images >= self.plan.train.kimg * 1000
        if self.quality is not None and (finished or not self.should_stop()):
            self.quality.measure(self.state.average, faces, self._description(), must=finished)

    def _tell(self, grid: Path) -> None:
        """Log the snapshot, write the report, and say in one line how the run stands."""
        self.run.log({"kimg": self.state.images / 1000, "snapshot": grid.name})
        history = History.read(self.run.folder / "log.jsonl")
        write_report(self.run.folder, history)
        self.say(history.line(self.plan.train.kimg))

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
