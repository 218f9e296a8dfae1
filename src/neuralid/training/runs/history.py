"""What a run's log tells: the line the training took, how long it took, how long it will take."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PAUSE = 600.0  # seconds between two lines, beyond what training took, in which nothing ran
RESUMED = "resumed"  # the event by which a run went back to the checkpoint of so many pictures
RECENT = 30  # lines from which the speed is taken to tell how long the rest will take


@dataclass
class History:
    """The log of a run, without the stretches that were left and trained again.

    A resumed run goes back to its checkpoint, and one that diverged to its last good state: what
    the log says of pictures beyond that point is not the past of the weights there are now.
    """

    ticks: list[dict[str, Any]] = field(default_factory=list)  # a line each thousand pictures
    measured: list[dict[str, Any]] = field(default_factory=list)  # the metrics of snapshots
    floors: dict[str, Any] = field(default_factory=dict)  # metric -> real faces against real ones
    events: list[dict[str, Any]] = field(default_factory=list)  # all that ever happened
    skipped: int = 0  # pictures that could not be read
    kimg: float = 0.0  # thousands of pictures shown, as far as the log goes
    seconds: float = 0.0  # spent on training in all, pauses left out
    judging: float = 0.0  # seconds of them that went into metrics

    @classmethod
    def read(cls, path: Path) -> History:
        """From a log.jsonl; lines that are damaged are passed over, and so is a missing file."""
        history, last = cls(), None
        for line in _lines(path):
            last = history._add(line, last)
        return history

    def _add(self, line: dict[str, Any], last: dict[str, Any] | None) -> dict[str, Any] | None:
        """Take a line in; ``last`` is the tick before it, and the last tick is returned."""
        kimg = number(line.get("kimg"))
        self.judging += number(line.get("metrics_seconds")) or 0.0
        if "event" in line:
            self.events.append({**line, "kimg": self.kimg if kimg is None else kimg})
            if line["event"] == RESUMED and kimg is not None:
                _leave(self.ticks, kimg, beyond=True)
                _leave(self.measured, kimg, beyond=True)
                self.kimg = kimg
        elif isinstance(line.get("floors"), dict):
            self.floors = line["floors"]
        elif kimg is not None and isinstance(line.get("metrics"), dict):
            _leave(self.measured, kimg)
            self.measured.append(line)
        elif kimg is not None and "loss_d" in line:
            took = _seconds(line, last)
            self.seconds += took
            _leave(self.ticks, kimg)
            _leave(self.measured, kimg)
            self.ticks.append({**line, "seconds": took})
            self.kimg = kimg
            return line
        elif "skipped" in line:
            self.skipped += 1
        elif kimg is not None and "snapshot" in line:
            self.kimg = kimg
        return last

    @property
    def speed(self) -> float | None:
        """Pictures a second of late, snapshots and metrics included; None if not known yet."""
        recent = self.ticks[-RECENT:]
        seconds = sum(tick["seconds"] for tick in recent)
        before = self.ticks[-RECENT - 1]["kimg"] if len(self.ticks) > RECENT else 0.0
        return (recent[-1]["kimg"] - before) * 1000 / seconds if seconds > 0 else None

    def seconds_left(self, total: float) -> float | None:
        """How long what is left of ``total`` thousand pictures will take; None if not known."""
        return max(total - self.kimg, 0) * 1000 / self.speed if self.speed else None

    def line(self, total: float) -> str:
        """The state of the run in one plain line: pictures, losses, speed, time left, a metric."""
        parts = [f"{self.kimg:g}/{total:g} kimg"]
        tick = self.ticks[-1] if self.ticks else {}
        for key, text in (("loss_d", "D {:.2f}"), ("loss_g", "G {:.2f}")):
            if (value := number(tick.get(key))) is not None:
                parts.append(text.format(value))
        if (speed := number(tick.get("images_per_second"))) is not None:
            parts.append(f"{speed:.3g} images/s")
        if left := self.seconds_left(total):
            parts.append(f"{in_words(left)} left")
        return "  ".join([*parts, *self._measured_now()])

    def _measured_now(self) -> Iterator[str]:
        if self.measured and self.measured[-1]["kimg"] > self.kimg - 0.0005:
            # The first is the one the best snapshot is kept by; all would not fit in a line.
            for name, value in list(self.measured[-1]["metrics"].items())[:1]:
                if (known := number(value)) is not None:
                    yield f"{name} {known:.3g}"


def number(value: Any) -> float | None:
    """A number that can be drawn, or None: for null, NaN, an infinity, or no number at all."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


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


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            values = json.loads(line)
        except ValueError:
            continue  # the last line of a run that was killed while writing
        if isinstance(values, dict):
            yield values


def _leave(lines: list[dict[str, Any]], kimg: float, beyond: bool = False) -> None:
    """Drop those from ``kimg`` on, or those ``beyond`` it."""
    while lines and (lines[-1]["kimg"] > kimg or (lines[-1]["kimg"] == kimg and not beyond)):
        lines.pop()


def _seconds(line: dict[str, Any], last: dict[str, Any] | None) -> float:
    """How long a tick took: by the clock if training went on from the one before it."""
    speed, kimg = number(line.get("images_per_second")), float(line["kimg"])
    before = float(last["kimg"]) if last else 0.0
    covered = kimg - before if kimg > before else min(1.0, kimg)
    computing = covered * 1000 / speed if speed else 0.0
    now, then = number(line.get("time")), number(last.get("time")) if last else None
    if now is None or then is None or not 0 <= now - then <= 3 * computing + PAUSE:
        return computing
    return now - then
