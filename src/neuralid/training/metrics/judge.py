"""How good a run's faces are at each snapshot, measured within a share of the run's time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from ...latents.latent import draw_latents
from ...models.drawing import Drawer, draw_faces
from .case import Case, Group, count_faces
from .features import Faces
from .sets import RealFaces
from .table import BEST, METRICS, groups

SHARE = 0.1  # of the run's time, at most, goes into metrics
PROBE = 20  # the cost of a part is first estimated on one in this many faces
T = TypeVar("T")


@dataclass(frozen=True)
class Verdict:
    """What was measured at one snapshot."""

    values: dict[str, float]  # by metric
    skipped: list[str]  # metrics there was no time for
    seconds: float


class Judge:
    """Measures the generators of one run, always on the same latents and the same real faces.

    All metrics are measured if that keeps the time spent on metrics within a tenth of the run's. If
    it doesn't, only the metric that picks the best snapshot is measured, which leaves time for all
    of them later. If even that one is too slow, nothing is measured. The caller can ask for all of
    them regardless of the time. No random state is touched.
    """

    def __init__(
        self,
        real: RealFaces,
        precision: str = "fp32",
        floors: dict[str, float] | None = None,
        *,
        ran: float = 0.0,
        spent: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``ran``: seconds the run has taken so far; ``spent``: how many of them on metrics."""
        self.real, self.precision = real, precision
        self.floors = dict(floors or {})  # metric -> real faces against real ones, if known
        self._clock, self._began, self._spent = clock, clock() - ran, spent
        self._costs: dict[str | Group, float] = {}  # seconds each part took when last done
        self.drawn: Tensor | None = None  # the faces that were judged last

    def measure(
        self, generator: Drawer, first: Tensor | None = None, must: bool = False
    ) -> Verdict:
        """How close the faces of ``generator`` are to real ones.

        ``first`` are its faces for the first seeds, ``(n, 3, S, S)``, if they are drawn already.
        Faces that are not finite are not measured.
        """
        before, values = self._spent, dict[str, float]()
        if not must and not self._costs:
            self._probe(generator)
        if chosen := self._choose(must):
            drawn = self._time("drawing", self._draw, generator, first)
            if drawn.pictures.isfinite().all():
                values = self._compare(Case(self.real, drawn, generator, self.precision), chosen)
        skipped = [name for name in self._names() if name not in values]
        return Verdict(values, skipped, self._spent - before)

    def _groups(self) -> list[Group]:
        """Those that can be measured with these real faces."""
        return [group for group in groups() if group.count(self.real)]

    def _names(self) -> list[str]:
        """The metrics that can be measured with these real faces."""
        return [name for name, metric in METRICS.items() if metric.group.count(self.real)]

    def _choose(self, must: bool) -> list[Group]:
        """The groups there is time for."""
        every, best = self._groups(), METRICS[BEST].group
        if must or self._affords("drawing", *every):
            return every
        return [best] if self._affords("drawing", best) else []

    def _probe(self, generator: Drawer) -> None:
        """Estimate on a few faces what each part will cost, including floors not known yet."""
        total = count_faces(self.real)
        few = max(2, total // PROBE)
        z = draw_latents(generator, range(few))
        self._time("drawing", draw_faces, generator, z)
        self._costs["drawing"] *= total / few
        # Other real faces stand in for drawn ones, which are not all drawn yet.
        case = Case(self.real, self.real.others, generator, self.precision)
        parts: dict[int, Case] = {}  # so that groups share what a set computes only once
        times = 1 if set(self._names()) <= self.floors.keys() else 2
        for group in self._groups():
            total = group.count(self.real)
            few = max(group.least, total // PROBE)
            if few not in parts:
                parts[few] = case.part(few)
            self._time(group, group.measure, parts[few])
            # A floor function is assumed to cost next to nothing.
            self._costs[group] *= total / few * (times if group.floor is None else 1)

    def _draw(self, generator: Drawer, first: Tensor | None) -> Faces:
        like = self.real.faces.pictures
        done = len(first) if first is not None else 0
        parts = [] if first is None else [first[: len(like)]]
        if done < len(like):
            parts.append(draw_faces(generator, draw_latents(generator, range(done, len(like)))))
        self.drawn = torch.cat(parts)
        return Faces(self.drawn.to(like.device))

    def _compare(self, case: Case, chosen: list[Group]) -> dict[str, float]:
        """Measure some groups, and their floors if not known yet; returns the metrics."""
        values: dict[str, float] = {}
        for group in chosen:
            found = self._time(group, group.measure, case)
            if not found.keys() <= self.floors.keys():
                self.floors |= self._time("floors", group.find_floor, case)
            values |= found
        return values

    def _affords(self, *parts: str | Group) -> bool:
        cost = sum(self._costs.get(part, 0.0) for part in parts)
        return self._spent + cost <= SHARE * (self._clock() - self._began)

    def _time(self, part: str | Group, work: Callable[..., T], *given: Any) -> T:
        started = self._clock()
        done = work(*given)
        self._costs[part] = self._clock() - started
        self._spent += self._costs[part]
        return done
