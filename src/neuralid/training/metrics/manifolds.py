"""Metrics that count neighbours: whether drawn and real faces lie among each other.

Letters in shapes: N real ones, M drawn ones, F features; distances are ``(N, M)``, real first.

References
----------
.. [1] T. Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative
       Models", NeurIPS 2019. arXiv:1904.06991
.. [2] M. F. Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", ICML
       2020. arXiv:2002.09797
.. [3] D. Lopez-Paz, M. Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017.
       arXiv:1610.06545
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .case import Case

K_MANIFOLD = 3  # neighbours that span a manifold in [1]_
K_DENSITY = 5  # and in [2]_


@dataclass(frozen=True)
class Distances:
    """Of every item to every other: what all metrics here are computed from."""

    real: Tensor  # (N, N), among real ones
    fake: Tensor  # (M, M), among drawn ones
    between: Tensor  # (N, M)

    @classmethod
    def of(cls, real: Tensor, fake: Tensor) -> Distances:
        """Euclidean ones of features: ``(N, F)`` and ``(M, F)``, N and M at least 2."""
        return cls(_apart(real, real), _apart(fake, fake), _apart(real, fake))


def measure_manifolds(case: Case) -> dict[str, float]:
    """All metrics of this file, on random features made even by the real faces' spread."""
    even = case.real.faces.whitening
    distances = Distances.of(case.real.faces.features @ even, case.drawn.features @ even)
    return {
        "precision": precision(distances),
        "recall": recall(distances),
        "density": density(distances),
        "coverage": coverage(distances),
        "one_nn": nearest_neighbour_accuracy(distances),
    }


def precision(d: Distances, k: int = K_MANIFOLD) -> float:
    """The share of drawn items inside the real ones' manifold [1]_: 1 for equal sets.

    The manifold is all that lies no farther from a real item than its k-th neighbour among the
    real ones does. Where there are fewer than k others, k is their number, here and below.
    """
    inside = d.between <= _radii(d.real, k)[:, None]  # (N, M)
    return float(inside.any(0).float().mean())


def recall(d: Distances, k: int = K_MANIFOLD) -> float:
    """The share of real items inside the drawn ones' manifold [1]_: 1 for equal sets."""
    inside = d.between <= _radii(d.fake, k)
    return float(inside.any(1).float().mean())


def density(d: Distances, k: int = K_DENSITY) -> float:
    """In how many real items' neighbourhoods a drawn one lies, in the mean, over k [2]_.

    About 1 for sets of the same kind, above it where drawn items crowd in the middle, and
    (k + 1) / k for equal sets, where each is in its own neighbourhood too.
    """
    k = _capped(d.real, k)
    inside = d.between <= _radii(d.real, k)[:, None]
    return float(inside.float().sum(0).mean() / k)


def coverage(d: Distances, k: int = K_DENSITY) -> float:
    """The share of real items whose neighbourhood holds a drawn one [2]_: 1 for equal sets.

    About ``1 - 0.5^k``, 0.97, for sets of the same kind and size.
    """
    return float((d.between.amin(1) <= _radii(d.real, k)).float().mean())


def nearest_neighbour_accuracy(d: Distances) -> float:
    """How often an item's nearest neighbour, itself left out, is of its own set [3]_.

    0.5 if the sets cannot be told apart, 1 if they are apart, and 0 for equal sets: a
    drawn item's nearest is then its original. So below the floor means copies.
    """
    real = _others(d.real).amin(1) < d.between.amin(1)
    fake = _others(d.fake).amin(1) < d.between.amin(0)
    return float((real.float().mean() + fake.float().mean()) / 2)


def _apart(a: Tensor, b: Tensor) -> Tensor:
    # Not by a matrix product: copies must be at a distance of exactly 0.
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _radii(within: Tensor, k: int) -> Tensor:
    """How far each item's k-th neighbour in its own set is: ``(N, N) -> (N,)``."""
    return _others(within).kthvalue(_capped(within, k), dim=1).values


def _others(within: Tensor) -> Tensor:
    """The distances with each item's to itself beyond all others."""
    return within.clone().fill_diagonal_(float("inf"))


def _capped(within: Tensor, k: int) -> int:
    return min(k, len(within) - 1)
