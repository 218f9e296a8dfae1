"""Checkpoints: written beside and renamed, the last few kept, read without unpickling code."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ..errors import TrainingError
from ..files import write_atomically

KEPT = 3


def save_checkpoint(folder: Path, images: int, values: dict[str, Any]) -> Path:
    """Write ``checkpoint-<kimg>.pt`` and delete all but the last three."""
    path = folder / f"checkpoint-{images:09d}.pt"
    # Through memory: torch.save tells of a full disk in words of its own.
    buffer = io.BytesIO()
    torch.save(values, buffer)
    write_atomically(path, buffer.getbuffer())
    for old in checkpoints(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    return sorted(folder.glob("checkpoint-*.pt"))


def load_checkpoint(
    folder: Path,
    device: torch.device,
    accept: Callable[[dict[str, Any]], None],
    on_damaged: Callable[[Path], None] = lambda path: None,
) -> None:
    """Give ``accept`` the newest checkpoint that can be read and that it takes without an error.

    ``on_damaged`` hears of each that is no good. Raises `TrainingError` if none is.
    """
    for path in reversed(checkpoints(folder)):
        # A damaged file makes torch raise nearly anything; so does one of another program.
        try:
            accept(dict(torch.load(path, map_location=device, weights_only=True)))
            return
        except Exception:
            on_damaged(path)
    raise TrainingError(
        f"{folder} has no checkpoint that can be read", hint="start a new run without --resume"
    )
