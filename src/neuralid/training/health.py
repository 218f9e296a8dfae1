"""Whether a run is well: a generator that draws the same face for every latent is not."""

from __future__ import annotations

from torch import Tensor

COLLAPSED = 0.25  # of the data's spread; a trained generator has about as much as the data
SOONEST = 5000  # pictures shown; untrained weights draw nearly the same picture always


def spread(faces: Tensor) -> float:
    """How far faces differ: the standard deviation across them, averaged over pixels.

    Shape: ``(N, 3, S, S)``, N at least 2.
    """
    return float(faces.float().std(0).mean())


def has_collapsed(drawn: float, real: float, images: int) -> bool:
    """Whether the `spread` of drawn faces says so, ``images`` pictures into the run."""
    return images >= SOONEST and drawn < COLLAPSED * real
