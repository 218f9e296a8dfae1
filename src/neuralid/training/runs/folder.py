"""The folder of one run: its options, its log, its pictures."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ...core.checks import nearest
from ...core.errors import OutputError, TrainingError
from ...core.files import (
    make_folder,
    one_line_errors,
    open_here,
    read_at_most,
    remove_unfinished,
    sync_folder,
    write_atomically,
)
from ...core.jsontext import parse_object
from ...core.locks import Held, locked
from .records import Record

_OPTIONS = "options.json"
MOST_OPTIONS = 1_000_000  # bytes of options.json; ours have hundreds


@dataclass(frozen=True)
class Run:
    """``runs/00000-name/``: options.json, log.jsonl, fakes, checkpoints and weights."""

    folder: Path
    listeners: list[Callable[[Record], None]] = field(default_factory=list)  # to the log

    @classmethod
    def create(cls, out: Path, name: str) -> Run:
        """Create a folder whose number is one above the highest so far."""
        make_folder(out)
        while True:
            number = max((number for number, _ in numbered(out)), default=-1) + 1
            folder = out / f"{number:05d}-{name}"
            try:
                with one_line_errors(folder):
                    folder.mkdir()
                    sync_folder(out)
                return cls(folder)
            except OutputError as error:
                other_was_quicker = isinstance(error.__cause__, FileExistsError)
                if not other_was_quicker:
                    raise

    @classmethod
    def find(cls, out: Path, which: str) -> Run:
        """The run ``which``: "latest", a path, a folder's name under ``out``, a name, a file.

        Of runs with one name, that is the newest. A file is one in a run's folder, or weights that
        bear a run's name.
        """
        if which == "latest":
            runs = sorted(numbered(out))
            found = [path for _, path in runs if (path / _OPTIONS).is_file()]
            if not found:
                raise TrainingError(
                    f"{out} has no runs to resume", hint="start one without `resume`"
                )
            return cls(found[-1])
        path = Path(which)
        of_file = cls.at(out, path.parent) if path.is_file() else None
        bears = cls.named(out, path.name.removesuffix(".safetensors"))
        if run := cls.at(out, which) or of_file or bears:
            return run
        near = nearest(which, [folder.name for _, folder in numbered(out)])
        raise TrainingError(
            f"{which} is not a training run", hint=f"{near}name its folder, or 'latest'"
        )

    @classmethod
    def at(cls, out: Path, folder: str | Path) -> Run | None:
        """The run in a folder, which is named by itself or as one under ``out``."""
        places = (Path(folder), out / folder)
        return next((cls(place) for place in places if (place / _OPTIONS).is_file()), None)

    @classmethod
    def named(cls, out: Path, name: str) -> Run | None:
        """The newest run under ``out`` that is called ``name``."""
        runs = (path for _, path in sorted(numbered(out), reverse=True))
        alike = (path for path in runs if path.name.partition("-")[2] == name)
        return next((cls(path) for path in alike if (path / _OPTIONS).is_file()), None)

    @classmethod
    def launched_by(
        cls, out: Path, name: str | None, since: float, options: dict[str, Any]
    ) -> Run | None:
        """The newest run with these options that a launch of torchrun created or resumed."""
        wanted = json.loads(json.dumps(options))
        for _, folder in sorted(numbered(out), reverse=True):
            try:
                stored = cls(folder)._parse_options()
                launch = stored["launch"]
                ours = launch["name"] == name and launch["time"] >= since
                if ours and all(stored[key] == wanted[key] for key in wanted):
                    return cls(folder)
            except (OSError, ValueError, LookupError, TypeError):
                continue
        return None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out of the folder, and remove what a killed one left unfinished.

        The lock ends with this process, even if it is killed. Raises `TrainingError` if another
        process holds it.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.folder / "lock"))
            except Held as error:
                raise TrainingError(
                    f"{self.folder} is in use by another run ({error})",
                    hint="wait until it ends, or stop it; without `resume` a run gets a new folder",
                ) from error
            remove_unfinished(self.folder)
            yield

    def write_options(self, options: dict[str, Any]) -> None:
        text = json.dumps(options, indent=2) + "\n"
        write_atomically(self.folder / _OPTIONS, text.encode())

    def read_options(self) -> dict[str, Any]:
        """Raises `TrainingError` if the file is missing or damaged."""
        try:
            return self._parse_options()
        except (OSError, ValueError) as error:
            raise TrainingError(
                f"{self.folder}/options.json cannot be read: {error}", hint="start a new run"
            ) from error

    def _parse_options(self) -> dict[str, Any]:
        """Raises `OSError` or `ValueError`."""
        return parse_object(read_at_most(self.folder / _OPTIONS, MOST_OPTIONS))

    @property
    def log_path(self) -> Path:
        return self.folder / "log.jsonl"

    def log(self, record: Record) -> None:
        """Append one line to log.jsonl, then call the listeners with the record.

        It first ends a line that was cut short, by a kill or a full disk. A link is not followed.
        """
        path = self.log_path
        line = json.dumps(record.to_json()).encode() + b"\n"
        with one_line_errors(path):
            handle = open_here(path, os.O_RDWR | os.O_APPEND)
            with os.fdopen(handle, "ab+") as file:
                file.write(line if _ends_a_line(file) else b"\n" + line)
        for hear in self.listeners:
            hear(record)


def snapshot_label(images: int, batch: int) -> str:
    """What tells a snapshot's files from those of others: thousands of pictures, ``000020``.

    If the previous step fell in the same thousand, as when a run is stopped, the remainder is
    appended: ``000020_512``.
    """
    thousands, rest = divmod(images, 1000)
    begun = (images - batch) // 1000 != thousands
    return f"{thousands:06d}" if begun else f"{thousands:06d}_{rest:03d}"


def labelled_kimg(label: str) -> float | None:
    """Thousands of pictures by a `snapshot_label`; None for any other text."""
    found = re.fullmatch(r"(\d+)(?:_(\d{3}))?", label)
    return int(found[1]) + int(found[2] or 0) / 1000 if found else None


def numbered(out: Path) -> list[tuple[int, Path]]:
    """The runs' folders under ``out``, with their numbers."""
    if not out.is_dir():
        return []
    matches = [(re.match(r"(\d{5,})-", path.name), path) for path in out.iterdir()]
    return [(int(match[1]), path) for match, path in matches if match]


def _ends_a_line(file: BinaryIO) -> bool:
    if file.seek(0, os.SEEK_END) == 0:
        return True
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
