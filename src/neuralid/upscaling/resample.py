"""Lanczos resampling to any size, without the aliasing of OpenCV's when it shrinks.

References
----------
.. [1] K. Turkowski, "Filters for common resampling tasks", Graphics Gems I, 1990.
"""

from __future__ import annotations

import numpy as np

LOBES = 3  # of the kernel on each side


def lanczos(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """Windowed sinc, as wide as the larger pixel [1]_: float32 ``(H, W)`` -> larger or smaller.

    Borders are repeated; a side that already has its length is left alone.
    """
    return _rows(_rows(plane, height).T, width).T


def _rows(x: np.ndarray, count: int) -> np.ndarray:
    """``(N, M)`` -> ``(count, M)``."""
    if len(x) == count:
        return x
    step = len(x) / count
    width = max(1.0, step)  # of a lobe, in rows of `x`
    centres = (np.arange(count) + 0.5) * step - 0.5
    first = np.floor(centres - LOBES * width).astype(int) + 1
    places = first[:, None] + np.arange(int(2 * LOBES * width) + 1)
    distances = (places - centres[:, None]) / width
    weights = np.sinc(distances) * np.sinc(distances / LOBES) * (np.abs(distances) < LOBES)
    weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    result = np.zeros((count, x.shape[1]), np.float32)
    for rows, shares in zip(places.T.clip(0, len(x) - 1), weights.T, strict=True):
        result += shares[:, None] * x[rows]
    return result
