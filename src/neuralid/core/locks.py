"""Locks between processes, which the system takes back when their holder ends, however it ends.

``flock`` where there is one, ``msvcrt.locking`` on Windows. The file of a lock stays behind and
means nothing by itself; where a file system knows no locks, nothing is locked.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .files import one_line_errors

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)  # some network file systems
_FAR = 1 << 30  # the byte locked on Windows: what is before it can still be read
_PAUSE = 0.2  # seconds between two looks whether a lock is free


class Held(Exception):
    """Another process has the lock; its message is what that process wrote of itself."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the file ``path``, made if need be; its folder must be there.

    Raises `Held` at once if another process has it (or this one, elsewhere), and `OutputError` if
    the file cannot be written.
    """
    handle = _acquire(path)
    try:
        _sign(handle)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def in_turn(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of the file ``path``, after all who had it before; ``on_wait`` is called then.

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


def share(handle: int) -> None:
    """Mark an open file as in use, until it and all that maps it are closed; many may."""
    with contextlib.suppress(OSError):
        _lock(handle, shared=True)


def is_shared(path: Path) -> bool:
    """Whether a process has marked the file. Never on Windows, which refuses to remove one open."""
    with path.open("r+b") as file:
        try:
            _lock(file.fileno())
        except OSError:
            return True
    return False


def _acquire(path: Path) -> int:
    while True:
        with one_line_errors(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(handle)
        except OSError as error:
            holder = _read(handle)
            os.close(handle)
            raise Held(holder or "process unknown") from error
        if _is_still(handle, path):
            return handle
        os.close(handle)  # the file was removed in between: once more, with the new one


def _is_still(handle: int, path: Path) -> bool:
    """Whether the open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _sign(handle: int) -> None:
    """Say who has the lock, for the message of those who do not; a full disk is no matter."""
    with contextlib.suppress(OSError):
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
        """Raises `OSError` if another has the lock."""
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
