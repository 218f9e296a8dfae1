"""Metrics that count neighbours: do drawn faces lie among real ones, and real ones among drawn?

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
    """Distances from every item to every other: all metrics here are computed from them."""

    real: Tensor  # (N, N), among real ones
    fake: Tensor  # (M, M), among drawn ones
    between: Tensor  # (N, M)

    @classmethod
    def of(cls, real: Tensor, fake: Tensor) -> Distances:
        """Euclidean distances of features: ``(N, F)`` and ``(M, F)``, N and M at least 2."""
        return cls(_pairwise(real, real), _pairwise(fake, fake), _pairwise(real, fake))


def measure_manifolds(case: Case) -> dict[str, float]:
    """All metrics of this file, on random features whitened by the real faces' spread."""
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

    A point is inside if it is no farther from some real item than that item's k-th nearest real
    neighbour is. If there are fewer than k others, k is their number, here and below.
    """
    inside = d.between <= _radii(d.real, k)[:, None]  # (N, M)
    return float(inside.any(0).float().mean())


def recall(d: Distances, k: int = K_MANIFOLD) -> float:
    """The share of real items inside the drawn ones' manifold [1]_: 1 for equal sets."""
    inside = d.between <= _radii(d.fake, k)
    return float(inside.any(1).float().mean())


def density(d: Distances, k: int = K_DENSITY) -> float:
    """The mean number of real items' neighbourhoods that a drawn item lies in, over k [2]_.

    About 1 for sets of the same kind, and above 1 if drawn items crowd in the middle. It is
    (k + 1) / k for equal sets, where each item is in its own neighbourhood too.
    """
    k = _cap(d.real, k)
    inside = d.between <= _radii(d.real, k)[:, None]
    return float(inside.float().sum(0).mean() / k)


def coverage(d: Distances, k: int = K_DENSITY) -> float:
    """The share of real items whose neighbourhood holds a drawn one [2]_: 1 for equal sets.

    About ``1 - 0.5^k``, 0.97, for sets of the same kind and size.
    """
    return float((d.between.amin(1) <= _radii(d.real, k)).float().mean())


def nearest_neighbour_accuracy(d: Distances) -> float:
    """How often an item's nearest neighbour, itself left out, is of its own set [3]_.

    0.5 if the sets cannot be told apart, 1 if they lie apart, and 0 for equal sets, where the
    nearest neighbour of a drawn item is its original. A value below the floor means copies.
    """
    real = _hide_itself(d.real).amin(1) < d.between.amin(1)
    fake = _hide_itself(d.fake).amin(1) < d.between.amin(0)
    return float((real.float().mean() + fake.float().mean()) / 2)


def _pairwise(a: Tensor, b: Tensor) -> Tensor:
    # Not by a matrix product: the distance to a copy must be exactly 0.
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _radii(within: Tensor, k: int) -> Tensor:
    """Distance of each item to its k-th neighbour in its own set: ``(N, N) -> (N,)``."""
    return _hide_itself(within).kthvalue(_cap(within, k), dim=1).values


def _hide_itself(within: Tensor) -> Tensor:
    """The distances, with each item infinitely far from itself."""
    return within.clone().fill_diagonal_(float("inf"))


def _cap(within: Tensor, k: int) -> int:
    return min(k, len(within) - 1)
