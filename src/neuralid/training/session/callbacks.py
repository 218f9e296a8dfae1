"""Who is told how a run is going."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..loop import Step


def _ignore(*_: object) -> None:
    """What a callback does that was not given."""


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
        """Those of the other processes, which can be told to stop but report nothing."""
        return Callbacks(should_stop=self.should_stop)

    def loading(self, done: int, total: int) -> None:
        """Pass on how many pictures are read. Raises `KeyboardInterrupt` if told to stop."""
        if self.should_stop():
            raise KeyboardInterrupt
        self.on_load(done, total)
