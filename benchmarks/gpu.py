"""Training on a CUDA GPU: is it right, and how fast is it.

    python benchmarks/gpu.py [--batches 64 256] [--compile style:64 dcgan:256]
                             [--steps 16] [--repeats 3] [--checks]

With ``--checks`` first the tests that compare CUDA with the CPU (drawing, gradients, inversion,
training steps, resuming). Then faces per second of steps launched from Python, of steps recorded as
CUDA graphs and, where ``--compile`` names them, of recorded steps with compiled networks: in turn,
medians over the repeats. The device is waited for before each reading of the clock. Every 16th
step has R1's penalty where the recipe has one. "Busy" is the share of the time that kernels ran.
Writes results/gpu.json.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from neuralid.core.device import pick_device, pick_precision
from neuralid.models.architecture import architecture
from neuralid.models.config import ModelConfig
from neuralid.models.recipe import RECIPES
from neuralid.training.batches import Batches
from neuralid.training.compiling import compile_networks
from neuralid.training.config import TrainConfig
from neuralid.training.distributed.world import World
from neuralid.training.recording import Recorder
from neuralid.training.state import TrainState
from neuralid.training.step import Engine, Pass, passes

ROOT = Path(__file__).parent.parent
MODELS = (ModelConfig(56), ModelConfig(112, architecture="style"))
PICTURES = 2048
WARM = 48  # steps in which kernels are chosen and both kinds of step recorded
KINDS = ("eager", "recorded", "compiled")


class Timed:
    """One run whose steps are timed."""

    def __init__(self, model: ModelConfig, batch: int, device: torch.device, kind: str) -> None:
        recipe = RECIPES[architecture(model.architecture).recipe]
        self.config = TrainConfig(batch=batch, recipe=recipe)
        shape = (PICTURES, model.size, model.size, 3)
        faces = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        self.batches = Batches(faces, np.arange(PICTURES), 0, mirror=True)
        self.batches.place(device)
        self.state = TrainState.fresh(model, self.config, device)
        engine = Engine.start(self.state, self.config, pick_precision("auto", device), World())
        started = time.perf_counter()
        if kind == "compiled":
            engine = compile_networks(self.state, next(self.passes()), engine, complain)
        self.recorder = Recorder.start(engine, complain)
        if kind == "eager":
            self.recorder.graphs = None
        self.steps(WARM)
        self.first_s = time.perf_counter() - started

    def passes(self) -> Iterator[Pass]:
        return passes(self.state, self.batches, self.config, World())

    def steps(self, count: int) -> float:
        """Pictures per second over ``count`` steps."""
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(count):
            self.recorder.train_step(self.state, list(self.passes()))
            self.state.images += self.config.batch
            self.state.step += 1
        torch.cuda.synchronize()
        return count * self.config.batch / (time.perf_counter() - started)

    def kernel_seconds(self, count: int) -> float:
        """How long kernels run in a step, on average."""
        with profile(activities=[ProfilerActivity.CUDA]) as seen:
            self.steps(count)
        return sum(event.self_device_time_total for event in seen.key_averages()) / count / 1e6


def complain(message: str) -> None:
    """What should not happen here is said; that networks are compiled is known."""
    if "cannot" in message:
        print(message, file=sys.stderr)


@dataclass(frozen=True)
class Options:
    batches: list[int]
    compile: list[str]
    steps: int
    repeats: int


def compare(model: ModelConfig, batch: int, device: torch.device, options: Options) -> Any:
    """Faces per second of all kinds, in turn, and how busy the device was."""
    torch.cuda.reset_peak_memory_stats(device)
    compiles = f"{model.architecture}:{batch}" in options.compile
    kinds = KINDS if compiles else KINDS[:2]
    runs = {kind: Timed(model, batch, device, kind) for kind in kinds}
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(options.repeats):
        for kind, run in runs.items():
            rates[kind].append(run.steps(options.steps))
    found: dict[str, Any] = {"model": f"{model.architecture} {model.size}", "batch": batch}
    for kind, run in runs.items():
        rate = statistics.median(rates[kind])
        busy = run.kernel_seconds(options.steps) * rate / batch
        found[kind] = {"faces_per_s": round(rate), "busy": round(min(busy, 1.0), 2)}
    if compiles:
        found["compiled"]["ready_after_s"] = round(runs["compiled"].first_s)
    found["memory_mib"] = torch.cuda.max_memory_allocated(device) >> 20
    return found


def check() -> str:
    """The tests of CUDA against the CPU, in one line: how many passed."""
    tests = ["tests/test_accelerators.py", "tests/test_recording.py"]
    words = ["-q", "-n", "0", "-p", "no:cacheprovider", "-p", "no:benchmark", *tests]
    told = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True
    )
    if told.returncode:
        print(told.stdout[-3000:], file=sys.stderr)
    lines = told.stdout.strip().splitlines() or [told.stderr.strip()]
    return re.sub(r" in [\d.]+s.*", "", lines[-1])


def measure(options: Options, show: Callable[[list[Any]], None]) -> None:
    """Measure all there is; ``show`` gets what is known after each."""
    device, found = pick_device("cuda"), list[Any]()
    with torch.backends.cudnn.flags(enabled=True, benchmark=True):
        for model in MODELS:
            for batch in options.batches:
                found.append(compare(model, batch, device, options))
                show(found)
                torch.cuda.empty_cache()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, nargs="*", default=[64, 256])
    parser.add_argument("--compile", nargs="*", default=["style:64"], metavar="NAME:N")
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--checks", action="store_true", help="a minute of tests first")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "gpu.json")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("this machine has no CUDA GPU")
    told = {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "checks": check() if options.checks else "not run",
    }
    print(json.dumps(told), flush=True)
    wanted = Options(options.batches, options.compile, options.steps, options.repeats)

    def show(runs: list[Any]) -> None:
        print(json.dumps(runs[-1]), flush=True)
        options.out.parent.mkdir(exist_ok=True)
        options.out.write_text(json.dumps({**told, "runs": runs}, indent=1) + "\n")

    measure(wanted, show)


if __name__ == "__main__":
    main()
