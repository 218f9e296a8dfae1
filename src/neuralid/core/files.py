"""Write files whole or not at all, and say clearly why a file cannot be written."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import OutputError

_HINTS = {
    errno.ENOSPC: "the disk is full: free some space and try again",
    errno.EDQUOT: "the disk quota is used up: free some space and try again",
    errno.EFBIG: "files this large are not allowed here: choose another place",
    errno.EIO: "the disk reports an error: choose another place",
    errno.EROFS: "the folder is read-only: choose another place",
    errno.EACCES: "no permission to write there: choose another place",
    errno.EPERM: "no permission to write there: choose another place",
    errno.ENOENT: "the folder does not exist: create it first",
    errno.ENOTDIR: "a file is in the way of the folder: choose another place",
    errno.EISDIR: "a folder of that name exists: choose another name",
    errno.EEXIST: "a file of that name is in the way: choose another place",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
    errno.ELOOP: "links are not followed there: put a file in its place, or remove it",
}
_HERE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # waits for no pipe either
_BINARY = getattr(os, "O_BINARY", 0)  # Windows
_UNFINISHED = ".neuralid-tmp"  # suffix of a file that is being written
# Errors of file systems that cannot sync a folder, and of folders that can be written but not read.
_NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EPERM)


@contextlib.contextmanager
def one_line_errors(path: Path) -> Iterator[None]:
    """Turn an OSError while writing ``path`` into an `OutputError` with a hint."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        hint = _HINTS.get(error.errno or 0)
        raise OutputError(f"cannot write {path}: {reason}", hint=hint) from error


def write_atomically(path: Path, content: bytes | memoryview | Callable[[Path], None]) -> None:
    """Write ``content`` beside ``path``, sync it to disk, rename it into place, sync the folder.

    ``content`` is the bytes, or a function that writes them to the path it is given. If
    anything goes wrong, ``path`` keeps what it held before. Raises `OutputError`.
    """
    with one_line_errors(path):
        temporary = _new_file(path)
        try:
            if callable(content):
                content(temporary)
            else:
                temporary.write_bytes(content)
            _sync(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


def open_here(path: Path, flags: int) -> int:
    """Open or create the file ``path`` for writing, but not what a link of that name points to.

    For folders that a stranger may have made. ``flags`` are those of `os.open`. Raises `OSError`
    for a link, and for what is not a plain file.
    """
    if path.is_symlink():  # Windows has no flag for it
        raise OSError(errno.ELOOP, "It is a link")
    handle = os.open(path, flags | os.O_CREAT | _HERE | _BINARY, 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EEXIST, "Not a plain file")
    return handle


def read_at_most(path: Path, limit: int) -> bytes:
    """The content of a plain file. Raises `OSError`, and `ValueError` for over ``limit`` bytes.

    A pipe or a device, which might never end, is refused too.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is not a plain file")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"it is larger than {limit / 1e6:g} MB")
    return content


def remove_unfinished(folder: Path) -> None:
    """Remove what `write_atomically` left in ``folder`` when its process was killed.

    Only for a folder that nobody else is writing to. Files that cannot be removed stay.
    """
    for path in folder.glob(f".*{_UNFINISHED}"):
        with contextlib.suppress(OSError):
            path.unlink()


def sync_folder(folder: Path) -> None:
    """Make the folder's file names survive a power failure; Windows does so by itself."""
    if os.name == "nt":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def make_folder(path: Path) -> Path:
    """Create a folder and its parents; an existing one is fine. Raises `OutputError`."""
    with one_line_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def check_writable(path: Path) -> None:
    """Raise `OutputError` now, before long work, if ``path`` cannot be written."""
    with one_line_errors(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def check_folder(path: Path) -> None:
    """Raise `OutputError` now if nothing can be written to a folder; it may be one yet to make."""
    with one_line_errors(path):
        nearest = next(p for p in (path, *path.absolute().parents) if p.exists())
        with tempfile.TemporaryFile(dir=nearest):
            pass


def free_name(
    folder: Path, stem: str, suffix: str, is_taken: Callable[[Path], bool] = os.path.lexists
) -> Path:
    """The first free name in ``folder`` of ``stem.suffix``, ``stem-1.suffix``, ..."""
    path, number = folder / f"{stem}{suffix}", 0
    while is_taken(path):
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return path


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _new_file(path: Path) -> Path:
    """An empty file beside ``path``, with the permissions any new file gets.

    Not `tempfile.mkstemp`: its files are readable by the user alone. Undoing that needs the umask,
    which can only be read by setting it, and that affects all threads.
    """
    while True:
        temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}{_UNFINISHED}")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return temporary
