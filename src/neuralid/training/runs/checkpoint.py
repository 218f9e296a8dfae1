"""Checkpoints: written beside and renamed, the last few kept, read without unpickling code."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ...core.errors import TrainingError
from ...core.files import write_atomically

KEPT = 3
_NAME = re.compile(r"checkpoint-(\d{9,})\.pt")
# Then the digest of all before it, in hex. torch.load ignores the end of a file.
_SEAL = b"\nsha256 "


def save_checkpoint(folder: Path, images: int, values: dict[str, Any]) -> Path:
    """Write ``checkpoint-<images>.pt`` and delete all but the last three.

    Checkpoints of more pictures go too: they belong to an abandoned stretch, or are damaged. If it
    raises `OutputError`, nothing has been deleted.
    """
    path = folder / f"checkpoint-{images:09d}.pt"
    # Through memory, as torch.save reports a full disk by an error of its own.
    buffer = io.BytesIO()
    torch.save(values, buffer)
    digest = hashlib.sha256(buffer.getbuffer()).hexdigest()
    buffer.write(_SEAL + digest.encode())
    write_atomically(path, buffer.getbuffer())
    found = checkpoints(folder)
    _remove(set(found) - set(found[: found.index(path) + 1][-KEPT:]))
    return path


def keep_newest(folder: Path) -> None:
    """Delete all checkpoints but the newest one that is whole, as far as that can be told."""
    for path in reversed(found := checkpoints(folder)):
        if is_whole(path):
            _remove(set(found) - {path})
            return


def is_whole(path: Path) -> bool:
    """Whether a checkpoint's checksum matches its content."""
    try:
        return _read_sealed(path) is not None
    except OSError:
        return False


def _remove(paths: set[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    found = [(match, path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return [path for match, path in sorted(found, key=lambda pair: int(pair[0][1]))]


def load_checkpoint(
    folder: Path,
    device: torch.device,
    accept: Callable[[dict[str, Any]], None],
    on_damaged: Callable[[Path], None] = lambda path: None,
) -> bool:
    """Give ``accept`` the newest checkpoint that can be read and that it takes without an error.

    ``on_damaged`` is called for each one that fails. Returns False if there are no checkpoints;
    raises `TrainingError` if there are some but none can be read.
    """
    found = checkpoints(folder)
    for path in reversed(found):
        # A damaged file makes torch raise almost anything; so does another program's.
        try:
            accept(read_checkpoint(path, device))
            return True
        except Exception:
            on_damaged(path)
    if found:
        raise TrainingError(
            f"{folder} has no checkpoint that can be read",
            hint="start a new run without `resume`; the weights in the folder can still be used",
        )
    return False


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """What `save_checkpoint` was given. A damaged file raises `ValueError`, or what torch does."""
    values = _read_sealed(path)
    if values is None:
        raise ValueError("the checksum does not match the content")
    return dict(torch.load(io.BytesIO(values), map_location=device, weights_only=True))


def _read_sealed(path: Path) -> bytes | None:
    """What was sealed; None if the checksum does not match it."""
    values, seal, digest = path.read_bytes().rpartition(_SEAL)
    sound = bool(seal) and hashlib.sha256(values).hexdigest().encode() == digest
    return values if sound else None
