"""Are drawn faces copies? Their nearest training faces, compared with those of held-out faces.

Letters in shapes: Q queries, T training faces, S side of a face, F features, K neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...pictures.images import to_tensor
from .features import random_features, whitening
from .sets import MOST, shuffle_indices, take

FEWEST = 100  # held-out faces; if fewer were kept, training faces make up the number
SAMPLE = 10_000  # most training faces compared by random features, which are slow to compute
CHUNK = 2048  # training faces compared at a time
K = 10
SIDE = 28  # to which faces are shrunk where pixels are compared

Describe = Callable[[Tensor], Tensor]  # (N, 3, S, S) -> (N, F)


@dataclass(frozen=True)
class Nearest:
    """The nearest training faces, or mirror images of them, to each of some faces."""

    distances: Tensor  # (Q, K), ascending
    places: Tensor  # (Q,): index of the nearest among all pictures
    mirrored: Tensor  # (Q,): whether the nearest is a mirror image

    @property
    def nearest(self) -> Tensor:
        return self.distances[:, 0]

    @property
    def ratio(self) -> Tensor:
        """Nearest distance / K-th nearest: near 0 for a copy, even if blurred or moved."""
        return self.distances[:, 0] / self.distances[:, -1].clamp_min(1e-12)

    def part(self, places: slice) -> Nearest:
        return Nearest(self.distances[places], self.places[places], self.mirrored[places])


@dataclass(frozen=True)
class Comparison:
    """Drawn and held-out faces, by one kind of distance."""

    name: str
    drawn: Nearest
    real: Nearest
    searched: int  # training faces

    def near(self) -> float:
        """Share of drawn faces nearer than the nearest 1% of held-out ones; 0.01 is normal."""
        return _share_below(self.drawn.nearest, self.real.nearest)

    def alone(self) -> float:
        """The same, by the ratio of nearest to tenth-nearest distance."""
        return _share_below(self.drawn.ratio, self.real.ratio)


@dataclass(frozen=True)
class Study:
    """All that the page shows."""

    drawn: Tensor  # (Q, 3, S, S)
    real: Tensor  # (R, 3, S, S): held-out faces
    held_out: int  # how many of them training never saw
    comparisons: list[Comparison]


def study(drawn: Tensor, images: np.ndarray, training: np.ndarray, validation: np.ndarray) -> Study:
    """Search the training faces for drawn and for held-out faces, in two ways.

    ``drawn`` is ``(Q, 3, S, S)``, ``images`` uint8 ``(N, S, S, 3)``, the others the indices of its
    two parts. Shrunk pixels are compared with those of all training faces, random features with
    those of at most 10,000, picked at random.
    """
    order = shuffle_indices(training, validation)
    count = min(max(len(validation), min(FEWEST, len(order) // 2)), MOST)
    real = take(images, order[:count])
    own = torch.cat([torch.full((len(drawn),), -1), torch.from_numpy(order[:count])])
    sample = np.sort(np.random.default_rng(0).permutation(training)[:SAMPLE])
    even = whitening(random_features(take(images, sample[:MOST])))
    ways: list[tuple[str, Describe, np.ndarray]] = [
        ("pixels", shrunk_pixels, training),
        ("random features", lambda faces: random_features(faces) @ even, sample),
    ]
    comparisons = []
    for name, describe, among in ways:
        found = find_nearest(describe, torch.cat([drawn, real]), images, among, own)
        parts = found.part(slice(len(drawn))), found.part(slice(len(drawn), None))
        comparisons.append(Comparison(name, *parts, len(among)))
    return Study(drawn, real, min(len(validation), count), comparisons)


def shrunk_pixels(faces: Tensor) -> Tensor:
    """Pixels of faces shrunk to 28 and slightly blurred: ``(N, 3, S, S) -> (N, 3 * 28 * 28)``.

    Scaled so that a distance is the RMS difference of pixels in a range of 1.
    """
    small = F.adaptive_avg_pool2d(faces, SIDE)
    soft = F.avg_pool2d(small, 3, stride=1, padding=1, count_include_pad=False)
    return soft.flatten(1) / soft[0].numel() ** 0.5


@torch.no_grad()
def find_nearest(
    describe: Describe,
    faces: Tensor,
    images: np.ndarray,
    among: np.ndarray,
    own: Tensor,
) -> Nearest:
    """The nearest of ``images[among]`` to each face, as ``describe`` describes them.

    ``own`` is the index of each face in ``images``, or -1; a face is never its own neighbour.

    Shape: faces ``(Q, 3, S, S)``, images uint8 ``(N, S, S, 3)``, own ``(Q,)``.
    """
    asked = torch.cat([describe(faces), describe(faces.flip(3))])  # (2 Q, F)
    k = min(K, len(among) - 1)
    distances = torch.full((len(faces), k), float("inf"))
    codes = torch.zeros(len(faces), k, dtype=torch.long)  # 2 * index, + 1 for a mirror image
    for start in range(0, len(among), CHUNK):
        indices = torch.from_numpy(among[start : start + CHUNK])
        found = describe(to_tensor(np.asarray(images[indices.numpy()])))
        apart = _pairwise(asked, found).view(2, len(faces), -1)
        near, mirrored = apart.min(0)  # (Q, T)
        near[own[:, None] == indices] = float("inf")
        both = torch.cat([distances, near], 1)
        distances, chosen = both.topk(k, largest=False)
        codes = torch.cat([codes, 2 * indices + mirrored], 1).gather(1, chosen)
    return Nearest(distances, codes[:, 0] // 2, codes[:, 0] % 2 == 1)


def _pairwise(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances, from a common mean so that little is lost to rounding."""
    middle = b.mean(0)
    a, b = a - middle, b - middle
    squares = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * (a @ b.T)
    return squares.clamp_min(0).sqrt()


def _share_below(drawn: Tensor, real: Tensor) -> float:
    return float((drawn < real.quantile(0.01)).float().mean())
