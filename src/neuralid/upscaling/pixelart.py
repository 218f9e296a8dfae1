"""Scale2x and Scale3x (paper, section 2.2.2): for drawings of few colours.

Each pixel E of the picture, with its neighbours, becomes four or nine::

    A B C
    D E F
    G H I

References
----------
.. [1] A. Mazzoleni, "Scale2x", 2001. https://www.scale2x.it/algorithm
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np


def scale2x(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale2x as often as needed, then box sampling: ``(H, W, C)`` -> ``(height, width, C)``."""
    return repeat(planes, height, width, double)


def scale3x(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale3x as often as needed, then box sampling: ``(H, W, C)`` -> ``(height, width, C)``."""
    return repeat(planes, height, width, triple)


def double(x: np.ndarray) -> np.ndarray:
    """Scale2x: ``(H, W, C) -> (2H, 2W, C)``."""
    _, b, _, d, e, f, _, h, _ = _neighbours(x)
    edge = ~_same(b, h) & ~_same(d, f)
    return _lay_out(
        [
            [_either(edge & _same(d, b), d, e), _either(edge & _same(b, f), f, e)],
            [_either(edge & _same(d, h), d, e), _either(edge & _same(h, f), f, e)],
        ]
    )


def triple(x: np.ndarray) -> np.ndarray:
    """Scale3x: ``(H, W, C) -> (3H, 3W, C)``."""
    a, b, c, d, e, f, g, h, i = _neighbours(x)
    edge = ~_same(b, h) & ~_same(d, f)
    db, bf, dh, hf = (edge & _same(*pair) for pair in ((d, b), (b, f), (d, h), (h, f)))
    top = (db & ~_same(e, c)) | (bf & ~_same(e, a))
    left = (db & ~_same(e, g)) | (dh & ~_same(e, a))
    right = (bf & ~_same(e, i)) | (hf & ~_same(e, c))
    bottom = (dh & ~_same(e, i)) | (hf & ~_same(e, g))
    return _lay_out(
        [
            [_either(db, d, e), _either(top, b, e), _either(bf, f, e)],
            [_either(left, d, e), e, _either(right, f, e)],
            [_either(dh, d, e), _either(bottom, h, e), _either(hf, f, e)],
        ]
    )


def repeat(
    planes: np.ndarray, height: int, width: int, enlarge: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """``enlarge`` as often as needed, then box sampling: ``(H, W, C)`` -> larger."""
    while planes.shape[0] < height or planes.shape[1] < width:
        planes = enlarge(planes)
    shrunk = cv2.resize(planes, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk).reshape(height, width, -1)


def _neighbours(x: np.ndarray) -> list[np.ndarray]:
    """A to I for every pixel; borders are repeated."""
    h, w = x.shape[:2]
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode="edge")
    return [padded[i : i + h, j : j + w] for i in range(3) for j in range(3)]


def _same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray((a == b).all(axis=2))


def _either(where: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(where[..., None], a, b)


def _lay_out(parts: list[list[np.ndarray]]) -> np.ndarray:
    """Interleave each pixel's square of parts: n x n of ``(H, W, C)`` -> ``(nH, nW, C)``."""
    n = len(parts)
    h, w, c = parts[0][0].shape
    large = np.empty((n * h, n * w, c), parts[0][0].dtype)
    for i, row in enumerate(parts):
        for j, part in enumerate(row):
            large[i::n, j::n] = part
    return large
