"""Two searches at once on the same cores, with threads that spin for as long as OpenMP has them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from neuralid.cli._torch import SPINS

from .timing import Effort, Report, Way, Work, compare

USUAL = "300000"  # GNU OpenMP's own, if it has a core for each thread
WORDS = ("mix", "ada", "bruno", "--fidelity", "fast", "--overwrite", "-o")


def measure(effort: Effort) -> Report:
    report = Report()
    few = replace(effort, seconds=effort.seconds / 2, rounds=5)
    with tempfile.TemporaryDirectory() as folder:
        for count, name in ((1, "`mix`, fast, alone"), (2, "two at once")):
            places = [Path(folder) / f"{number}.png" for number in range(count)]
            ways = [
                Way("neuralid mix", _together(places, SPINS), ours=True),
                Way(f"with GOMP_SPINCOUNT={USUAL}", _together(places, USUAL)),
            ]
            compare(report, Work(name, "run", 1), ways, few)
    return report


def _together(places: list[Path], spins: str) -> Callable[[], None]:
    env = {**os.environ, "GOMP_SPINCOUNT": spins}

    def run() -> None:
        words = [[sys.executable, "-m", "neuralid", *WORDS, str(place)] for place in places]
        quiet = subprocess.DEVNULL
        running = [subprocess.Popen(each, env=env, stdout=quiet, stderr=quiet) for each in words]
        if any([each.wait() for each in running]):
            raise ValueError("neuralid mix failed")

    return run
