"""Memory: how much is left, what running out of it looks like, and the C library's habits."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from .errors import ConfigError, ImageError, NeuralidError

_CONTROL = Path("/sys/fs/cgroup")
_OPENCV_NO_MEMORY = -4
# In the messages of torch's and OpenCV's errors, which have no type of their own for this.
_SAID = (
    "not enough memory",
    "can't allocate memory",
    "out of memory",
    "insufficient memory",
    "bad_alloc",
    "can't start new thread",
)


def keep_freed_memory() -> None:
    """Let the C library keep the memory that this process frees, for the next step to use.

    By default glibc gives every large block back and the kernel zeroes each page anew: half of
    a float32 training step on a CPU. Elsewhere than on glibc this does nothing. It holds for the
    whole process, so the library leaves it to programs; the command line calls it first of all.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        m_mmap_max, m_trim_threshold = -4, -1
        mallopt(m_mmap_max, 0)
        mallopt(m_trim_threshold, 2**31 - 1)


def peak_of_process_mb() -> int:
    """The most memory this process has had so far, MiB; 0 where it is not known."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1 << 20 if sys.platform == "darwin" else 1 << 10)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory, in Python's, NumPy's, OpenCV's or torch's way.

    An error counts that was raised from such a one, too.
    """
    if isinstance(error, MemoryError):  # NumPy's is one
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    is_opencvs = type(error).__module__ == "cv2"
    if is_opencvs and getattr(error, "code", None) == _OPENCV_NO_MEMORY:
        return True
    has_no_type = isinstance(error, RuntimeError) or is_opencvs
    if has_no_type and any(words in str(error).lower() for words in _SAID):
        return True
    return error.__cause__ is not None and is_out_of_memory(error.__cause__)


@contextlib.contextmanager
def memory_errors(what: str, hint: str, needed: float | None = None) -> Iterator[None]:
    """Turn running out of memory into an `ImageError` about ``what``.

    ``needed`` are the bytes that the work is known to take, roughly.
    """
    try:
        yield
    except NeuralidError:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        takes = "" if needed is None else f": it takes about {in_gb(needed)}"
        raise ImageError(f"not enough memory for {what}{takes}", hint=hint) from error


def check_memory(
    needed: float, what: str, hint: str, error: type[NeuralidError] = ConfigError
) -> None:
    """Raise ``error`` now if ``needed`` bytes for ``what`` are more than there are."""
    free = free_memory()
    if free is not None and needed > free:
        raise error(
            f"{what} would take about {in_gb(needed)} of memory, and {in_gb(free)} is free",
            hint=hint,
        )


def in_gb(count: float) -> str:
    """Bytes to read: ``3.4 GB``, ``120 MB``."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(count, 0) / 1e6:.0f} MB"


def free_memory() -> int | None:
    """Bytes this process can still take, of the machine's, its group's and its own; None: unknown.

    What the system keeps of files, and would give up, counts as free.
    """
    known = [left for left in (_of_machine(), _of_groups(), _of_process()) if left is not None]
    return max(0, min(known)) if known else None


def _of_machine() -> int | None:
    """Memory and swap that are free."""
    try:
        lines = dict(line.split(":", 1) for line in _read(Path("/proc/meminfo")).splitlines())
        return sum(1024 * int(lines[key].split()[0]) for key in ("MemAvailable", "SwapFree"))
    except (OSError, ValueError, LookupError):
        return None


def _of_groups() -> int | None:
    """What the control groups leave, as in a container; the narrowest one counts."""
    try:
        own = _read(Path("/proc/self/cgroup")).splitlines()
        below = next(line[3:] for line in own if line.startswith("0::")).strip("/")
    except (OSError, StopIteration):
        return None
    folder = _CONTROL / below
    folders = [folder, *folder.parents] if folder.is_dir() else [_CONTROL]
    left = [_of_group(each) for each in folders if each.is_relative_to(_CONTROL)]
    return min((each for each in left if each is not None), default=None)


def _of_group(folder: Path) -> int | None:
    try:
        limit, used = _read(folder / "memory.max"), _read(folder / "memory.current")
        kept = dict(line.split(" ", 1) for line in _read(folder / "memory.stat").splitlines())
        return int(limit) - int(used) + int(kept["inactive_file"])
    except (OSError, ValueError, LookupError):  # "max" is no number
        return None


def _of_process() -> int | None:
    """What ``ulimit -v`` leaves."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return None
        pages = int(_read(Path("/proc/self/statm")).split()[0])
        return limit - pages * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError, ValueError, LookupError):
        return None


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii", errors="replace")
