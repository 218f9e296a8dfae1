"""Training on a CUDA GPU: steps launched from Python against steps recorded as CUDA graphs.

    python benchmarks/gpu.py [--batches 64 256] [--steps 16] [--repeats 5]

Both ways in turn, medians over the repeats; the device is waited for before each reading of the
clock. Every 16th step has R1's penalty where the recipe has one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np
import torch

from neuralid.core.device import pick_device, pick_precision
from neuralid.models.architecture import architecture
from neuralid.models.config import ModelConfig
from neuralid.models.recipe import RECIPES
from neuralid.training.batches import Batches
from neuralid.training.config import TrainConfig
from neuralid.training.distributed.world import World
from neuralid.training.recording import Recorder
from neuralid.training.state import TrainState
from neuralid.training.step import Engine, passes

MODELS = (ModelConfig(112, architecture="style"), ModelConfig(56))
PICTURES = 2048


class Timed:
    """One run whose steps are timed."""

    def __init__(self, model: ModelConfig, batch: int, device: torch.device, records: bool) -> None:
        recipe = RECIPES[architecture(model.architecture).recipe]
        self.config = TrainConfig(batch=batch, recipe=recipe)
        shape = (PICTURES, model.size, model.size, 3)
        faces = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        self.batches = Batches(faces, np.arange(PICTURES), 0, mirror=True)
        self.batches.place(device)
        self.state = TrainState.fresh(model, self.config, device)
        engine = Engine.start(self.state, self.config, pick_precision("auto", device), World())
        self.recorder = Recorder.start(engine, print)
        if not records:
            self.recorder = replace_graphs(self.recorder)

    def steps(self, count: int) -> float:
        """Pictures per second over ``count`` steps."""
        torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(count):
            batch = list(passes(self.state, self.batches, self.config, World()))
            self.recorder.train_step(self.state, batch)
            self.state.images += self.config.batch
            self.state.step += 1
        torch.cuda.synchronize()
        return count * self.config.batch / (time.perf_counter() - started)


def replace_graphs(recorder: Recorder) -> Recorder:
    """A recorder that never records."""
    return Recorder(replace(recorder.engine), None, print)


def compare(model: ModelConfig, batch: int, device: torch.device, steps: int, repeats: int) -> None:
    plain, recorded = (Timed(model, batch, device, records) for records in (False, True))
    for each in (plain, recorded):
        each.steps(48)  # chooses kernels, and records both kinds
    rates = [(plain.steps(steps), recorded.steps(steps)) for _ in range(repeats)]
    slow, fast = map(statistics.median, zip(*rates, strict=True))
    memory = torch.cuda.max_memory_allocated(device) >> 20
    print(
        f"{model.architecture} {model.size} px, batch {batch}: {slow:.0f} faces/s from Python, "
        f"{fast:.0f} recorded, {fast / slow:.2f} times; both at most {memory} MiB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, nargs="*", default=[64, 256])
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("this machine has no CUDA GPU")
    device = pick_device("cuda")
    print(torch.cuda.get_device_name(device), torch.__version__)
    with torch.backends.cudnn.flags(enabled=True, benchmark=True):
        for model in MODELS:
            for batch in options.batches:
                compare(model, batch, device, options.steps, options.repeats)


if __name__ == "__main__":
    main()
