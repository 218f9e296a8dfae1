"""Locks between processes; the system releases them when their holder ends, however it ends.

``flock`` where it exists, ``msvcrt.locking`` on Windows. The lock file stays behind and means
nothing by itself. On a file system without locks, nothing is locked.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .files import one_line_errors, open_here

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)  # some network file systems
_FAR = 1 << 30  # the byte locked on Windows: everything before it can still be read
_PAUSE = 0.2  # seconds between two attempts to get a lock


class Held(Exception):
    """Another process has the lock; the message is what that process wrote into it."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on the file ``path``, which is created if needed; its folder must exist.

    Raises `Held` at once if another process has it (or this one, elsewhere), and `OutputError` if
    the file cannot be written or is a link, which is not followed.
    """
    handle = _acquire(path)
    try:
        _sign(handle)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def in_turn(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Wait for the lock on the file ``path``, then hold it; ``on_wait`` is called while waiting.

    Raises `OutputError` if the file cannot be written.
    """
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(locked(path))
                break
            except Held:
                on_wait()
                time.sleep(_PAUSE)
        yield


def mark_in_use(handle: int) -> None:
    """Mark an open file as in use until it and its mappings are closed; several processes may."""
    with contextlib.suppress(OSError):
        _lock(handle, shared=True)


def is_in_use(path: Path) -> bool:
    """Whether a process marked the file. Always False on Windows, which won't remove open files."""
    with path.open("r+b") as file:
        try:
            _lock(file.fileno())
        except OSError:
            return True
    return False


def _acquire(path: Path) -> int:
    while True:
        with one_line_errors(path):
            handle = open_here(path, os.O_RDWR)
        try:
            _lock(handle)
        except OSError as error:
            holder = _read(handle)
            os.close(handle)
            raise Held(holder or "process unknown") from error
        if _has_name(handle, path):
            return handle
        os.close(handle)  # the file was removed meanwhile: try again with the new one


def _has_name(handle: int, path: Path) -> bool:
    """Whether the open file still has that name."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _sign(handle: int) -> None:
    """Write who holds the lock, for other processes' messages; a full disk is not an error.

    A file that has something else in it is not ours, whatever its name: it stays as it is.
    """
    with contextlib.suppress(OSError):
        if not re.fullmatch(r"(process \d+)?", _read(handle)):
            return
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, f"process {os.getpid()}".encode())


def _read(handle: int) -> str:
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        return os.read(handle, 100).decode(errors="replace")
    except OSError:
        return ""


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int, shared: bool = False) -> None:
        if not shared:
            os.lseek(handle, _FAR, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(handle: int, shared: bool = False) -> None:
        """Raises `OSError` if somebody else has the lock."""
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
