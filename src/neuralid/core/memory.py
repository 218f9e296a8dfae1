"""The C library's habits with freed memory, for a process that is this program's own."""

from __future__ import annotations

import ctypes
import sys


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
