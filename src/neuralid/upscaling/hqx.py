"""hqx (paper, section 2.2.2), for drawings with soft edges, by FFmpeg from the package PyAV.

FFmpeg's filter takes 8 bits per channel. Each pixel of its result is a weighted average of the 3x3
pixels around it. The weights are sixteenths that depend on the colours there, not on alpha. So
alpha is used to read off the weights, and the average is computed here, at any depth.

Letters in shapes: H W the picture's sides, C channels.

References
----------
.. [1] M. Stepin, "hq2x, hq3x and hq4x magnification filters", 2003.
.. [2] https://ffmpeg.org/ffmpeg-filters.html#hqx
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..core.errors import ImageError
from .picture import from_planes
from .pixelart import repeat

if TYPE_CHECKING:
    from av.filter import Graph

MOST_TIMES = 4  # there are hq2x, hq3x and hq4x
ROWS = 32  # pixels of a stripe
SIDE = 3  # of the square of pixels that are averaged
FULL = 240  # alpha that stands for a weight of 1: divisible by 16, so nothing is rounded
# Transparent pixels get one of these colours before colours are compared, so that a black outline
# differs from the empty area beside it: the one that is farthest from all in the picture.
KEYS = np.array([(1, 0, 1), (0, 1, 0), (0, 1, 1), (1, 1, 0), (0, 0, 1), (1, 0, 0)], np.float32)
MOST_BYTES = 2**31  # FFmpeg refuses larger pictures

_one_at_a_time = Lock()  # a filter handles one picture after the other


def hqx(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """hq2x to hq4x as often as needed, then box sampling: ``(H, W, C)`` -> larger."""

    def step(x: np.ndarray) -> np.ndarray:
        return magnify(x, _next_factor(height / len(x), width / x.shape[1]))

    return repeat(planes, height, width, step)


def _next_factor(*factors: float) -> int:
    """The factor for the next step: as few, equal steps as possible."""
    factor = max(factors)
    steps = math.ceil(math.log(factor, MOST_TIMES) - 1e-9)
    return max(2, math.ceil(factor ** (1 / steps) - 1e-9))


def magnify(planes: np.ndarray, times: int) -> np.ndarray:
    """hqx by a factor of 2, 3 or 4: float32 ``(H, W, C)``, colours multiplied by alpha -> larger.

    Raises `ImageError` for a result that is too large for FFmpeg.
    """
    h, w, c = planes.shape
    if (4 * w * times + 1024) * (h * times + 128) >= MOST_BYTES:  # FFmpeg's own measure
        raise ImageError(
            f"{w * times}x{h * times} pixels are too many for hqx",
            hint="take scale2x or scale3x",
        )
    large = np.zeros((h, times, w, times, c), np.float32)
    with _one_at_a_time:
        for (row, column), shares in _shares(_colours_compared(planes), times):
            part = planes[_nearest(row, h)][:, _nearest(column, w)]
            _add(large, part, shares.reshape(large.shape[:4]))
    return large.reshape(h * times, w * times, c)


def _add(large: np.ndarray, part: np.ndarray, shares: np.ndarray) -> None:
    """Add ``part`` ``(H, W, C)``, weighted by ``shares``, to ``large`` ``(H, n, W, n, C)``."""

    def stripe(top: int) -> None:
        here = slice(top, top + ROWS)
        scaled = part[here, None, :, None] * np.float32(1 / FULL)
        large[here] += shares[here, ..., None] * scaled

    with ThreadPoolExecutor(max(1, cv2.getNumThreads())) as pool:
        list(pool.map(stripe, range(0, len(part), ROWS)))


def _nearest(place: int, length: int) -> np.ndarray:
    """For each pixel, the one at or beside it whose index is ``place`` modulo 3: ``(length,)``."""
    index = np.arange(length)
    beside = index + (place - index + 1) % SIDE - 1
    return beside.clip(0, length - 1)  # clipped ones have no weight


def _shares(colours: np.ndarray, times: int) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """The weight of the pixel at each place (row, column) of 3x3, for every pixel of the result.

    Every square of 3x3 holds each place once; borders are repeated.

    Shape: uint8 ``(H, W, 3)`` -> nine of uint8 ``(H times, W times)``, `FULL` for a weight of 1.
    """
    import av

    h, w = colours.shape[:2]
    picture = np.dstack([colours[..., ::-1], np.zeros((h, w), np.uint8)])
    graph = _graph(h, w, times)
    try:
        for index in range(SIDE * SIDE):
            row, column = divmod(index, SIDE)
            picture[..., 3] = 0
            picture[row::SIDE, column::SIDE, 3] = FULL
            frame = av.VideoFrame.from_ndarray(picture, format="bgra")
            frame.pts = index
            graph.push(frame)
            yield (row, column), graph.pull().to_ndarray()[..., 3]
    except BaseException:  # a picture pushed but not pulled would come out next time
        _graph.cache_clear()
        raise


# One takes half a second and 64 MB, for a table of all colours; enlarging 64 times needs three.
@lru_cache(3)
def _graph(height: int, width: int, times: int) -> Graph:
    """FFmpeg's filter for pictures of one size; cached, since all frames of a film share one."""
    import av
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(
        width=width,
        height=height,
        format=av.VideoFormat("bgra", width, height),
        time_base=Fraction(1),
    )
    # FFmpeg's own threads would be missing in a forked process, which would wait for them.
    magnify = graph.add("hqx", f"n={times}:threads=1")
    sink = graph.add("buffersink")
    source.link_to(magnify)
    magnify.link_to(sink)
    graph.configure()
    return graph


def _colours_compared(planes: np.ndarray) -> np.ndarray:
    """The colours by which pixels are compared: uint8 ``(H, W, 3)``."""
    colours = planes
    if planes.shape[2] in (2, 4):
        colours, alpha = planes[..., :-1], planes[..., -1:]
        colours = colours + (1 - alpha) * _key(colours, alpha)
    eight = from_planes(colours, np.empty_like(colours, np.uint8))
    return np.broadcast_to(eight, (*eight.shape[:2], 3))


def _key(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The colour of `KEYS` farthest from all visible ones: ``(H, W, C)``, alpha -> ``(3,)``."""
    visible = alpha[..., 0] > 0
    if not visible.any():
        return np.asarray(KEYS[0])
    seen = colours[visible] / alpha[visible]
    distances = [np.abs(seen - key).max(1).min() for key in KEYS]
    return np.asarray(KEYS[int(np.argmax(distances))])
