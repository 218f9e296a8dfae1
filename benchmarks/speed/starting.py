"""How long `sample -n 1` takes beyond what importing torch takes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from .timing import Effort, Report, Way, Work, compare


def measure(effort: Effort) -> Report:
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        for weights in ("faces-112", "faces-56"):
            _time_start(report, weights, Path(folder) / "face.png", effort)
    return report


def _time_start(report: Report, weights: str, output: Path, effort: Effort) -> None:
    words = ["sample", "-n", "1", "--seed", "0", "--weights", weights, "-o", str(output)]
    ways = [
        Way(f"neuralid sample -n 1 --weights {weights}", _command("-m", "neuralid", *words), True),
        Way('python -c "import torch"', _command("-c", "import torch")),
    ]
    half = replace(effort, seconds=effort.seconds / 2)
    own, torch = compare(report, Work(f"start, {weights}", "run", 1), ways, half)
    above = statistics.median(a - b for a, b in zip(own, torch, strict=True))
    report.rows[-1]["above_s"] = above


def _command(*words: str) -> Callable[[], None]:
    def run() -> None:
        subprocess.run([sys.executable, *words], check=True, capture_output=True)

    return run
