"""What a run's log tells: how training went, how long it took, and how long the rest will take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from .records import (
    RESUMED,
    Event,
    Floors,
    Measured,
    Record,
    Skipped,
    Snapshot,
    Tick,
    read_records,
)

PAUSE = 600.0  # seconds between two lines, beyond those of training, that count as a pause
RECENT = 30  # lines from which the speed is taken, to estimate how long the rest will take


@dataclass(frozen=True)
class TimedTick(Tick):
    """A tick, and how long it took."""

    seconds: float = 0.0


@dataclass
class History:
    """The log of a run, without the stretches that were abandoned and trained again.

    A resumed run goes back to its checkpoint, and one that diverged to its last good state. What
    the log says beyond that point did not lead to the present weights.
    """

    ticks: list[TimedTick] = field(default_factory=list)  # one per thousand pictures
    measured: list[Measured] = field(default_factory=list)  # snapshots that have metrics
    floors: dict[str, float | None] = field(default_factory=dict)  # see `Floors`
    events: list[Event] = field(default_factory=list)  # all that ever happened
    skipped: int = 0  # pictures that could not be read
    kimg: float = 0.0  # thousands of pictures shown, as far as the log goes
    seconds: float = 0.0  # spent on training in total, without pauses
    judging: float = 0.0  # seconds of them that went into metrics

    @classmethod
    def read(cls, path: Path) -> History:
        """From a log.jsonl; damaged lines are skipped, and a missing file counts as empty."""
        history, last = cls(), None
        for record in read_records(path):
            history._add(record, last)
            last = record if isinstance(record, Tick) else last
        return history

    def _add(self, record: Record, last: Tick | None) -> None:
        """Take in a record; ``last`` is the tick before it."""
        match record:
            case Event():
                self._add_event(record)
            case Floors():
                self.floors = record.values
            case Measured():
                self.judging += record.seconds or 0.0
                if record.metrics:
                    _drop(self.measured, record.kimg)
                    self.measured.append(record)
            case Tick():
                self._add_tick(record, last)
            case Skipped():
                self.skipped += 1
            case Snapshot():
                self.kimg = record.kimg

    def _add_event(self, event: Event) -> None:
        self.events.append(event if event.kimg is not None else replace(event, kimg=self.kimg))
        if event.name == RESUMED and event.kimg is not None:
            _drop(self.ticks, event.kimg, beyond=True)
            _drop(self.measured, event.kimg, beyond=True)
            self.kimg = event.kimg

    def _add_tick(self, tick: Tick, last: Tick | None) -> None:
        took = _seconds(tick, last)
        self.seconds += took
        _drop(self.ticks, tick.kimg)
        _drop(self.measured, tick.kimg)
        self.ticks.append(TimedTick(**vars(tick), seconds=took))
        self.kimg = tick.kimg

    @property
    def speed(self) -> float | None:
        """Recent images/s, snapshots and metrics included; None if not known yet."""
        recent = self.ticks[-RECENT:]
        seconds = sum(tick.seconds for tick in recent)
        before = self.ticks[-RECENT - 1].kimg if len(self.ticks) > RECENT else 0.0
        return (recent[-1].kimg - before) * 1000 / seconds if seconds > 0 else None

    def seconds_left(self, total: float) -> float | None:
        """How long the rest of ``total`` thousand pictures will take; None if not known yet."""
        return max(total - self.kimg, 0) * 1000 / self.speed if self.speed else None

    def line(self, total: float) -> str:
        """The state of the run in one plain line: pictures, losses, speed, time left, a metric."""
        parts = [f"{self.kimg:g}/{total:g} kimg"]
        if self.ticks:
            tick = self.ticks[-1]
            shown = (
                ("D {:.2f}", tick.loss_d),
                ("G {:.2f}", tick.loss_g),
                ("{:.3g} images/s", tick.images_per_second),
            )
            parts += [form.format(value) for form, value in shown if value is not None]
        if left := self.seconds_left(total):
            parts.append(f"{in_words(left)} left")
        return "  ".join([*parts, *self._measured_now()])

    def _measured_now(self) -> Iterator[str]:
        if self.measured and self.measured[-1].kimg > self.kimg - 0.0005:
            # The first one picks the best snapshot; all of them would not fit in a line.
            for name, value in list(self.measured[-1].metrics.items())[:1]:
                if value is not None:
                    yield f"{name} {value:.3g}"


def in_words(seconds: float) -> str:
    """A duration to read at a glance: ``45 s``, ``12 min``, ``3 h 5 min``, ``2 d 4 h``."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def _drop(records: list[TimedTick] | list[Measured], kimg: float, beyond: bool = False) -> None:
    """Drop those from ``kimg`` on, or those ``beyond`` it."""
    while records and (records[-1].kimg > kimg or (records[-1].kimg == kimg and not beyond)):
        records.pop()


def _seconds(tick: Tick, last: Tick | None) -> float:
    """How long a tick took: by the clock if training continued from the one before it."""
    before = last.kimg if last else 0.0
    covered = tick.kimg - before if tick.kimg > before else min(1.0, tick.kimg)
    speed = tick.images_per_second
    computing = covered * 1000 / speed if speed else 0.0
    then = last.time if last else None
    if tick.time is None or then is None or not 0 <= tick.time - then <= 3 * computing + PAUSE:
        return computing
    return tick.time - then
