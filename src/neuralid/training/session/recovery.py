"""When a run goes wrong: put a good state back, and report it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ..distributed.world import World
from ..health import has_collapsed
from ..loop import ROLLBACKS
from ..runs.checkpoint import load_checkpoint
from ..runs.folder import Run
from ..runs.history import History
from ..runs.origin import read_origin
from ..runs.plan import Plan
from ..runs.records import COLLAPSED, ROLLBACK, Event, now
from ..state import TrainState


@dataclass(frozen=True)
class Recovery:
    """Puts back the state of one run, on all its processes; the first reads and reports."""

    plan: Plan
    run: Run
    state: TrainState
    device: torch.device
    world: World
    say: Callable[[str], None]

    def restore(self) -> bool:
        """Put back the newest checkpoint that can be read; False if there are no checkpoints yet.

        Raises `TrainingError` if there are some but none can be read.
        """

        def load() -> bool:
            return load_checkpoint(
                self.run.folder,
                self.state.unpack,
                lambda path: self.say(f"{path.name} is damaged; going back to the one before"),
            )

        found = self.world.first(load)
        if self.world.size > 1:
            self.state.unpack(self.world.broadcast(self.state.pack()))
        return found

    def begin(self) -> None:
        """Put the state at the run's start: fresh networks, or those it starts from.

        Those the first process reads, for all. Raises `WeightsError` or `TrainingError`.
        """
        fresh = TrainState.fresh(self.plan.model, self.plan.train, self.device)
        if not self.plan.from_weights:
            self.state.unpack(fresh.pack())
            return
        self.world.alone(lambda: self._start_from(fresh, Path(self.plan.from_weights)))
        self.state.unpack(self.world.broadcast(fresh.pack()))

    def _start_from(self, state: TrainState, path: Path) -> None:
        origin = read_origin(path)
        state.start_from(origin.generator, origin.discriminator)
        if origin.discriminator is None:
            alone = f"a new one learns alone for the first {state.warmup / 1000:g} kimg"
            self.say(f"{path.name} comes without its discriminator: {alone}")

    def go_back(self) -> None:
        """After a loss that was not finite, put back the last checkpoint and halve the rates.

        Without a checkpoint, the run starts over. Only sound states are written as checkpoints. The
        rates are part of the state, so a resumed run keeps them.
        """
        diverged, times = self.state.images / 1000, self.state.rollbacks + 1
        if not self.restore():
            self.begin()
        self.state.lower_rates(times, self.plan.train.recipe)
        if not self.world.is_first:
            return
        kimg, rates = self.state.images / 1000, f"1/{2**times}"
        facts = {"back_to": kimg, "learning_rates": rates, "rollbacks": times}
        self.run.log(Event(ROLLBACK, diverged, facts, now()))
        self.say(
            f"the loss was not finite after {diverged:.1f} kimg: back to {kimg:.1f} kimg, "
            f"with {rates} of the learning rates ({times} of at most {ROLLBACKS} times)"
        )

    def watch(self, drawn: float, real: float) -> None:
        """Report, once, a generator that has collapsed, judged by the `spread` of its faces."""
        if not has_collapsed(drawn, real, self.state.step):
            return
        history = History.read(self.run.log_path)
        if any(event.name == COLLAPSED for event in history.events):
            return
        share = round(drawn / real, 3)
        facts = {"share_of_real_spread": share}
        self.run.log(Event(COLLAPSED, self.state.images / 1000, facts, now()))
        self.say(
            f"the generator has collapsed: its faces vary only {share:.0%} as much as "
            "real ones; start again with another seed or recipe, or a larger batch"
        )
