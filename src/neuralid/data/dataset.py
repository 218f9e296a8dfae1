"""A folder or zip of pictures -> uint8 ``(N, S, S, 3)``, read in parallel, cached on disk.

The array is memory-mapped from the cache. Opening it again is instant, the system keeps in memory
what fits, and a data set may be larger than memory.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import DataError
from ..faces.config import CropConfig, Frame
from .ahead import read_all
from .cache import (
    lock_for_preparing,
    make_room,
    open_entry,
    write_entry,
)
from .listing import Entry, list_all, list_pictures
from .reading import NO_FACE, Cutter

__all__ = [
    "BY_NAME",
    "BY_PATH",
    "SPLITS",
    "Dataset",
    "explain_skipped",
    "is_held_out",
    "list_pictures",
    "load_dataset",
]

FEWEST = 64  # the fewest pictures a GAN can be trained on
HELD_OUT = 20  # one picture in HELD_OUT is kept for validation and never trained on
NAMED = 3  # pictures named where some were skipped
BY_PATH, BY_NAME = "path", "name"
SPLITS = (BY_PATH, BY_NAME)
_VERSION = 5  # of the cache; raise it when the same settings give different pixels


@dataclass(frozen=True)
class Dataset:
    """Prepared faces: ``images[i]`` came from ``names[i]``."""

    images: np.ndarray  # uint8 (N, S, S, 3)
    names: list[str]
    skipped: dict[str, str]  # name of each unusable picture -> why
    face_sizes: dict[str, int]  # side of the square cut out, pixels -> how many pictures
    split: str = BY_PATH  # how pictures for validation are chosen, see `is_held_out`

    def explain_skipped(self) -> list[str]:
        """See the function of that name."""
        return explain_skipped(self.skipped)

    def training(self) -> np.ndarray:
        """Indices of the pictures to train on."""
        return np.flatnonzero(~self._held_out)

    def validation(self) -> np.ndarray:
        """Indices of the pictures training never sees."""
        return np.flatnonzero(self._held_out)

    @cached_property
    def _held_out(self) -> np.ndarray:
        return np.array([is_held_out(name, self.split) for name in self.names], dtype=bool)


def explain_skipped(skipped: dict[str, str]) -> list[str]:
    """For each reason, how many pictures were skipped, and the first of them."""
    faceless = [name for name, why in skipped.items() if why.endswith(NO_FACE)]
    unread = [name for name in skipped if name not in set(faceless)]
    kinds = ((unread, "cannot be read"), (faceless, "show no face"))
    return [f"{len(names)} {what}: {_name_first(names)}" for names, what in kinds if names]


def _name_first(names: list[str]) -> str:
    more = ", ..." if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def is_held_out(name: str, split: str = BY_PATH) -> bool:
    """Whether a picture is kept for validation: a twentieth, by hash of its path within the set.

    Runs of earlier versions went by the file name alone (`BY_NAME`), and keep to it.
    """
    name = os.path.basename(name) if split == BY_NAME else name
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:4], "big") % HELD_OUT == 0


def load_dataset(
    source: Path,
    size: int,
    crop: CropConfig,
    cache: Path,
    *,
    frame: Frame | None = None,
    split: str = BY_PATH,
    max_images: int | None = None,
    workers: int | None = None,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Dataset:
    """Read every picture under ``source`` (a folder or a zip), cropped as the paper does.

    With ``frame``, the most prominent face of each picture is found and its eyes brought there
    instead.
    ``on_step(done, total)`` is called as pictures are read. What cannot be read, and with ``frame``
    what shows no face, is skipped and listed. Processes that ask for the same data at the same
    time wait for the first of them. Raises `DataError` for fewer than 64 usable pictures, if
    ``split`` leaves none to train on, or if the source vanishes while it is read.
    """
    listed = list_all(source)
    entries = listed.pictures[:max_images]
    cutter = Cutter(size, crop, frame)
    entry = cache / _key(source, entries, cutter)
    images, index = open_entry(entry) or _prepare(entry, source, entries, cutter, workers, on_step)
    skipped = {**listed.unreadable, **index["skipped"]}
    dataset = Dataset(images, index["names"], skipped, index["face_sizes"], split)
    if (usable := len(dataset.names)) < FEWEST:
        raise DataError(
            f"{source} has {usable} usable pictures; training needs {FEWEST}",
            hint=_explain(dataset),
        )
    make_room(cache, entry, images.nbytes)
    if not len(dataset.training()):
        raise DataError(
            f"all {usable} pictures of {source} are kept for validation, as they have one name",
            hint="start a new run, which goes by their paths",
        )
    return dataset


def _key(source: Path, entries: list[Entry], cutter: Cutter) -> str:
    """A name for the result of these settings and files (their names, sizes and times)."""
    digest = hashlib.sha256(json.dumps([_VERSION, str(source.resolve()), asdict(cutter)]).encode())
    for name, size, changed in entries:
        digest.update(f"\0{name}\0{size}\0{changed}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:24]


def _explain(dataset: Dataset) -> str:
    if not dataset.skipped:
        return "add more pictures"
    counts = "; ".join(dataset.explain_skipped())
    return f"{counts}; the first because {next(iter(dataset.skipped.values()))}"


def _prepare(
    entry: Path,
    source: Path,
    pictures: list[Entry],
    cutter: Cutter,
    workers: int | None,
    on_step: Callable[[int, int], None],
) -> tuple[np.ndarray, dict[str, Any]]:
    """Read the pictures into a cache entry, unless another process just has, and open it."""
    shape = (cutter.size, cutter.size, 3)
    with lock_for_preparing(entry, on_wait=lambda: on_step(0, len(pictures))):
        opened = open_entry(entry)
        if opened is not None:
            return opened
        make_room(entry.parent, entry, len(pictures) * int(np.prod(shape)))
        index: dict[str, Any] = {"names": [], "skipped": {}, "shape": shape}
        sizes: Counter[str] = Counter()

        def fill(write: Callable[[bytes], object]) -> None:
            with closing(read_all(source, pictures, cutter, workers)) as faces:
                for done, (picture, face) in enumerate(zip(pictures, faces, strict=True), start=1):
                    if isinstance(face, str):
                        index["skipped"][picture.name] = face
                    else:
                        write(face.pixels.tobytes())
                        index["names"].append(picture.name)
                        sizes[str(face.face_size)] += 1
                    on_step(done, len(pictures))
            index["face_sizes"] = sizes

        write_entry(entry, fill, index)
        opened = open_entry(entry)
    if opened is None:
        raise DataError(f"{entry} cannot be read back", hint="check its disk")
    return opened
