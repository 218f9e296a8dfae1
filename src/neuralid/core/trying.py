"""Which of several ways to do one thing is the fastest on this machine: tried once, remembered.

What a processor is good at cannot be read off its flags: of two with the same instructions for
bfloat16, one trained 2.7 times faster in it, the other slower.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .errors import NeuralidError
from .files import make_folder, read_at_most, write_atomically
from .home import cache_folder
from .jsontext import parse, take

MARGIN = 1.05  # how much faster than the preferred way another must be: figures scatter by less
ROUNDS = 2  # in which all ways are tried, as first times are slow
CLEAR = 2  # those that then take so much longer than the fastest are not in the last round
VERSION = 3  # of what is tried: after a change of it all answers are found anew
OFF = "NEURALID_TRIALS"  # in the environment; "off": nothing is tried
_MOST = 1 << 20  # bytes of the file of answers
_ISA = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY")  # they limit instructions
_WIDE = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "bf16", "sve")  # flags that decide much
Seconds = dict[str, float]
Work = Callable[[], object]
_known: dict[str, Seconds] = {}  # what this process has tried or read


@dataclass(frozen=True)
class Trial:
    """One thing that can be done in several ways. ``question`` names it: what, and of what size."""

    question: str
    ways: Mapping[str, Callable[[], Work]]  # each makes ready what is then done and timed
    preferred: str  # unless another is clearly faster, or nothing may be tried


def fastest(trial: Trial) -> tuple[str, Seconds]:
    """The fastest way by name, and how many seconds each took in the fastest of its rounds.

    The answer is looked up, or found by doing it all and remembered in the cache folder by
    processor, threads and version of torch. With ``NEURALID_TRIALS=off`` it is the preferred way.
    """
    if os.environ.get(OFF) == "off" or len(trial.ways) == 1:
        return trial.preferred, {}
    key = f"{_machine()}: {trial.question}"
    seconds = _known.get(key) or _remembered(key, trial)
    if seconds is None:
        seconds = _try(trial.ways)
        _remember(key, seconds)
    _known[key] = seconds
    best = min(seconds, key=lambda way: seconds[way])
    is_clear = seconds[best] * MARGIN < seconds[trial.preferred]
    return (best if is_clear else trial.preferred), seconds


def _try(ways: Mapping[str, Callable[[], Work]]) -> Seconds:
    """Seconds of the fastest of a few rounds, each way once in a round.

    None is left out for its first time: while memory is fetched and kernels are made, a way may
    take five times as long as it does later.
    """
    ready = {way: make() for way, make in ways.items()}
    rounds = [{way: _time(work) for way, work in ready.items()} for _ in range(ROUNDS)]
    seconds = {way: min(each[way] for each in rounds) for way in ready}
    limit = CLEAR * min(seconds.values())
    near = [way for way in ready if seconds[way] <= limit]
    for way in near if len(near) > 1 else ():
        seconds[way] = min(seconds[way], _time(ready[way]))
    return seconds


def _time(work: Work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@lru_cache(maxsize=1)
def _machine() -> str:
    """What an answer holds for: what is tried, the processor, its threads, torch."""
    import torch

    limits = [f"{name}={os.environ[name]}" for name in _ISA if name in os.environ]
    parts = (
        f"v{VERSION}",
        _processor(),
        f"{torch.get_num_threads()} threads",
        f"torch {torch.__version__}",
    )
    return ", ".join([*parts, *limits])


def _processor() -> str:
    """Model name, stepping and wide instructions where Linux tells them, else what Python knows.

    Two virtual machines on one processor may have different instructions.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    told = dict(line.replace("\t", "").split(":", 1) for line in lines if ":" in line)
    names = ("model name", "CPU part", "cpu family", "model", "stepping")
    known = [told[name].strip() for name in names if name in told]
    flags = (told.get("flags") or told.get("Features") or "").split()
    return " ".join([*known, *(each for each in _WIDE if each in flags)]) or platform.machine()


def _remembered(key: str, trial: Trial) -> Seconds | None:
    """What is in the cache, if it answers this; a file that is not ours counts as empty."""
    found = _read().get(key)
    good = found is not None and found.keys() == trial.ways.keys() and min(found.values()) > 0
    return found if good else None


def _read() -> dict[str, Seconds]:
    try:
        content = read_at_most(_file(), _MOST)
        answers: dict[str, Seconds] = take(parse(content), dict[str, dict[str, float]])
    except (OSError, ValueError, NeuralidError):
        return {}
    return answers


def _remember(key: str, seconds: Seconds) -> None:
    """Add an answer to the file. Where there can be none, the next process tries again."""
    rounded = {way: float(f"{value:.3g}") for way, value in seconds.items()}
    answers = {**_read(), key: rounded}
    try:
        make_folder(_file().parent)
        write_atomically(_file(), (json.dumps(answers, indent=1) + "\n").encode())
    except (OSError, NeuralidError):
        return


def _file() -> Path:
    return cache_folder() / "fastest.json"
