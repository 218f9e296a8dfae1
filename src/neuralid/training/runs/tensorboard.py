"""TensorBoard event files in a run's folder, from the lines of its log; an optional extra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...core.errors import ConfigError
from ...core.files import one_line_errors
from ...pictures.images import load_rgb
from .folder import Run
from .history import number

_TAGS = {
    "loss_d": "loss/discriminator",
    "loss_g": "loss/generator",
    "d_real": "discriminator/real",
    "d_fake": "discriminator/fake",
    "images_per_second": "speed/images_per_second",
    "memory_mb": "speed/memory_mb",
}


def check_installed(wanted: bool) -> None:
    """Raises `ConfigError`, before anything long begins, if it is ``wanted`` and not there."""
    if wanted and find_spec("tensorboard") is None:
        raise ConfigError(
            "--tensorboard needs the package tensorboard, which is not installed",
            hint="pip install 'neuralid[tensorboard]'",
        )


@contextmanager
def event_files(run: Run) -> Iterator[None]:
    """While open, what is written to the run's log goes into event files in its folder too."""
    events = EventFiles(run.folder)
    run.listeners.append(events)
    try:
        yield
    finally:
        run.listeners.remove(events)
        events.close()


class EventFiles:
    """A listener to a run's log; the step of every value is the number of pictures shown.

    A run that goes back, on resume or after it diverged, begins a new file, which tells
    TensorBoard to forget what the earlier ones say of that step and later ones.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: Any = None
        self._step = -1

    def __call__(self, line: dict[str, Any]) -> None:
        kimg = number(line.get("kimg"))
        if kimg is None or "event" in line:
            return
        with one_line_errors(self.folder):
            self._write(line, kimg)

    def close(self) -> None:
        if self._writer is not None:
            with one_line_errors(self.folder):
                self._writer.close()

    def _write(self, line: dict[str, Any], kimg: float) -> None:
        writer = self._writer_at(round(kimg * 1000))
        values = {tag: line.get(key) for key, tag in _TAGS.items()}
        values |= {f"metrics/{name}": value for name, value in line.get("metrics", {}).items()}
        for tag, value in values.items():
            if (known := number(value)) is not None:
                writer.add_scalar(tag, known, self._step)
        if "snapshot" in line:
            grid = load_rgb(self.folder / line["snapshot"])
            writer.add_image("faces", grid, self._step, dataformats="HWC")
        writer.flush()  # a run that is killed loses none of them

    def _writer_at(self, step: int) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        if self._writer is None or step < self._step:
            self.close()
            self._writer = SummaryWriter(str(self.folder), purge_step=step)
        self._step = step
        return self._writer
