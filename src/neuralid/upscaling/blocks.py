"""Large results block by block, so that floats of the whole are never in memory.

Only for whole factors, at which every pixel of a block lies on the grid of the whole, and methods
that look no further than some pixels around: each block is enlarged together with those.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product

import numpy as np

from .config import METHODS

LARGE = 25_000_000  # pixels of a result from which on it is made so
VALUES = 5_400_000  # about so many of the result are made at a time


def can_be_in_blocks(shape: tuple[int, ...], scale: float, method: str) -> bool:
    """Whether a picture ``(H, W)`` or ``(H, W, C)`` without alpha is enlarged in blocks."""
    has_alpha = len(shape) == 3 and shape[2] in (2, 4)
    is_whole = scale == round(scale) > 1 and METHODS[method].reach is not None
    return is_whole and not has_alpha and shape[0] * shape[1] * scale**2 >= LARGE


def in_blocks(
    image: np.ndarray,
    scale: int,
    method: str,
    enlarge: Callable[[np.ndarray], np.ndarray],
    on_part: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """``enlarge`` a picture block by block; shapes and ``on_part`` are those of `in_tiles`."""
    reach, channels = METHODS[method].reach or 0, math.prod(image.shape[2:])
    side = max(reach, round(math.sqrt(VALUES / channels) / scale))
    return in_tiles(image, scale, side, reach, enlarge, on_part)


def in_tiles(
    image: np.ndarray,
    scale: int,
    side: int,
    reach: int,
    enlarge: Callable[[np.ndarray], np.ndarray],
    on_part: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """``enlarge`` squares of ``side`` pixels, each with the ``reach`` pixels around it.

    What was made of the surroundings is cut off. ``on_part(done, total)`` hears of each square.

    Shape: ``(H, W)`` or ``(H, W, C)`` -> ``(scale * H, scale * W, ...)`` of the same type.
    """
    height, width, *channels = image.shape
    large = np.empty((height * scale, width * scale, *channels), image.dtype)
    tiles = list(product(_cut(height, side, reach), _cut(width, side, reach)))
    for done, ((rows, seen_rows), (columns, seen_columns)) in enumerate(tiles, start=1):
        part = enlarge(np.ascontiguousarray(image[seen_rows, seen_columns]))
        inner = _times(rows, scale, seen_rows.start), _times(columns, scale, seen_columns.start)
        large[_times(rows, scale), _times(columns, scale)] = part[inner]
        if on_part is not None:
            on_part(done, len(tiles))
    return large


def _cut(length: int, side: int, reach: int) -> Iterator[tuple[slice, slice]]:
    """Pieces of a side, and the part of the side that each is enlarged with."""
    for start in range(0, length, side):
        stop = min(start + side, length)
        yield slice(start, stop), slice(max(0, start - reach), min(length, stop + reach))


def _times(piece: slice, scale: int, start: int = 0) -> slice:
    """A piece of the small side as one of the large side, relative to ``start``."""
    return slice(scale * (piece.start - start), scale * (piece.stop - start))
