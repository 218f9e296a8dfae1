"""Box sampling: what lies under each larger pixel, in exact fractions.

OpenCV's enlargement by area computes in floating point which pixel a box begins in. Where it begins
exactly between two pixels that goes wrong at some sizes, 49 times as large among them: the result
then shows the wrong one of the two. So it is done here.
"""

from __future__ import annotations

import numpy as np


def area(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """The share of each pixel under a larger one: float32 ``(H, W, C)`` -> ``(height, width, C)``.

    Neither side may get smaller.
    """
    return _enlarge(_enlarge(planes, 1, width), 0, height)


def _enlarge(x: np.ndarray, axis: int, size: int) -> np.ndarray:
    """One axis of N pixels to ``size``, at least N: each new one lies in one or two of them."""
    n = x.shape[axis]
    if n == size:
        return x
    starts = np.arange(size) * n  # of the larger pixels, where a pixel is `size` long
    first = starts // size
    beyond = (starts + n - (first + 1) * size).clip(0)  # how far each reaches into the next pixel
    large = x.take(first, axis)
    (mixed,) = beyond.nonzero()
    shape = [1] * x.ndim
    shape[axis] = len(mixed)
    share = (beyond[mixed] / n).astype(np.float32).reshape(shape)
    a, b = x.take(first[mixed], axis), x.take(first[mixed] + 1, axis)
    large[(slice(None),) * axis + (mixed,)] = a + share * (b - a)
    return large
