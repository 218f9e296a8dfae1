"""hqx (paper, section 2.2.2): for drawings, with soft edges; FFmpeg's, from the package PyAV.

FFmpeg's filter takes 8 bits a channel. Each pixel of its result is an average of the 3x3 pixels
around its place, in sixteenths that depend on the colours there and not on alpha. So alpha is used
to ask for those sixteenths, and the average is taken here, at any depth.

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
from .pixelart import repeated

if TYPE_CHECKING:
    from av.filter import Graph

MOST_TIMES = 4  # there are hq2x, hq3x and hq4x
ROWS = 32  # pixels of a stripe
SIDE = 3  # of the square of pixels that one is averaged from
FULL = 240  # alpha that stands for all of a pixel: divisible by 16, so that nothing is rounded
# What transparent pixels are laid on where colours are compared, so that a black outline differs
# from the nothing beside it: of these the colour that is farthest from all in the picture.
KEYS = np.array([(1, 0, 1), (0, 1, 0), (0, 1, 1), (1, 1, 0), (0, 0, 1), (1, 0, 0)], np.float32)
MOST_BYTES = 2**31  # of a picture, beyond which FFmpeg refuses it

_one_at_a_time = Lock()  # for a filter takes one picture after the other


def hqx(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """hq2x to hq4x as often as it takes, then box sampling: ``(H, W, C)`` -> larger."""
    return repeated(
        planes, height, width, lambda x: enlarged(x, _times(height / len(x), width / x.shape[1]))
    )


def _times(*factors: float) -> int:
    """Of what is missing, the share of one step: as few steps as can be, and those alike."""
    factor = max(factors)
    steps = math.ceil(math.log(factor, MOST_TIMES) - 1e-9)
    return max(2, math.ceil(factor ** (1 / steps) - 1e-9))


def enlarged(planes: np.ndarray, times: int) -> np.ndarray:
    """hqx, 2, 3 or 4 ``times``: float32 ``(H, W, C)``, colours multiplied by alpha -> larger.

    Raises `ImageError` for a result so long that FFmpeg can't hold it.
    """
    h, w, c = planes.shape
    if (4 * w * times + 1024) * (h * times + 128) >= MOST_BYTES:  # FFmpeg's own measure
        raise ImageError(
            f"{w * times}x{h * times} pixels are too long a picture for hqx",
            hint="take scale2x or scale3x",
        )
    large = np.zeros((h, times, w, times, c), np.float32)
    with _one_at_a_time:
        for (row, column), shares in _shares(_opaque(planes), times):
            part = planes[_nearest(row, h)][:, _nearest(column, w)]
            _add(large, part, shares.reshape(large.shape[:4]))
    return large.reshape(h * times, w * times, c)


def _add(large: np.ndarray, part: np.ndarray, shares: np.ndarray) -> None:
    """Add a share of ``part`` everywhere, stripe by stripe: ``(H, n, W, n, C)``, ``(H, W, C)``."""

    def stripe(top: int) -> None:
        here = slice(top, top + ROWS)
        scaled = part[here, None, :, None] * np.float32(1 / FULL)
        large[here] += shares[here, ..., None] * scaled

    with ThreadPoolExecutor(max(1, cv2.getNumThreads())) as pool:
        list(pool.map(stripe, range(0, len(part), ROWS)))


def _nearest(place: int, length: int) -> np.ndarray:
    """Of the pixels at ``place`` in every three, the one beside or at each: ``(length,)``."""
    index = np.arange(length)
    beside = index + (place - index + 1) % SIDE - 1
    return beside.clip(0, length - 1)  # what is clipped has no share


def _shares(colours: np.ndarray, times: int) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """How much of the pixel at each place (row, column) of 3x3 there is in each of the result.

    A square of 3x3 has every place once, wherever it lies; beyond the border is the border.

    Shape: uint8 ``(H, W, 3)`` -> nine times uint8 ``(H times, W times)``, `FULL` for all of it.
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
    except BaseException:  # a picture pushed and not pulled would come out the next time
        _graph.cache_clear()
        raise


# It takes half a second and 64 MB, for a table of all colours; 64 times takes three.
@lru_cache(3)
def _graph(height: int, width: int, times: int) -> Graph:
    """FFmpeg's filter, ready for pictures of one size; kept, as frames of a film have one size."""
    import av
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(
        width=width,
        height=height,
        format=av.VideoFormat("bgra", width, height),
        time_base=Fraction(1),
    )
    # Threads of FFmpeg's own would be missing in a forked process, which waited for them.
    magnify = graph.add("hqx", f"n={times}:threads=1")
    sink = graph.add("buffersink")
    source.link_to(magnify)
    magnify.link_to(sink)
    graph.configure()
    return graph


def _opaque(planes: np.ndarray) -> np.ndarray:
    """The colours by which pixels are compared: uint8 ``(H, W, 3)``."""
    colours = planes
    if planes.shape[2] in (2, 4):
        colours, alpha = planes[..., :-1], planes[..., -1:]
        colours = colours + (1 - alpha) * _key(colours, alpha)
    eight = from_planes(colours, np.empty_like(colours, np.uint8))
    return np.broadcast_to(eight, (*eight.shape[:2], 3))


def _key(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Of `KEYS` the one farthest from the colours seen: ``(H, W, 1 or 3)``, alpha -> ``(3,)``."""
    visible = alpha[..., 0] > 0
    if not visible.any():
        return np.asarray(KEYS[0])
    seen = colours[visible] / alpha[visible]
    distances = [np.abs(seen - key).max(1).min() for key in KEYS]
    return np.asarray(KEYS[int(np.argmax(distances))])
