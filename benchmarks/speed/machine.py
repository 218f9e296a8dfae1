"""What a figure was measured on."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

# Instruction sets that decide how fast the networks are, as Linux calls them.
NOTABLE = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")
PACKAGES = ("torch", "numpy", "opencv-python", "pillow", "scipy")


def use_cores(count: int) -> int:
    """Keep this process and those it starts to so many cores; returns how many those are.

    Of a core that runs two threads at once only one counts. Where a process cannot choose its
    cores, torch and OpenCV are told the number of threads.
    """
    import cv2
    import torch

    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        firsts = [cpu for cpu in allowed if cpu == min(_siblings(cpu) & set(allowed))]
        os.sched_setaffinity(0, firsts[:count])
        count = len(firsts[:count])
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    return count


def describe(cores: int) -> dict[str, Any]:
    """The machine: processor, cores it has and cores used, instruction sets of note."""
    told = _cpuinfo()
    flags = set((told.get("flags") or told.get("Features") or "").split())
    model = told.get("model name") or platform.processor() or platform.machine()
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "cores_used": cores,
        "instructions": [name for name in NOTABLE if name in flags],
        "system": f"{platform.system()} {platform.machine()}",
    }


def load() -> float | None:
    """Processes that ran or waited in the last minute, on average; None where nobody knows."""
    with contextlib.suppress(OSError, AttributeError):
        return round(os.getloadavg()[0], 2)
    return None


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def _siblings(cpu: int) -> set[int]:
    """The processors of one core, as ``0-1`` or ``0,64``; this one alone where Linux is silent."""
    place = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        text = place.read_text()
    except OSError:
        return {cpu}
    parts = [part.split("-") for part in text.strip().split(",")]
    return {number for part in parts for number in range(int(part[0]), int(part[-1]) + 1)}


def _cpuinfo() -> dict[str, str]:
    """The first processor's lines of /proc/cpuinfo."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}
