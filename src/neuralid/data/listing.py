"""The pictures of a folder or of a zip, by name, and what tells that one has changed."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from ..core.errors import DataError
from ..pictures.images import SUFFIXES


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
            pictures = _walk(source)
        elif zipfile.is_zipfile(source):
            pictures = list(_listed(source))
        else:
            missing = "does not exist" if not source.exists() else "is neither a folder nor a zip"
            raise DataError(f"{source} {missing}", hint="give --data a folder or zip of pictures")
    except OSError as error:
        raise DataError(f"{source} cannot be listed: {error}", hint="is its disk there?") from error
    if not pictures:
        raise DataError(f"{source} has no pictures", hint=f"looked for {', '.join(SUFFIXES)}")
    return sorted(pictures, key=itemgetter(0))


def _listed(source: Path) -> Iterator[Entry]:
    try:
        with zipfile.ZipFile(source) as archive:
            for info in archive.infolist():
                parts = info.filename.split("/")
                if _is_picture(parts[-1]) and "__MACOSX" not in parts:
                    yield Entry(info.filename, info.file_size, info.CRC)
    except (zipfile.BadZipFile, ValueError) as error:
        raise DataError(f"{source} is damaged: {error}", hint="pack the zip again") from error


def _walk(source: Path) -> list[Entry]:
    """`os.scandir` alone: of 200,000 files a `Path` each would take seconds."""
    found: list[Entry] = []
    folders, seen = [""], set()
    while folders:
        below = folders.pop()
        status = os.stat(source / below)
        place = (status.st_dev, status.st_ino)
        if place in seen:  # a link leads back here
            continue
        seen.add(place)
        try:
            files = os.scandir(source / below)
        except PermissionError:
            continue
        with files:
            for file in files:
                name = file.name
                if _is_picture(name) and file.is_file():
                    status = file.stat()
                    found.append(Entry(below + name, status.st_size, status.st_mtime_ns))
                elif name != "__MACOSX" and file.is_dir():
                    folders.append(f"{below}{name}/")
    return found


def _is_picture(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")
