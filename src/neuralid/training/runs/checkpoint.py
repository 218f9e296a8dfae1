"""Checkpoints: written beside and renamed, the last few kept, read without unpickling code."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ...core.errors import TrainingError
from ...core.files import write_atomically

KEPT = 3
_NAME = re.compile(r"checkpoint-(\d{9,})\.pt")
# Then the digest of all before it, in hex. torch.load ignores the end of a file.
_SEAL = b"\nsha256 "
_DIGITS = 64
_BLOCK = 1 << 20  # bytes read at a time


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
        return path.is_file() and _is_sealed(path)
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


def size_of(path: Path) -> int:
    """Bytes of a checkpoint; 0 if it is a link to nothing."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def load_checkpoint(
    folder: Path,
    accept: Callable[[dict[str, Any]], None],
    on_damaged: Callable[[Path], None] = lambda path: None,
) -> bool:
    """Give ``accept`` the newest checkpoint that can be read and that it takes without an error.

    ``accept`` looks at all of it before it copies anything: whoever made the file may have put
    anything in it.

    ``on_damaged`` is called for each one that fails. Returns False if there are no checkpoints;
    raises `TrainingError` if there are some but none can be read.
    """
    found = checkpoints(folder)
    for path in reversed(found):
        # A damaged file makes torch raise almost anything; so does another program's.
        try:
            accept(read_checkpoint(path))
            return True
        except Exception:
            on_damaged(path)
    if found:
        raise TrainingError(
            f"{folder} has no checkpoint that can be read",
            hint="start a new run without `resume`; the weights in the folder can still be used",
        )
    return False


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` was given, on the CPU, mapped from the file: copy what is kept.

    A damaged file raises `ValueError`, or what torch does. Mapped tensors cannot reach beyond the
    file, whatever it says of their sizes, and take no memory that it does not have.
    """
    if not path.is_file():  # a pipe would be waited for
        raise ValueError("it is not a plain file")
    if not _is_sealed(path):
        raise ValueError("the checksum does not match the content")
    return dict(torch.load(path, map_location="cpu", weights_only=True, mmap=True))


def _is_sealed(path: Path) -> bool:
    """Whether a plain file ends in the checksum of what comes before."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END) - len(_SEAL) - _DIGITS
        file.seek(max(end, 0))
        return file.read() == _SEAL + _digest(file, end)


def _digest(file: BinaryIO, end: int) -> bytes:
    """SHA-256 of the file up to there, in hex."""
    digest = hashlib.sha256()
    file.seek(0)
    for start in range(0, end, _BLOCK):
        digest.update(file.read(min(_BLOCK, end - start)))
    return digest.hexdigest().encode()
