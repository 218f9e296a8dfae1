"""The lines of a run's log: one small type for each kind, and the only reader of the file.

A line is a JSON object, whose keys each type's `to_json` shows. Lines that are damaged or of
another shape are skipped, and a value of the wrong type counts as unknown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeAlias

from ...core import jsontext
from ...core.files import read_at_most

LARGEST = 1e15  # of a number in a line, so that sums of them are numbers too
MOST_LOG = 256_000_000  # bytes; a run of months has a hundredth of them

# Names of events.
RESUMED = "resumed"  # the run continued from its checkpoint of that many pictures
ROLLBACK = "rollback"  # it diverged, and went back to its last good state
FINISHED = "finished"  # its weights were published
COLLAPSED = "collapsed"  # the generator draws the same face for every latent


@dataclass(frozen=True)
class Tick:
    """The means of a stretch of training, about a thousand pictures; None: not known."""

    kimg: float  # thousands of pictures shown at its end
    loss_d: float | None = None
    loss_g: float | None = None
    d_real: float | None = None  # mean probability the discriminator gives real pictures
    d_fake: float | None = None  # and generated ones
    images_per_second: float | None = None
    memory_mb: float | None = None
    device: str | None = None
    time: float | None = None  # seconds since 1970
    augment_p: float | None = None  # probability of augmentation, if it adapts
    real_sign: float | None = None  # the discriminator's mean sign on real faces, which it follows

    def to_json(self) -> dict[str, Any]:
        """The line, without what is not known."""
        return _known(asdict(self))

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> Tick | None:
        """Read back; None if this is another kind of line."""
        kimg = number(line.get("kimg"))
        if kimg is None or "loss_d" not in line:
            return None
        names = [f.name for f in fields(cls) if f.name not in ("kimg", "device")]
        return cls(kimg, device=text(line.get("device")), **{n: number(line.get(n)) for n in names})


@dataclass(frozen=True)
class Snapshot:
    """A snapshot was written; everything known about it precedes this line."""

    kimg: float
    grid: str  # file name of its sample grid

    def to_json(self) -> dict[str, Any]:
        return {"kimg": self.kimg, "snapshot": self.grid}

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> Snapshot | None:
        """Read back; None if this is another kind of line."""
        kimg, grid = number(line.get("kimg")), text(line.get("snapshot"))
        return None if kimg is None or grid is None else cls(kimg, grid)


@dataclass(frozen=True)
class Measured:
    """The metrics of a snapshot, as far as there was time for them."""

    kimg: float
    metrics: dict[str, float | None]  # by name; None: not a finite number
    skipped: list[str] = field(default_factory=list)  # those there was no time for
    seconds: float | None = None  # spent on measuring

    def to_json(self) -> dict[str, Any]:
        line: dict[str, Any] = {"kimg": self.kimg}
        if self.metrics:
            line["metrics"] = self.metrics
        if self.skipped:
            line["metrics_skipped"] = self.skipped
        return line | _known({"metrics_seconds": self.seconds})

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> Measured | None:
        """Read back; None if this is another kind of line."""
        kimg, metrics = number(line.get("kimg")), line.get("metrics", {})
        if kimg is None or not isinstance(metrics, dict):
            return None
        if "metrics" not in line and "metrics_seconds" not in line:
            return None
        skipped = line.get("metrics_skipped")
        names = [n for n in skipped if isinstance(n, str)] if isinstance(skipped, list) else []
        return cls(kimg, _numbers(metrics), names, number(line.get("metrics_seconds")))


@dataclass(frozen=True)
class Floors:
    """What real faces score against other real ones, by metric."""

    values: dict[str, float | None]

    def to_json(self) -> dict[str, Any]:
        return {"floors": self.values}

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> Floors | None:
        """Read back; None if this is another kind of line."""
        values = line.get("floors")
        return cls(_numbers(values)) if isinstance(values, dict) else None


@dataclass(frozen=True)
class Event:
    """Something that happened to the run, and what is known about it."""

    name: str
    kimg: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)  # whatever JSON holds
    time: float | None = None  # seconds since 1970

    def to_json(self) -> dict[str, Any]:
        known = _known({"event": self.name, "kimg": self.kimg})
        return {**known, **self.facts, **_known({"time": self.time})}

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> Event | None:
        """Read back; None if this is another kind of line."""
        name = text(line.get("event"))
        if name is None:
            return None
        facts = {k: v for k, v in line.items() if k not in ("event", "kimg", "time")}
        return cls(name, number(line.get("kimg")), facts, number(line.get("time")))


@dataclass(frozen=True)
class Skipped:
    """A picture of the data set that cannot be used."""

    name: str  # path inside the folder or zip
    why: str

    def to_json(self) -> dict[str, Any]:
        return {"skipped": self.name, "why": self.why}

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> Skipped | None:
        """Read back; None if this is another kind of line."""
        name = text(line.get("skipped"))
        return None if name is None else cls(name, text(line.get("why")) or "")


Record: TypeAlias = Tick | Snapshot | Measured | Floors | Event | Skipped
# The first one that knows a line's keys decides what it is.
_READERS: tuple[Callable[[dict[str, Any]], Record | None], ...] = (
    Event.from_json,
    Floors.from_json,
    Measured.from_json,
    Tick.from_json,
    Skipped.from_json,
    Snapshot.from_json,
)


def read_records(path: Path) -> Iterator[Record]:
    """The records of a log.jsonl, in order.

    Lines that are damaged or of no known kind are skipped; a missing file has none, nor has what is
    not a log at all: a device, or hundreds of megabytes.
    """
    try:
        content = read_at_most(path, MOST_LOG).decode("utf-8", "replace")
    except (OSError, ValueError):
        return
    for line in content.split("\n"):
        if (record := parse(line)) is not None:
            yield record


def parse(line: str) -> Record | None:
    """The record a line holds; None if it is damaged or of no known kind."""
    try:
        values = jsontext.parse_object(line)
    except ValueError:
        return None  # such as the last line of a run that was killed while writing
    return next((found for read in _READERS if (found := read(values)) is not None), None)


def number(value: Any) -> float | None:
    """A finite number, or None for null, NaN, what is absurdly large, and what is no number."""
    sound = jsontext.fits(value, float) and abs(value) <= LARGEST
    return float(value) if sound else None


def text(value: Any) -> str | None:
    """A string, or None for anything else."""
    return value if jsontext.fits(value, str) else None


def now() -> float:
    """The time of a record: seconds since 1970, to a tenth."""
    return round(time.time(), 1)


def _numbers(values: dict[str, Any]) -> dict[str, float | None]:
    return {name: number(value) for name, value in values.items()}


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
