"""Networks compiled for training [1]_: many small operations become few kernels.

On a GPU most of a step of the style networks is spent on operations that only read and write maps.
Compiled they are done together. Compiling takes a minute, so it is for long runs.

References
----------
.. [1] J. Ansel et al., "PyTorch 2: Faster Machine Learning Through Dynamic Python Bytecode
       Transformation and Graph Compilation", ASPLOS 2024.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import nn

from ..core.device import device_of
from .config import TrainConfig
from .state import TrainState
from .step import Engine, Pass, rehearse

LONG = 500.0  # kimg from which compiling is soon made up for


def wants_compiling(state: TrainState, config: TrainConfig, engine: Engine) -> bool:
    """Whether the rest of a run is to be trained with compiled networks.

    By itself that is so on CUDA, if the rest is long. Several processes never compile: what
    averages over them stands between the layers.
    """
    if engine.world.size > 1 or config.compile is False:
        return False
    is_long = config.kimg - state.images / 1000 >= LONG
    return bool(config.compile) or (device_of(state.generator).type == "cuda" and is_long)


def compile_networks(
    state: TrainState, part: Pass, engine: Engine, say: Callable[[str], None]
) -> Engine:
    """An engine with compiled networks, or as it was if they cannot be; ``say`` hears why."""
    say("compiling the networks, which takes a minute or two")
    networks: tuple[nn.Module, ...] = (state.generator, state.discriminator)
    try:
        with _buffers_kept(state), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the compiler, to those who write networks
            compiled = {network: torch.compile(network, dynamic=False) for network in networks}
            faster = replace(engine, compiled=compiled)
            rehearse(state, part, faster)
    except Exception as error:  # no Triton, no C compiler, no such kernel: theirs is a long list
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        say(f"the networks cannot be compiled, and train more slowly: {reason}")
        return engine
    return faster


@contextmanager
def _buffers_kept(state: TrainState) -> Iterator[None]:
    """Put running statistics back, which a rehearsal changes."""
    buffers = [*state.generator.buffers(), *state.discriminator.buffers()]
    kept = [buffer.clone() for buffer in buffers]
    try:
        yield
    finally:
        for buffer, value in zip(buffers, kept, strict=True):
            buffer.copy_(value)
