"""The metrics: how each is shown, and what measures it.

To add one, write a file with its function and add an entry here.
"""

from __future__ import annotations

from dataclasses import dataclass

from .case import Group
from .diversity import measure_diversity
from .frechet import measure_distance
from .inversion import count_inverted, floor_of_inversion, measure_inversion
from .manifolds import measure_manifolds
from .wasserstein import measure_patches

BEST = "fd_random"  # the metric that picks the best snapshot


@dataclass(frozen=True)
class Metric:
    """How a metric is shown, and the group that it is measured with."""

    label: str
    better: str  # "lower" or "higher"
    group: Group


FRECHET = Group(measure_distance)
MANIFOLDS = Group(measure_manifolds)
DIVERSITY = Group(measure_diversity)
PATCHES = Group(measure_patches)
INVERSION = Group(measure_inversion, floor_of_inversion, count_inverted, least=1)

METRICS: dict[str, Metric] = {
    "fd_random": Metric("FD-random", "lower", FRECHET),
    "precision": Metric("Precision", "higher", MANIFOLDS),
    "recall": Metric("Recall", "higher", MANIFOLDS),
    "density": Metric("Density", "higher", MANIFOLDS),
    "coverage": Metric("Coverage", "higher", MANIFOLDS),
    "one_nn": Metric("1-NN accuracy", "lower", MANIFOLDS),
    "ms_ssim": Metric("MS-SSIM of pairs", "lower", DIVERSITY),
    "swd_full": Metric("SWD x 1000, full size", "lower", PATCHES),
    "swd_half": Metric("SWD x 1000, half size", "lower", PATCHES),
    "inversion_psnr": Metric("Inversion PSNR, dB", "higher", INVERSION),
}


def groups() -> list[Group]:
    """The groups of all metrics, each once, in the order of the table."""
    return list(dict.fromkeys(metric.group for metric in METRICS.values()))
