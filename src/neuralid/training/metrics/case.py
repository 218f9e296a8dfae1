"""What a metric may look at, and how metrics that share work are measured together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ...models.drawing import Drawer
from .features import Faces
from .sets import RealFaces


@dataclass(frozen=True)
class Case:
    """A generator, faces drawn by it, and the real faces they are compared with.

    ``drawn`` and ``real.faces`` hold equally many faces.
    """

    real: RealFaces
    drawn: Faces
    generator: Drawer
    precision: str = "fp32"

    def part(self, count: int) -> Case:
        """The same with the first ``count`` faces of every set."""
        drawn = Faces(self.drawn.pictures[:count])
        return replace(self, real=self.real.part(count), drawn=drawn)


Measure = Callable[[Case], dict[str, float]]  # -> value by metric


def count_faces(real: RealFaces) -> int:
    """The number of faces for a metric that is measured on all of them."""
    return len(real.faces.pictures)


@dataclass(frozen=True)
class Group:
    """Metrics that share most of their work, so that they are measured together.

    ``measure`` returns a value for each metric of the group. ``floor`` returns what real faces
    score against real ones; if left out, ``measure`` finds it, with other real faces in place of
    drawn ones. ``count`` gives the number of faces the group is measured on, to which its cost is
    proportional; 0 if it cannot be measured. ``least`` is the smallest number that can be measured.
    """

    measure: Measure
    floor: Measure | None = None
    count: Callable[[RealFaces], int] = count_faces
    least: int = 2

    def find_floor(self, case: Case) -> dict[str, float]:
        """The floors of this group's metrics."""
        if self.floor is not None:
            return self.floor(case)
        return self.measure(replace(case, drawn=case.real.others))
