"""TensorBoard event files in a run's folder, from the records of its log; an optional extra."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...core.errors import ConfigError
from ...core.files import one_line_errors
from ...pictures.images import load_rgb
from .folder import Run
from .records import Measured, Record, Snapshot, Tick

_TAGS = {
    "loss_d": "loss/discriminator",
    "loss_g": "loss/generator",
    "d_real": "discriminator/real",
    "d_fake": "discriminator/fake",
    "augment_p": "augmentation/probability",
    "real_sign": "augmentation/real_sign",
    "images_per_second": "speed/images_per_second",
    "memory_mb": "speed/memory_mb",
}


def check_installed(wanted: bool) -> None:
    """Raise `ConfigError`, before any long work, if TensorBoard is ``wanted`` but missing."""
    if wanted and find_spec("tensorboard") is None:
        raise ConfigError(
            "`tensorboard` needs the package tensorboard, which is not installed",
            hint="pip install 'neuralid[tensorboard]'",
        )


@contextmanager
def event_files(run: Run) -> Iterator[None]:
    """While open, records of the run's log also go into event files in its folder."""
    events = EventFiles(run.folder)
    run.listeners.append(events)
    try:
        yield
    finally:
        run.listeners.remove(events)
        events.close()


class EventFiles:
    """A listener to a run's log; the step of every value is the number of pictures shown.

    A run that goes back, on resume or after it diverged, starts a new file. That tells TensorBoard
    to discard what earlier files say from that step on.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None
        self._step = -1

    def __call__(self, record: Record) -> None:
        if isinstance(record, Tick | Measured | Snapshot):
            with one_line_errors(self.folder):
                self._write(record)

    def close(self) -> None:
        if self._writer is not None:
            with one_line_errors(self.folder):
                self._writer.close()

    def _write(self, record: Tick | Measured | Snapshot) -> None:
        writer = self._writer_at(round(record.kimg * 1000))
        for tag, value in _scalars(record).items():
            if value is not None and math.isfinite(value):
                writer.add_scalar(tag, value, self._step)
        if isinstance(record, Snapshot):
            grid = load_rgb(self.folder / record.grid)
            writer.add_image("faces", grid, self._step, dataformats="HWC")
        writer.flush()  # a run that is killed loses none of them

    def _writer_at(self, step: int) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        if self._writer is None or step < self._step:
            self.close()
            self._writer = SummaryWriter(str(self.folder), purge_step=step)
        self._step = step
        return self._writer


def _scalars(record: Tick | Measured | Snapshot) -> dict[str, float | None]:
    """Values by tag."""
    match record:
        case Tick():
            return {tag: getattr(record, key) for key, tag in _TAGS.items()}
        case Measured():
            return {f"metrics/{name}": value for name, value in record.metrics.items()}
        case Snapshot():
            return {}
