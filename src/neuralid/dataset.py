"""A folder or zip of pictures -> uint8 ``(N, S, S, 3)``, read in parallel, cached on disk.

The whole set is in memory, as in the paper (section 3.1): the array is memory-mapped from the
cache, so opening it again is instant and the system keeps what fits.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .align import frame_crop
from .config import CropConfig, Frame
from .crop import crop_face, default_face_size
from .detect import find_faces
from .errors import DataError, ImageError
from .files import make_folder, one_line_errors, write_atomically
from .images import SUFFIXES, load_rgb

FEWEST = 64  # pictures a GAN can be trained on at all
HELD_OUT = 20  # one picture in so many is kept for validation and never trained on
_VERSION = 3  # of the cache; raise it when the same settings give other pixels


@dataclass(frozen=True)
class Dataset:
    """Prepared faces: ``images[i]`` came from ``names[i]``."""

    images: np.ndarray  # uint8 (N, S, S, 3)
    names: list[str]
    skipped: dict[str, str]  # name of what could not be read -> why
    face_sizes: dict[str, int]  # side of the square cut out, pixels -> how many pictures

    def training(self) -> np.ndarray:
        """Indices of the pictures to train on."""
        return np.array([i for i, name in enumerate(self.names) if not is_held_out(name)])

    def validation(self) -> np.ndarray:
        """Indices of the pictures training never sees."""
        return np.array([i for i, name in enumerate(self.names) if is_held_out(name)])


def is_held_out(name: str) -> bool:
    """Whether a picture is kept for validation: a twentieth, by hash of its file name."""
    digest = hashlib.sha256(Path(name).name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:4], "big") % HELD_OUT == 0


def load_dataset(
    source: Path,
    size: int,
    crop: CropConfig,
    cache: Path,
    *,
    frame: Frame | None = None,
    max_images: int | None = None,
    workers: int | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Read every picture under ``source`` (a folder or a zip), cropped as the paper does.

    With ``frame``, the largest face of each picture is found and its eyes brought there instead.
    ``on_step(done, total)`` is called as pictures are read. Unreadable files, and then those
    without a face, are skipped and listed. Raises `DataError` for fewer than 64 usable pictures.
    """
    entries = list_pictures(source)[:max_images]
    cutter = _Cutter(size, crop, frame)
    entry = cache / _key(source, entries, cutter)
    index = _read_index(entry, size)
    if index is None:
        _prepare(source, entries, cutter, entry, workers, on_step)
        index = json.loads((entry / "index.json").read_text())
    usable = len(index["names"])
    if usable < FEWEST:
        raise DataError(
            f"{source} has {usable} usable pictures; training needs {FEWEST}",
            hint=_why(index["skipped"]),
        )
    shape = (usable, size, size, 3)
    images = np.memmap(entry / "images.u8", dtype=np.uint8, mode="r", shape=shape)
    return Dataset(images, index["names"], index["skipped"], index["face_sizes"])


def _read_index(entry: Path, size: int) -> dict[str, Any] | None:
    """What a cache entry says of itself; None if it is missing or damaged."""
    try:
        index = dict(json.loads((entry / "index.json").read_text()))
        whole = len(index["names"]) * size * size * 3
        return index if (entry / "images.u8").stat().st_size == whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True)
class Entry:
    """One picture file: its name under the source, and what tells that it changed."""

    name: str
    bytes: int
    changed: int  # nanoseconds, or the zip's checksum


def list_pictures(source: Path) -> list[Entry]:
    """The picture files of a folder, at every level, or of a zip archive, sorted by name."""
    if source.is_dir():
        entries = list(_walk(source))
    elif zipfile.is_zipfile(source):
        entries = _listed(source)
    else:
        missing = "does not exist" if not source.exists() else "is neither a folder nor a zip"
        raise DataError(f"{source} {missing}", hint="give --data a folder or zip of pictures")
    pictures = sorted((e for e in entries if _is_picture(e.name)), key=lambda entry: entry.name)
    if not pictures:
        raise DataError(f"{source} has no pictures", hint=f"looked for {', '.join(SUFFIXES)}")
    return pictures


