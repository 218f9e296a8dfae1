"""How far long work is: a bar on a terminal; elsewhere a line at the start and each minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .. import bars, console

EVERY = 60.0  # seconds between two lines
FEW = 3  # reports from which no speed is told yet: the first steps are the slowest
clock = time.monotonic


class Lines:
    """Says how far something is, now and then; nothing where a bar is drawn.

    The first minute begins when this is made; if it is ``late``, with the first report.
    """

    def __init__(self, label: str, unit: str, at_once: bool = False, late: bool = False) -> None:
        self.label, self.unit = label, f" {unit}".rstrip()
        self.began = clock()
        self.said, self.late = self.began - EVERY * at_once, late
        self.before: float | None = None  # what was done at the first report, when it began
        self.heard = 0

    def __call__(self, done: float, total: float, more: str = "") -> None:
        now = clock()
        self.heard += 1
        if self.before is None:
            self.before, self.began = done, now
            self.said = now if self.late else self.said
        is_terminal = console.stderr.is_terminal and not console.stderr.is_dumb_terminal
        if is_terminal or now - self.said < EVERY or not total:
            return
        self.said = now
        left = self._left(done, total, now)
        share = f"{done:g} of {total:g}{self.unit}, {done / total:.0%}"
        console.say(f"{self.label}: {share}{more}{left}")

    def _left(self, done: float, total: float, now: float) -> str:
        """About how long the rest takes, by the speed so far; nothing while that says little."""
        new = done - (self.before or 0)
        if new <= 0 or now <= self.began or done >= total or self.heard <= FEW:
            return ""
        minutes = (total - done) / new * (now - self.began) / 60
        return f", about {minutes / 60:.1f} hours left" if minutes > 90 else _minutes(minutes)


def _minutes(minutes: float) -> str:
    if minutes >= 1.5:
        return f", about {minutes:.0f} min left"
    return ", about a minute left" if minutes >= 0.75 else ", less than a minute left"


@contextmanager
def counting(label: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show how many of some unit are done; yields ``on_step(done, total)``."""
    with bars.counting(label, unit) as bar:
        yield _both(bar, Lines(label, unit))


@contextmanager
def mixing() -> Iterator[tuple[Callable[[int, int], None], Callable[[int, int], None]]]:
    """As `bars.mixing`: ``on_step`` and ``on_face``, with lines."""
    with bars.mixing() as (step_bar, face_bar):
        yield (
            _both(step_bar, Lines(*bars.SEARCH)),
            _both(face_bar, Lines(*bars.FACES, late=True)),
        )


def _both(bar: Callable[[int, int], None], lines: Lines) -> Callable[[int, int], None]:
    def on_step(done: int, total: int) -> None:
        bar(done, total)
        lines(done, total)

    return on_step


@contextmanager
def training() -> Iterator[
    tuple[Callable[[int, int], None], Callable[..., None], Callable[[int, int], None]]
]:
    """As `bars.training`: ``on_load``, ``on_step(Step)`` and ``on_encoder``, with lines."""
    reading, steps = Lines("reading", "pictures"), Lines("training", "kimg", at_once=True)
    finishing = Lines("finishing", "steps")
    with bars.training() as (load_bar, step_bar, encoder_bar):

        def on_step(step: Any) -> None:
            step_bar(step)
            more = f", D {step.loss_d:.2f} G {step.loss_g:.2f}, {step.images_per_second:.1f}/s"
            steps(round(step.images / 1000, 1), step.total / 1000, more)

        yield _both(load_bar, reading), on_step, _both(encoder_bar, finishing)
