"""How a run judges its own faces: metrics at snapshots, the best weights, the nearest faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ... import weights
from ...core.errors import WeightsError
from ...data.dataset import Dataset
from ...models.building import build_drawer
from ...models.network import GeneratorNetwork
from ..metrics.judge import Judge
from ..metrics.neighbours import study
from ..metrics.sets import RealFaces
from ..metrics.table import BEST, METRICS
from ..runs.folder import Run
from ..runs.history import History
from ..runs.neighbours_page import write_neighbours
from ..runs.records import Floors, Measured, number

BEST_NAME = "weights-best.safetensors"
FEW = 100  # held-out faces below which metrics tell little


class Quality:
    """Measures the averaged generator of one run, and keeps what it finds in the run's folder."""

    def __init__(
        self,
        run: Run,
        faces: Dataset,
        device: torch.device,
        precision: str,
        say: Callable[[str], None],
    ) -> None:
        self.run, self.faces, self.say = run, faces, say
        # Not on Apple's GPUs: they have no float64, which the Fréchet distance needs.
        where = device if device.type == "cuda" else torch.device("cpu")
        real = RealFaces.choose(faces.images, faces.training(), faces.validation(), where)
        before = History.read(run.log_path)
        known = {k: v for k, v in before.floors.items() if k in METRICS and v is not None}
        self.judge = Judge(real, precision, known, ran=before.seconds, spent=before.judging)
        self.scores: dict[str, float] = {}  # of the last snapshot, as far as they were measured
        self.best = self._read_best()  # its score, and pictures shown
        if (kept := len(faces.validation())) < FEW:
            say(f"only {kept} faces are kept for validation: the metrics will tell little")

    def measure(
        self,
        generator: GeneratorNetwork,
        first: Tensor,
        description: weights.Description,
        must: bool,
    ) -> None:
        """Log how near drawn faces are to real ones, and keep the weights if they are the best.

        ``first`` are the generator's faces for the first seeds, which are drawn already. ``must``:
        measure all, whatever time it takes.
        """
        known = len(self.judge.floors)
        found = self.judge.measure(build_drawer(generator), first, must)
        self.scores = _rounded(found.values)
        self._keep_best(generator, description)  # first, so that the log names no missing file
        if len(self.judge.floors) > known:
            self.run.log(Floors({**_rounded(self.judge.floors)}))
        kimg, seconds = description.images_seen / 1000, round(found.seconds, 2)
        self.run.log(Measured(kimg, {**self.scores}, found.skipped, seconds))

    def _keep_best(self, generator: GeneratorNetwork, description: weights.Description) -> None:
        score = number(self.scores.get(BEST))
        if score is not None and (self.best is None or score < self.best[0]):
            path = self.run.folder / BEST_NAME
            weights.save_weights(path, generator, replace(description, scores=self.scores))
            self.best = score, description.images_seen

    def is_best(self, images: int) -> bool:
        """Whether the best weights are those after so many pictures."""
        return self.best is not None and self.best[1] == images

    def finish(self, images: int) -> None:
        """Say where the best weights are, if not the last, and write the page of nearest faces."""
        if self.best is not None and not self.is_best(images):
            at = f"{self.best[1] / 1000:g} kimg"
            self.say(f"best by {METRICS[BEST].label}: {self.run.folder / BEST_NAME}, after {at}")
        faces, drawn = self.faces, self.judge.drawn
        if drawn is None or not drawn.isfinite().all():
            return
        found = study(drawn, faces.images, faces.training(), faces.validation())
        path = write_neighbours(self.run.folder, found, faces.images, faces.names, images / 1000)
        self.say(f"nearest training faces: {path}")

    def _read_best(self) -> tuple[float, int] | None:
        """The score in a resumed run's best weights, and the pictures shown; None without them."""
        try:
            before = weights.load_weights(self.run.folder / BEST_NAME).description
            return before.scores[BEST], before.images_seen
        except (WeightsError, KeyError):
            return None


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in values.items()}