def _listed(source: Path) -> list[Entry]:
    try:
        with zipfile.ZipFile(source) as archive:
            return [Entry(i.filename, i.file_size, i.CRC) for i in archive.infolist()]
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise DataError(f"{source} is damaged: {error}", hint="pack the zip again") from error


def _walk(folder: Path) -> Iterator[Entry]:
    seen: set[tuple[int, int]] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        status = os.stat(root)
        if (status.st_dev, status.st_ino) in seen:  # a link leads back here
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        for name in files:
            path = Path(root, name)
            if _is_picture(name) and path.is_file():
                status = path.stat()
                yield Entry(str(path.relative_to(folder)), status.st_size, status.st_mtime_ns)


def _is_picture(name: str) -> bool:
    path = Path(name)
    hidden = path.name.startswith(".") or "__MACOSX" in path.parts
    return path.suffix.lower() in SUFFIXES and not hidden


def _key(source: Path, entries: list[Entry], cutter: _Cutter) -> str:
    facts = [_VERSION, str(source.resolve()), asdict(cutter), [asdict(e) for e in entries]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]


def _why(skipped: dict[str, str]) -> str:
    if not skipped:
        return "add more pictures"
    return f"{len(skipped)} could not be read, for one: {next(iter(skipped.values()))}"


class _Face(NamedTuple):
    pixels: np.ndarray  # uint8 (S, S, 3)
    face_size: int


@dataclass(frozen=True)
class _Cutter:
    """How a picture becomes a face."""

    size: int  # S
    crop: CropConfig
    frame: Frame | None  # find the face and bring its eyes here; None: follow the crop

    def cut(self, image: np.ndarray, name: str) -> _Face:
        """Raises `ImageError` if a face is looked for and there is none."""
        height, width = image.shape[:2]
        crop = self.crop
        if self.frame is not None:
            faces = find_faces(image)
            if not faces:
                raise ImageError(f"{name}: no face found")
            largest = max(faces, key=lambda face: face.distance)
            crop = frame_crop(largest.eyes, width, height, self.frame)
        face_size = crop.face_size or default_face_size(width, height)
        return _Face(crop_face(image, self.size, crop, extend=self.frame is not None), face_size)


def _prepare(
    source: Path,
    entries: list[Entry],
    cutter: _Cutter,
    folder: Path,
    workers: int | None,
    on_step: Callable[[int, int], None] | None,
) -> None:
    """Fill a cache entry: images.u8 first, index.json last, so an entry with an index is whole."""
    make_folder(folder)
    names: list[str] = []
    skipped: dict[str, str] = {}
    face_sizes: Counter[str] = Counter()

    def fill(path: Path) -> None:
        faces = _read_all(source, entries, cutter, workers or os.cpu_count() or 1)
        with path.open("wb") as file:
            for done, (entry, face) in enumerate(zip(entries, faces, strict=True), start=1):
                if isinstance(face, str):
                    skipped[entry.name] = face
                else:
                    file.write(face.pixels.tobytes())
                    names.append(entry.name)
                    face_sizes[str(face.face_size)] += 1
                if on_step is not None:
                    on_step(done, len(entries))

    with one_line_errors(folder):
        write_atomically(folder / "images.u8", fill)
        index = json.dumps({"names": names, "skipped": skipped, "face_sizes": face_sizes})
        write_atomically(folder / "index.json", index.encode())


def _read_all(
    source: Path, entries: list[Entry], cutter: _Cutter, workers: int
) -> Iterator[_Face | str]:
    """Each picture's face, or why it cannot be read, in order; read ahead in parallel."""
    archive = zipfile.ZipFile(source) if source.is_file() else None

    def read(entry: Entry) -> _Face | str:
        try:
            if archive is None:
                image = load_rgb(source / entry.name)
            else:
                with archive.open(entry.name) as file:
                    image = load_rgb(file, entry.name)  # type: ignore[arg-type]
            return cutter.cut(image, entry.name)
        except ImageError as error:
            return str(error)
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
            return f"{entry.name} cannot be unpacked: {error}"

    # Chunks bound what is read ahead, whatever the speed of the consumer.
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(entries), 1024):
            yield from pool.map(read, entries[start : start + 1024])
    if archive is not None:
        archive.close()
