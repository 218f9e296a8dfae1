"""A training step recorded as a CUDA graph, so that Python does not launch its kernels.

A step is more than a thousand small kernels, and launching them from Python takes longer than
computing them. Recorded, a whole step is launched at once [1]_. Each kind of step (with R1's
penalty and without) has a graph of its own.

References
----------
.. [1] https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from ..core.device import device_of
from .state import TrainState
from .step import USES, Engine, Pass, train_step

WARM = 2  # steps of a kind before it is recorded: they choose kernels and allocate what stays


class Graphs(Protocol):
    """What records work on a device."""

    def beside(self) -> AbstractContextManager[None]:
        """Where both recorded and other work goes: one stream, in order with the caller's."""
        ...

    def record(
        self, work: Callable[[], Tensor], generators: Sequence[torch.Generator]
    ) -> Callable[[], Tensor]:
        """Record ``work``, without doing it; what is returned does it.

        Random numbers then come from the generators' seeds at that time.
        """
        ...


class CudaGraphs:
    """Of the current CUDA device. Its graphs share their memory: only one runs at a time."""

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()
        self.pool = torch.cuda.graph_pool_handle()

    @contextmanager
    def beside(self) -> Iterator[None]:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            yield
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(
        self, work: Callable[[], Tensor], generators: Sequence[torch.Generator]
    ) -> Callable[[], Tensor]:
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            values = work()

        def replay() -> Tensor:
            graph.replay()
            return values.clone()

        return replay


@dataclass(frozen=True)
class StandingPass(Pass):
    """A pass that stays in its place in memory, where a recorded step finds each new one."""

    generators: tuple[torch.Generator, ...] = ()

    @classmethod
    def like(cls, part: Pass) -> StandingPass:
        generators = tuple(torch.Generator(part.real.device) for _ in USES)
        return cls(torch.empty_like(part.real), torch.empty_like(part.noise), 0, None, generators)

    def rng(self, use: int) -> torch.Generator:
        return self.generators[use]

    def take(self, part: Pass) -> None:
        """Become another pass."""
        self.real.copy_(part.real)
        self.noise.copy_(part.noise)
        for use, generator in enumerate(self.generators):
            generator.manual_seed(part.rng_seed(use))


class Recorder:
    """Does a run's steps, recorded where it has ``graphs`` to record them with.

    A step is recorded only if it is one pass of one process, and both networks learn. The result
    is that of `train_step`. If recording fails, for lack of memory or because the device cannot,
    ``say`` hears of it and steps go on as before.
    """

    @classmethod
    def start(cls, engine: Engine, say: Callable[[str], None]) -> Recorder:
        """With graphs where there are some: for one process on CUDA."""
        device = device_of(engine.discriminator)
        usable = device.type == "cuda" and engine.world.size == 1
        return cls(engine, CudaGraphs() if usable else None, say)

    def __init__(self, engine: Engine, graphs: Graphs | None, say: Callable[[str], None]) -> None:
        self.engine, self.graphs, self.say = engine, graphs, say
        self.forget()

    def forget(self) -> None:
        """Drop what was recorded, for the state has other tensors or learning rates now."""
        self._recorded: dict[bool, Callable[[], Tensor]] = {}
        self._computed: Counter[bool] = Counter()
        self._place: StandingPass | None = None
        self._moved = torch.zeros(())

    def train_step(self, state: TrainState, batch: Sequence[Pass]) -> Tensor:
        """`step.train_step`, recorded if it can be."""
        if self.graphs is None or len(batch) > 1 or not state.both_learn:
            return train_step(state, batch, self.engine)
        with self.graphs.beside():
            return self._step(state, batch[0], self.graphs)

    def _step(self, state: TrainState, part: Pass, graphs: Graphs) -> Tensor:
        kind = self.engine.is_penalised(state)
        self._computed[kind] += 1
        if self._computed[kind] <= WARM:
            return train_step(state, [part], self.engine)
        place = self._take(state, part)
        if kind not in self._recorded:
            replay = self._try_to_record(state, place, graphs)
            if replay is None:
                return train_step(state, [part], self.engine)
            self._recorded[kind] = replay
        return self._recorded[kind]()

    def _take(self, state: TrainState, part: Pass) -> StandingPass:
        """Put a pass, and how far the average moves, where recorded steps find them."""
        if self._place is None:
            self._place = StandingPass.like(part)
            self._moved = torch.zeros((), device=part.real.device)
        self._place.take(part)
        self._moved.fill_(1 - state.average_decay(self.engine.recipe, len(part.real)))
        return self._place

    def _try_to_record(
        self, state: TrainState, place: StandingPass, graphs: Graphs
    ) -> Callable[[], Tensor] | None:
        engine = replace(self.engine, moved=self._moved)
        try:
            with _capturable(state):
                return graphs.record(lambda: train_step(state, [place], engine), place.generators)
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            self.say(f"training steps cannot be recorded as CUDA graphs, and are slower: {reason}")
            self.forget()
            self.graphs = None
            return None


@contextmanager
def _capturable(state: TrainState) -> Iterator[None]:
    """Let optimisers be recorded. Their steps count on the device anyway, being fused."""
    groups = [
        group for part in (state.optimizer_g, state.optimizer_d) for group in part.param_groups
    ]
    for group in groups:
        group["capturable"] = True
    try:
        yield
    finally:
        for group in groups:
            group["capturable"] = False
