"""What a run writes at each snapshot: faces, weights, a checkpoint, metrics, the report."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ... import weights
from ...core.version import __version__
from ...faces.align import measure_eyes
from ...latents.latent import draw_latents
from ...models.building import build_drawer
from ...models.drawing import draw_faces
from ...pictures import images
from ..health import spread
from ..runs.checkpoint import save_checkpoint
from ..runs.folder import snapshot_label
from ..runs.history import History
from ..runs.records import Snapshot
from ..runs.report import write_report
from ..state import TrainState
from .framing import tell_framing
from .job import Job
from .quality import Quality
from .recovery import Recovery

SHOWN = 64  # faces in a snapshot's grid
MEASURED = 256  # faces on which the places of the eyes are measured


class Snapshots:
    """Writes the snapshots of one stretch of training, and keeps what is known about the faces."""

    def __init__(self, job: Job, recovery: Recovery) -> None:
        self.job, self.recovery = job, recovery
        some = job.faces.images[job.faces.training()[:MEASURED]]
        eyes = measure_eyes(some)
        tell_framing(job.plan, eyes, job.say)
        self.frame = eyes.frame
        self.real_spread = spread(images.to_tensor(some))
        self.quality = Quality(job.run, job.faces, job.device, job.precision, job.say)

    def write(self, state: TrainState) -> None:
        """Write a grid, always of the same latents, the weights and a checkpoint; then measure."""
        plan, folder = self.job.plan, self.job.run.folder
        label = snapshot_label(state.images, plan.train.batch)
        drawer = build_drawer(state.average)
        faces = draw_faces(drawer, draw_latents(drawer, range(SHOWN)))
        grid = folder / f"fakes{label}.png"
        images.save_picture(grid, images.grid(images.to_uint8(faces)))
        path = folder / f"weights-{label}.safetensors"
        weights.save_weights(path, state.average, self.describe(state))
        save_checkpoint(folder, state.images, state.pack())
        self.recovery.watch(spread(faces), self.real_spread)
        self._measure(state, faces)  # last: by now all that must not be lost is written
        self._report(state, grid)

    def describe(self, state: TrainState) -> weights.Description:
        """What goes into the metadata of weights, without scores."""
        plan = self.job.plan
        return weights.Description(
            model=plan.model,
            images_seen=state.images,
            dataset=plan.data.name,
            crop=vars(plan.crop),
            frame=self.frame,
            recipe=plan.train.recipe.name,
            licence=plan.licence,
            version=__version__,
        )

    def _measure(self, state: TrainState, faces: Tensor) -> None:
        """Measure the averaged generator, unless someone is waiting for the run to stop."""
        finished = state.images >= self.job.plan.train.kimg * 1000
        if finished or not self.job.callbacks.should_stop():
            self.quality.measure(state.average, faces, self.describe(state), must=finished)

    def _report(self, state: TrainState, grid: Path) -> None:
        """Log the snapshot, write the report, and summarise the run in one line."""
        run = self.job.run
        run.log(Snapshot(state.images / 1000, grid.name))
        history = History.read(run.log_path)
        write_report(run.folder, history)
        self.job.say(history.line(self.job.plan.train.kimg))
