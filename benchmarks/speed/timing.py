"""Time several ways of doing one thing in turn, and make rows of what came out."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

LEAST = 3  # rounds that are timed, however long they take


@dataclass(frozen=True)
class Effort:
    """How much time a comparison may take, and with what."""

    seconds: float = 60.0  # for the rounds of one comparison
    rounds: int = 15  # at most
    cores: int = 2
    keras: bool = False


@dataclass(frozen=True)
class Way:
    """One way of doing a piece of work.

    ``precision`` names the rates of the machine that its share of the possible is taken of;
    without it there is no share.
    """

    name: str
    run: Callable[[], object]
    ours: bool = False
    precision: str = ""
    part: float = 1.0  # of the work that a run does


@dataclass(frozen=True)
class Work:
    """What every way does in a run: ``count`` things of a ``unit``.

    ``operations`` are those of the plain layers, a multiplication and an addition being two.
    """

    name: str
    unit: str
    count: float
    operations: float = 0.0


@dataclass
class Report:
    """What a benchmark found, as its JSON file has it."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    limits: list[dict[str, Any]] = field(default_factory=list)
    agreement: list[dict[str, Any]] = field(default_factory=list)
    profiles: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)


def in_turn(ways: Sequence[Way], effort: Effort) -> list[list[float]]:
    """Seconds of each way's runs, each run once in each round. A first round is not counted.

    In random order within a round: a quick way that always followed the same other one would always
    find the caches as that one leaves them.
    """
    times: list[list[float]] = [[] for _ in ways]
    pairs, chance = list(zip(times, ways, strict=True)), random.Random(0)
    started = time.perf_counter()
    for number in range(effort.rounds + 1):
        for record, way in chance.sample(pairs, len(pairs)):
            record.append(seconds_of(way.run))
        spent = time.perf_counter() - started
        if number == 0:
            for record in times:
                record.clear()
        elif number >= min(LEAST, effort.rounds) and spent > effort.seconds:
            break
    return times


def seconds_of(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def compare(
    report: Report,
    work: Work,
    ways: Sequence[Way],
    effort: Effort,
    limits: Sequence[Way] = (),
    operations: float = 0.0,
) -> list[list[float]]:
    """Time all ways in turn, and add to the report a row for each of ours against each other.

    ``limits`` are what the machine can do at best, ``operations`` a run: timed in the same rounds.
    Returns the seconds of each way's runs.
    """
    times = in_turn([*ways, *limits], effort)
    rates = {
        limit.name: operations * limit.part / statistics.median(taken)
        for limit, taken in zip(limits, times[len(ways) :], strict=True)
    }
    if rates:
        report.limits.append({"name": work.name, "operations_per_s": rates})
    sides = [_side(way, work, taken, rates) for way, taken in zip(ways, times, strict=False)]
    pairs = list(zip(ways, sides, strict=True))
    ours = [side for way, side in pairs if way.ours]
    others = [side for way, side in pairs if not way.ours]
    report.rows += [_row(work, own, other, len(times[0])) for own in ours for other in others]
    return times[: len(ways)]


def _side(way: Way, work: Work, taken: Sequence[float], rates: dict[str, float]) -> dict[str, Any]:
    """One side of a row: seconds for the whole of the work, and its share of the possible."""
    whole = [seconds / way.part for seconds in taken]
    low, median, high = quartiles(whole)
    side: dict[str, Any] = {"name": way.name, "median": median, "quartiles": [low, high]}
    rate = rates.get(f"convolution {way.precision}")
    if rate and work.operations:
        side["share"] = work.operations / median / rate
    return side


def _row(work: Work, own: dict[str, Any], other: dict[str, Any], repeats: int) -> dict[str, Any]:
    return {
        "name": work.name,
        "unit": work.unit,
        "count": work.count,
        "ratio": other["median"] / own["median"],
        "of": own,
        "against": other,
        "repeats": repeats,
    }


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The lower quartile, the median, the upper quartile.

    >>> quartiles([5, 1, 2, 3, 4])
    (2.0, 3.0, 4.0)
    """
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high
