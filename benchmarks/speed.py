"""How much the exact fast forms gain: each against the paper's plain form, in turn.

    python benchmarks/speed.py [--batch 64] [--repeats 5] [--precision fp32|bf16]

It prints ratios of medians; absolute times depend on the machine. The precision is that of
training; drawing and inverting run in float32.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neuralid.core.device import (
    describe,
    pick_device,
    pick_precision,
)
from neuralid.core.memory import keep_freed_memory
from neuralid.models.building import build_drawer, build_generator
from neuralid.models.config import ModelConfig
from neuralid.models.convolution import plain_upsample_conv
from neuralid.models.dcgan import (
    Conv7,
    Dropout,
    UpConv,
    as_conv_kernel,
)
from neuralid.models.share import WHOLE, Share
from neuralid.training.config import TrainConfig
from neuralid.training.distributed.world import World
from neuralid.training.state import TrainState
from neuralid.training.step import Engine, Pass, train_step


class PlainUpConv(UpConv):
    """The table's two rows as they stand: upsampling, then a 5x5 transposed convolution."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return plain_upsample_conv(x, as_conv_kernel(self.weight), self.bias)


class PlainConv7(Conv7):
    def forward(self, x: Tensor) -> Tensor:
        return nn.Conv2d.forward(self, x)


class PlainDropout(Dropout):
    def forward(self, x: Tensor, share: Share = WHOLE) -> Tensor:
        return F.dropout(x, self.threshold / 256, self.training)


def plainly(network: nn.Module) -> nn.Module:
    """Make a network compute the plain forms."""
    for module in network.modules():
        if isinstance(module, UpConv):
            module.__class__ = PlainUpConv
        if isinstance(module, Conv7):
            module.__class__ = PlainConv7
        if isinstance(module, Dropout):
            module.__class__ = PlainDropout
    return network


def in_turn(repeats: int, *functions: Callable[[], object]) -> list[float]:
    """Median seconds of each function, all of them run once in each round."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats + 1):
        for record, function in zip(times, functions, strict=True):
            started = time.perf_counter()
            function()
            record.append(time.perf_counter() - started)
    return [statistics.median(record[1:]) for record in times]


def report(name: str, batch: int, plain: float, fast: float) -> None:
    rates = f"{batch / plain:8.1f} -> {batch / fast:8.1f} faces/s"
    print(f"{name:34} {rates}   {plain / fast:5.2f}x")


def training(batch: int, repeats: int, device: torch.device, precision: str) -> None:
    config = TrainConfig(batch=batch)
    fast, plain = (TrainState.fresh(ModelConfig(), config, device) for _ in range(2))
    plainly(plain.generator)
    plainly(plain.discriminator)
    faces = torch.rand(batch, 3, 56, 56, device=device) - 0.5
    z = torch.randn(batch, 400, device=device) / 2

    def step(state: TrainState) -> Callable[[], object]:
        engine = Engine.start(state, config, precision, World())
        return lambda: train_step(state, [Pass(faces, z, seed=0)], engine)

    report(f"training step, {precision}", batch, *in_turn(repeats, step(plain), step(fast)))


def drawing(batch: int, repeats: int, device: torch.device) -> None:
    generator = build_generator(ModelConfig(), torch.Generator()).to(device).eval()
    folded = build_drawer(generator)
    plainly(generator)
    z = torch.randn(batch, 400, device=device) / 2
    with torch.no_grad():
        report("drawing faces", batch, *in_turn(repeats, lambda: generator(z), lambda: folded(z)))


def inverting(batch: int, repeats: int, device: torch.device) -> None:
    generator = (
        build_generator(ModelConfig(), torch.Generator()).to(device).eval().requires_grad_(False)
    )
    folded = build_drawer(generator)
    plainly(generator)
    z = (torch.randn(batch, 400, device=device) / 2).requires_grad_(True)

    def gradient(network: nn.Module) -> Callable[[], object]:
        return lambda: torch.autograd.grad(network(z).square().sum(), z)

    times = in_turn(repeats, gradient(generator), gradient(folded))
    report("inversion, one loss and gradient", batch, *times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    device = pick_device(options.device)
    print(f"{describe(device)}, batch {options.batch}")
    keep_freed_memory()
    precision = pick_precision(options.precision, device)
    training(options.batch, options.repeats, device, precision)
    for measure in (drawing, inverting):
        measure(options.batch, options.repeats, device)


if __name__ == "__main__":
    main()
