"""The pictures of a folder or of a zip, by name, and what tells that one has changed."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .errors import DataError
from .images import SUFFIXES


class Entry(NamedTuple):
    """One picture file: its name under the source, and what tells that it changed."""

    name: str  # with slashes
    bytes: int
    changed: int  # nanoseconds, or the zip's checksum


def list_pictures(source: Path) -> list[Entry]:
    """The picture files of a folder, at every level, or of a zip archive, sorted by name.

    Links are followed; folders that may not be read are passed over. Raises `DataError`.
    """
    try:
        if source.is_dir():
            pictures = sorted(_walk(source, "", set()))
        elif zipfile.is_zipfile(source):
            pictures = sorted(_listed(source))
        else:
            missing = "does not exist" if not source.exists() else "is neither a folder nor a zip"
            raise DataError(f"{source} {missing}", hint="give --data a folder or zip of pictures")
    except OSError as error:
        raise DataError(f"{source} cannot be listed: {error}", hint="is its disk there?") from error
    if not pictures:
        raise DataError(f"{source} has no pictures", hint=f"looked for {', '.join(SUFFIXES)}")
    return pictures


def _listed(source: Path) -> Iterator[Entry]:
    try:
        with zipfile.ZipFile(source) as archive:
            for info in archive.infolist():
                parts = info.filename.split("/")
                if _is_picture(parts[-1]) and "__MACOSX" not in parts:
                    yield Entry(info.filename, info.file_size, info.CRC)
    except (zipfile.BadZipFile, ValueError) as error:
        raise DataError(f"{source} is damaged: {error}", hint="pack the zip again") from error


def _walk(folder: Path, below: str, seen: set[tuple[int, int]]) -> Iterator[Entry]:
    """`os.scandir` alone: of 200,000 files a `Path` each would take seconds."""
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in seen:  # a link leads back here
        return
    seen.add((status.st_dev, status.st_ino))
    try:
        files = list(os.scandir(folder))
    except PermissionError:
        return
    for file in files:
        if _is_picture(file.name) and file.is_file():
            status = file.stat()
            yield Entry(below + file.name, status.st_size, status.st_mtime_ns)
        elif file.name != "__MACOSX" and file.is_dir():
            yield from _walk(folder / file.name, f"{below}{file.name}/", seen)


def _is_picture(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES
