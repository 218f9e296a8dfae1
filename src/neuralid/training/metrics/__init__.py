"""How near drawn faces are to real ones, without a downloaded network; docs/quality.md explains.

`GROUPS` measures what `METRICS` names: metrics that share most of their work are of one group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...latents.config import InvertConfig
from ...latents.inversion import invert
from ...models.drawing import Drawer
from ...pictures.quality import ms_ssim, psnr
from . import manifolds
from .features import (
    CHUNK,
    Faces,
    fd_random,
    frechet_distance,
    random_features,
    whitening,
)
from .sets import RealFaces
from .wasserstein import sliced_wasserstein

BEST = "fd_random"  # the metric by which the best snapshot is kept
INVERTED = 16  # faces whose inversion is measured
STEPS = 20  # evaluations of the generator for each


@dataclass(frozen=True)
class Metric:
    """What people are told of a metric."""

    label: str
    better: str  # "lower" or "higher"


METRICS = {
    "fd_random": Metric("FD-random", "lower"),
    "swd_full": Metric("SWD x 1000, full size", "lower"),
    "swd_half": Metric("SWD x 1000, half size", "lower"),
    "precision": Metric("Precision", "higher"),
    "recall": Metric("Recall", "higher"),
    "density": Metric("Density", "higher"),
    "coverage": Metric("Coverage", "higher"),
    "one_nn": Metric("1-NN accuracy", "lower"),
    "ms_ssim": Metric("MS-SSIM of pairs", "lower"),
    "inversion_psnr": Metric("Inversion PSNR, dB", "higher"),
}


def _fd_random(real: Faces, drawn: Faces) -> dict[str, float]:
    return {"fd_random": frechet_distance(real.features, drawn.features)}


def _swd(real: Faces, drawn: Faces) -> dict[str, float]:
    full, half = sliced_wasserstein(real.pictures, drawn.pictures)
    return {"swd_full": full, "swd_half": half}


def _neighbours(real: Faces, drawn: Faces) -> dict[str, float]:
    """All that counts neighbours, on random features made even by the real faces' spread."""
    even = real.whitening
    distances = manifolds.Distances.of(real.features @ even, drawn.features @ even)
    return {
        "precision": manifolds.precision(distances),
        "recall": manifolds.recall(distances),
        "density": manifolds.density(distances),
        "coverage": manifolds.coverage(distances),
        "one_nn": manifolds.nearest_neighbour_accuracy(distances),
    }


def _ms_ssim(real: Faces, drawn: Faces) -> dict[str, float]:
    return {"ms_ssim": diversity(drawn.pictures)}


# Both sets are of the same number of faces; the floors are measured with real faces as "drawn".
GROUPS: dict[str, Callable[[Faces, Faces], dict[str, float]]] = {
    "fd_random": _fd_random,
    "neighbours": _neighbours,
    "ms_ssim": _ms_ssim,
    "swd": _swd,
}


def diversity(faces: Tensor) -> float:
    """Mean MS-SSIM of pairs of faces: 1 if all are the same, lower the less alike they are.

    As A. Odena, C. Olah, J. Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs",
    ICML 2017, section 4.2. Each face is paired with the next one, in a set that has no order.

    Shape: ``(N, 3, S, S)`` in ``[-0.5, 0.5]``, N at least 2.
    """
    pairs = zip(faces.split(CHUNK), faces.roll(1, 0).split(CHUNK), strict=True)
    return float(torch.cat([ms_ssim(a, b) for a, b in pairs]).mean())


def inversion_psnr(generator: Drawer, faces: Tensor, precision: str) -> float:
    """Mean PSNR in dB of the first faces found again by a short search that starts from zero.

    A search of 20 evaluations, without metric and encoder: several dB below what `neuralid invert`
    reaches, but of the same order among generators, and cheap.

    Shape: ``(N, 3, S, S)`` in ``[-0.5, 0.5]``, N at least 1.
    """
    config = InvertConfig(steps=STEPS)
    return float(invert(generator, faces[:INVERTED], config, precision=precision).psnr.mean())


def memory_psnr(held_out: Tensor, others: Tensor) -> float:
    """The floor of `inversion_psnr`: of the most alike of the other faces instead of found ones.

    What a generator that had learnt ``others`` by heart, and nothing else, would give.

    Shape: ``(N, 3, S, S)`` and ``(M, 3, S, S)`` in ``[-0.5, 0.5]``, N and M at least 1.
    """
    return float(torch.stack([psnr(others, face).max() for face in held_out[:INVERTED]]).mean())


__all__ = [
    "BEST",
    "GROUPS",
    "METRICS",
    "Faces",
    "Metric",
    "RealFaces",
    "diversity",
    "fd_random",
    "frechet_distance",
    "inversion_psnr",
    "memory_psnr",
    "random_features",
    "sliced_wasserstein",
    "whitening",
]
