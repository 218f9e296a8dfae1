"""What a run's faces are worth at each snapshot, measured within a share of the run's time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from ...latents.latent import draw_latents
from ...models.drawing import Drawer, draw_faces
from . import (
    BEST,
    GROUPS,
    INVERTED,
    METRICS,
    Faces,
    RealFaces,
    inversion_psnr,
    memory_psnr,
)

SHARE = 0.1  # of the run's time that may go into metrics
PROBE = 20  # what a part costs is first found out on one in so many faces
T = TypeVar("T")


@dataclass(frozen=True)
class Verdict:
    """What was measured at one snapshot."""

    values: dict[str, float]  # by metric
    skipped: list[str]  # metrics there was no time for
    seconds: float


class Judge:
    """Measures the generators of one run, always on the same latents and the same real faces.

    All metrics are measured if, with all that was spent before, that stays within a tenth of the
    run's time; else only the one by which the best snapshot is kept, which leaves time for all of
    them later; else none. Where the caller says it must be, all are measured whatever that takes.
    Random states are left as they are.
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
        """``ran`` and ``spent``: seconds the run took before now, and those for metrics in them."""
        self.real, self.precision = real, precision
        self.floors = dict(floors or {})  # metric -> real faces against real ones; those known
        self._clock, self._began, self._spent = clock, clock() - ran, spent
        self._costs: dict[str, float] = {}  # seconds each part took when it was last done
        self.drawn: Tensor | None = None  # the faces that were judged last

    def measure(
        self, generator: Drawer, first: Tensor | None = None, must: bool = False
    ) -> Verdict:
        """How near the faces of ``generator`` are to real ones.

        ``first`` are its faces for the first seeds, ``(n, 3, S, S)``, if they were drawn already.
        Of faces that are not finite nothing is said.
        """
        before, values = self._spent, dict[str, float]()
        if not must and not self._costs:
            self._probe(generator)
        whole = must or self._affords("drawing", *GROUPS, "inversion_psnr")
        if whole or self._affords("drawing", BEST):
            drawn = self._timed("drawing", self._draw, generator, first)
            if drawn.pictures.isfinite().all():
                values = self._compare(drawn, list(GROUPS) if whole else [BEST])
                values |= self._invert(generator) if whole else {}
        possible = [n for n in METRICS if n != "inversion_psnr" or len(self.real.held_out)]
        skipped = [name for name in possible if name not in values]
        return Verdict(values, skipped, self._spent - before)

    def _probe(self, generator: Drawer) -> None:
        """Find out on a few faces what each part will cost, floors included where not known."""
        count, held_out = len(self.real.faces.pictures), self.real.held_out[:INVERTED]
        few = max(2, count // PROBE)
        sets = [Faces(of.pictures[:few]) for of in (self.real.faces, self.real.others)]
        z = draw_latents(generator, range(few))
        self._timed("drawing", draw_faces, generator, z)
        for name, group in GROUPS.items():
            self._timed(name, group, *sets)
        times = 1 if METRICS.keys() <= self.floors.keys() else 2
        self._costs = {
            part: cost * count / few * (1 if part == "drawing" else times)
            for part, cost in self._costs.items()
        }
        if len(held_out):
            part = "inversion_psnr"
            self._timed(part, inversion_psnr, generator, held_out[:1], self.precision)
            self._costs[part] *= len(held_out)

    def _draw(self, generator: Drawer, first: Tensor | None) -> Faces:
        like = self.real.faces.pictures
        done = len(first) if first is not None else 0
        parts = [] if first is None else [first[: len(like)]]
        if done < len(like):
            parts.append(draw_faces(generator, draw_latents(generator, range(done, len(like)))))
        self.drawn = torch.cat(parts)
        return Faces(self.drawn.to(like.device))

    def _compare(self, drawn: Faces, groups: list[str]) -> dict[str, float]:
        """The metrics of some groups; and their floors, if not known yet."""
        values: dict[str, float] = {}
        for name in groups:
            values |= self._timed(name, GROUPS[name], self.real.faces, drawn)
            if not values.keys() <= self.floors.keys():
                real = self.real.faces, self.real.others
                self.floors |= self._timed("floors", GROUPS[name], *real)
        return values

    def _invert(self, generator: Drawer) -> dict[str, float]:
        name, held_out = "inversion_psnr", self.real.held_out
        if not len(held_out):
            return {}
        found = self._timed(name, inversion_psnr, generator, held_out, self.precision)
        if name not in self.floors:
            others = self.real.others.pictures
            self.floors[name] = self._timed("floors", memory_psnr, held_out, others)
        return {name: found}

    def _affords(self, *parts: str) -> bool:
        cost = sum(self._costs.get(part, 0.0) for part in parts)
        return self._spent + cost <= SHARE * (self._clock() - self._began)

    def _timed(self, part: str, work: Callable[..., T], *given: Any) -> T:
        started = self._clock()
        done = work(*given)
        self._costs[part] = self._clock() - started
        self._spent += self._costs[part]
        return done
