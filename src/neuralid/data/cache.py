"""Prepared data sets on disk. An entry is a folder named by its key, and is either whole or absent.

``images.u8`` holds the pixels; ``index.json``, written last, holds their names and checksums. A
process that prepares an entry holds the lock beside it. A process that uses an entry holds a shared
lock on its pixels for as long as they are mapped.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..core.errors import ConfigError, OutputError
from ..core.files import (
    make_folder,
    one_line_errors,
    read_at_most,
    remove_unfinished,
    write_atomically,
)
from ..core.jsontext import parse_object, take
from ..core.locks import (
    Held,
    in_turn,
    is_in_use,
    locked,
    mark_in_use,
)

LIMIT = "20GB"  # of all entries together, unless NEURALID_CACHE_LIMIT says otherwise
BLOCK = 1 << 20  # bytes per checksum
CHECKED = 64  # random blocks checked on each opening, which takes a moment
MOST_INDEX = 1_000_000_000  # bytes of an index; that of a million pictures has a tenth of them
MOST_SIDE = 1024  # of a face, pixels
_PIXELS, _INDEX = "images.u8", "index.json"
_SEAL = "index_checksum"  # of the index itself
_INDEX_TYPES = {
    "names": list[str],
    "skipped": dict[str, str],
    "shape": tuple[int, int, int],
    "face_sizes": dict[str, int],
    "checksums": list[int],
}
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def limit_bytes() -> int:
    """``NEURALID_CACHE_LIMIT`` in bytes. Raises `ConfigError` if it is not a size."""
    text = os.environ.get("NEURALID_CACHE_LIMIT") or LIMIT
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([KMGT]?)B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise ConfigError(f"NEURALID_CACHE_LIMIT is not a size: '{text}'", hint="for example 20GB")
    return round(float(match[1]) * _UNITS[match[2].upper()])


def open_entry(entry: Path) -> tuple[np.ndarray, dict[str, Any]] | None:
    """The pixels of an entry, memory-mapped, and its index; None if it is missing or damaged."""
    try:
        index = _read_index(entry / _INDEX)
        shape = (len(index["names"]), *index["shape"])
        with (entry / _PIXELS).open("rb") as file:
            mark_in_use(file.fileno())
            whole = os.fstat(file.fileno()).st_size == math.prod(shape)
            if not whole or not _is_sound(file, index["checksums"]):
                return None
            # The mapping keeps the lock after the file is closed. An empty file cannot be mapped.
            pixels = np.memmap(file, np.uint8, "r", shape=shape) if shape[0] else np.empty(shape)
    except (OSError, ValueError):
        return None
    with contextlib.suppress(OSError):  # the cache may be read-only
        os.utime(entry / _INDEX)  # marks the time of last use
    return pixels, index


@contextlib.contextmanager
def lock_for_preparing(entry: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock for preparing an entry; ``on_wait`` is called while another process has it.

    Removes what a killed process left there.
    """
    make_folder(entry.parent)
    with in_turn(_lock_path(entry), on_wait):
        remove_unfinished(make_folder(entry))
        yield


def write_entry(
    entry: Path, fill: Callable[[Callable[[bytes], object]], None], index: dict[str, Any]
) -> None:
    """Write an entry: ``fill`` is given a function that takes the pixels, and completes the index.

    The pixels are written, not mapped: a full disk is then an error, but would kill a process that
    writes to a mapping. Raises `OutputError`.
    """

    def write(path: Path) -> None:
        with path.open("wb") as file:
            fill(file.write)
        with path.open("rb") as file:
            index["checksums"] = [zlib.crc32(b) for b in iter(lambda: file.read(BLOCK), b"")]

    with one_line_errors(entry):
        write_atomically(entry / _PIXELS, write)
        write_atomically(entry / _INDEX, json.dumps({**index, _SEAL: _checksum(index)}).encode())


def make_room(folder: Path, keep: Path, needed: int) -> None:
    """Remove entries, least recently used first, until ``needed`` bytes for ``keep`` fit the limit.

    Entries in use or being prepared stay; unfinished ones from killed processes go.
    """
    limit, entries = limit_bytes(), []
    with contextlib.suppress(OSError):
        entries = [e for e in folder.iterdir() if re.fullmatch("[0-9a-f]{24}", e.name)]
    others = sorted((_last_used(e), e) for e in entries if e != keep)
    total = needed + sum(_size(e) for _, e in others)
    for used, entry in others:
        if total > limit or not used:
            total -= _remove(entry)


def _read_index(path: Path) -> dict[str, Any]:
    """Raises `OSError`, and `ValueError` for an index that is damaged, or of other types."""
    index = parse_object(read_at_most(path, MOST_INDEX))
    seal = index.pop(_SEAL, None)  # which indexes of earlier versions have not
    if seal not in (None, _checksum(index)):
        raise ValueError("the checksum does not match")
    for name, kind in _INDEX_TYPES.items():
        take(index.get(name), kind, f"'{name}'")
    height, width, channels = index["shape"]
    blocks = -(-len(index["names"]) * height * width * channels // BLOCK)
    if not (0 < height <= MOST_SIDE and width == height and channels == 3):
        raise ValueError("these are no faces")
    if len(index["checksums"]) != blocks:
        raise ValueError("there is not one checksum for each block")
    return index


def _checksum(index: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(index, sort_keys=True).encode())


def _is_sound(file: BinaryIO, checksums: list[int]) -> bool:
    """Whether the checksums match: of all blocks of a small entry, of some of a large one."""
    chosen = list(range(len(checksums)))
    if len(chosen) > CHECKED:
        chosen = random.Random().sample(chosen, CHECKED)
    for number in chosen:
        file.seek(number * BLOCK)
        if zlib.crc32(file.read(BLOCK)) != checksums[number]:
            return False
    return True


def _remove(entry: Path) -> int:
    """Remove an entry unless it is being prepared or used; returns the bytes freed."""
    try:
        with locked(_lock_path(entry)):
            size, pixels = _size(entry), entry / _PIXELS
            if pixels.exists() and is_in_use(pixels):
                return 0
            pixels.unlink(missing_ok=True)  # first, because on Windows this fails if it is in use
            (entry / _INDEX).unlink(missing_ok=True)
            remove_unfinished(entry)
            entry.rmdir()
            if os.name != "nt":
                _lock_path(entry).unlink()
            return size
    except (Held, OSError, OutputError):
        return 0


def _lock_path(entry: Path) -> Path:
    return entry.with_name(f"{entry.name}.lock")


def _last_used(entry: Path) -> float:
    """When an entry was last opened, in seconds since 1970; 0 if it is not whole."""
    try:
        return (entry / _INDEX).stat().st_mtime
    except OSError:
        return 0.0


def _size(entry: Path) -> int:
    try:
        return sum(file.stat().st_size for file in entry.iterdir())
    except OSError:
        return 0
