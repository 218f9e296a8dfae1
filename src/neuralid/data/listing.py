"""List the pictures in a folder or zip, with what shows that one of them has changed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import zipfile
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from ..core.errors import DataError
from ..pictures.images import SUFFIXES

# Folders in which systems and programs keep what is not the user's, beside those that begin with a
# dot: bins, thumbnails and resource forks of macOS, Synology, QNAP and Windows.
_NOT_THE_USERS = {
    "__macosx",
    "@eadir",
    "#recycle",
    "@recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
}
# What a single entry may do without the others being in doubt: a link to itself, somebody else's
# folder, a file that was just removed. Anything else is the disk's.
_OF_ONE_ENTRY = {errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENAMETOOLONG}


class Entry(NamedTuple):
    """One picture file: its name under the source, and what shows that it has changed."""

    name: str  # with slashes
    bytes: int
    changed: int  # time in nanoseconds; in a zip, the checksum


class Listing(NamedTuple):
    """What a folder or zip holds."""

    pictures: list[Entry]  # sorted by name
    unreadable: dict[str, str]  # what the system shows nothing of -> why; folders end in a slash


def list_pictures(source: Path) -> list[Entry]:
    """The picture files of a folder, at every level, or of a zip archive, sorted by name.

    Links are followed. Hidden folders, and what cannot be looked at, are passed over. Raises
    `DataError`.
    """
    return list_all(source).pictures


def check_source(source: Path) -> None:
    """Raise `DataError` unless there is a folder or zip; what is in it is not looked at."""
    with _one_line(source):
        _is_archive(source)


def list_all(source: Path) -> Listing:
    """As `list_pictures`, with what could not be looked at. Raises `DataError`."""
    unreadable: dict[str, str] = {}
    with _one_line(source):
        if _is_archive(source):
            # Of entries with one name, a zip gives the last.
            pictures = list({entry.name: entry for entry in _list_zip(source)}.values())
        else:
            pictures = _list_folder(source, unreadable)
    if not pictures:
        raise DataError(f"{source} has no pictures", hint=f"looked for {', '.join(SUFFIXES)}")
    return Listing(sorted(pictures, key=itemgetter(0)), unreadable)


@contextlib.contextmanager
def _one_line(source: Path) -> Iterator[None]:
    """Turn an `OSError` of the source into a `DataError`."""
    try:
        yield
    except OSError as error:
        refused = isinstance(error, PermissionError)
        raise DataError(
            f"{source} cannot be listed: {error.strerror or error}",
            hint="check who may read it" if refused else "check its disk",
        ) from error


def _is_archive(source: Path) -> bool:
    """True for a zip, False for a folder. Raises `DataError` for anything else, and `OSError`."""
    if source.is_dir():
        return False
    if source.is_file() and zipfile.is_zipfile(source):  # a pipe would be waited for
        return True
    missing = "does not exist" if not source.exists() else "is neither a folder nor a zip"
    if source.is_file():
        source.open("rb").close()  # zipfile does not tell what cannot be read from the rest
    raise DataError(f"{source} {missing}", hint="`data` is a folder or zip of pictures")


def _list_zip(source: Path) -> Iterator[Entry]:
    try:
        with zipfile.ZipFile(source) as archive:
            for info in archive.infolist():
                *folders, name = info.filename.split("/")
                if _is_picture(name) and not any(map(_is_hidden, folders)):
                    yield Entry(info.filename, info.file_size, info.CRC)
    except OSError:
        raise
    except Exception as error:  # zipfile raises almost anything for a damaged directory
        raise DataError(f"{source} is damaged: {error}", hint="create the zip again") from error


def _list_folder(source: Path, unreadable: dict[str, str]) -> list[Entry]:
    """By `os.scandir` alone: for 200,000 files, a `Path` each would take seconds."""
    found: list[Entry] = []
    folders, seen = [""], set()
    while folders:
        below = folders.pop()
        try:
            status = os.stat(source / below)
            place = (status.st_dev, status.st_ino)
            if place not in seen:  # otherwise a link leads back to this folder
                seen.add(place)
                with os.scandir(source / below) as files:
                    for file in files:
                        _look_at(file, below, found, folders, unreadable)
        except OSError as error:
            _note(below, error, unreadable)
    return found


def _look_at(
    file: os.DirEntry[str],
    below: str,
    found: list[Entry],
    folders: list[str],
    unreadable: dict[str, str],
) -> None:
    """Add an entry of the folder ``below`` to the list where it belongs, or to none."""
    try:
        if file.is_dir():
            if not _is_hidden(file.name):
                folders.append(f"{below}{file.name}/")
        elif _is_picture(file.name):
            status = file.stat()
            if stat.S_ISREG(status.st_mode):
                found.append(Entry(below + file.name, status.st_size, status.st_mtime_ns))
    except OSError as error:
        _note(below + file.name, error, unreadable)


def _note(name: str, error: OSError, unreadable: dict[str, str]) -> None:
    """Note an entry that cannot be looked at; about the source itself or its disk, raise."""
    if not name or error.errno not in _OF_ONE_ENTRY:
        raise error
    unreadable[name] = f"{name} cannot be read: {error.strerror}"


def _is_picture(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def _is_hidden(folder: str) -> bool:
    """Whether a folder's name says that it is not the user's."""
    is_dotted = folder.startswith(".") and folder not in (".", "..")
    return is_dotted or folder.lower() in _NOT_THE_USERS
