"""The folder of one run: its options, its log, its pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import TrainingError
from ..files import make_folder, one_line_errors, write_atomically


@dataclass(frozen=True)
class Run:
    """``runs/00000-name/``: options.json, log.jsonl, fakes, checkpoints and weights."""

    folder: Path
    listeners: list[Callable[[dict[str, Any]], None]] = field(default_factory=list)  # to the log

    @classmethod
    def create(cls, out: Path, name: str) -> Run:
        """A new folder numbered one above the highest there is."""
        numbers = [number for number, _ in _numbered(make_folder(out))]
        folder = out / f"{max(numbers, default=-1) + 1:05d}-{name}"
        with one_line_errors(folder):
            folder.mkdir()
        return cls(folder)

    @classmethod
    def find(cls, out: Path, which: str) -> Run:
        """The run ``which``: a path, a folder's name under ``out``, or "latest"."""
        if which == "latest":
            runs = sorted(_numbered(out))
            found = [path for _, path in runs if (path / "options.json").is_file()]
            if not found:
                raise TrainingError(
                    f"{out} has no runs to resume", hint="start one without --resume"
                )
            return cls(found[-1])
        for folder in (Path(which), out / which):
            if (folder / "options.json").is_file():
                return cls(folder)
        raise TrainingError(f"{which} is not a training run", hint="name its folder, or 'latest'")

    @classmethod
    def launched_by(
        cls, out: Path, name: str | None, since: float, options: dict[str, Any]
    ) -> Run | None:
        """The newest run with these options that a start of torchrun made or went on with."""
        wanted = json.loads(json.dumps(options))
        for _, folder in sorted(_numbered(out), reverse=True):
            try:
                stored = json.loads((folder / "options.json").read_text())
                launch = stored["launch"]
                ours = launch["name"] == name and launch["time"] >= since
                if ours and all(stored[key] == wanted[key] for key in wanted):
                    return cls(folder)
            except (OSError, ValueError, LookupError, TypeError):
                continue
        return None

    def write_options(self, options: dict[str, Any]) -> None:
        text = json.dumps(options, indent=2) + "\n"
        write_atomically(self.folder / "options.json", text.encode())

    def read_options(self) -> dict[str, Any]:
        """Raises `TrainingError` if the file is missing or damaged."""
        try:
            return dict(json.loads((self.folder / "options.json").read_text()))
        except (OSError, ValueError) as error:
            raise TrainingError(
                f"{self.folder}/options.json cannot be read: {error}", hint="start a new run"
            ) from error

    def log(self, values: dict[str, Any]) -> None:
        """Append one line to log.jsonl, and tell it to those who listen."""
        path = self.folder / "log.jsonl"
        with one_line_errors(path), path.open("a") as file:
            file.write(json.dumps(values) + "\n")
        for hear in self.listeners:
            hear(values)


def _numbered(out: Path) -> list[tuple[int, Path]]:
    if not out.is_dir():
        return []
    matches = [(re.match(r"(\d{5,})-", path.name), path) for path in out.iterdir()]
    return [(int(match[1]), path) for match, path in matches if match and path.is_dir()]
