"""Who hears how a run goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..loop import Step


def _ignore(*_: object) -> None:
    """What happens to news nobody asked for."""


@dataclass(frozen=True)
class Callbacks:
    """The callbacks of `neuralid.train`, whose docstring says when each is called."""

    on_load: Callable[[int, int], None] = _ignore
    on_step: Callable[[Step], None] = _ignore
    on_encoder: Callable[[int, int], None] = _ignore
    on_message: Callable[[str], None] = _ignore
    on_alone: Callable[[], None] = _ignore
    should_stop: Callable[[], bool] = lambda: False

    def silent(self) -> Callbacks:
        """Those of a process that is not the first: it can be told to stop, and says nothing."""
        return Callbacks(should_stop=self.should_stop)

    def loading(self, done: int, total: int) -> None:
        """Pass on that pictures were read. Raises `KeyboardInterrupt` if it is to stop."""
        if self.should_stop():
            raise KeyboardInterrupt
        self.on_load(done, total)
