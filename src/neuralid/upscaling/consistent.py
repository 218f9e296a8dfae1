"""Back-projection [1]_: a large picture corrected until, shrunk, it is the small one again.

Letters in shapes: H W the small picture's sides, C channels.

References
----------
.. [1] M. Irani, S. Peleg, "Improving resolution by image registration", CVGIP: Graphical Models
       and Image Processing 53(3), 1991.
"""

from __future__ import annotations

import cv2
import numpy as np

from .area import area
from .opencv import cubic

SMOOTH_ROUNDS = 3  # smooth corrections first; the blocky ones that follow are exact
MOST_ROUNDS = 60
CLOSE = 4e-6  # the largest error left, a quarter of a step of 16 bits
# Lower bound on the share of a box's pixels that are free to change. With pixels that belong to two
# boxes, corrections more than twice as large as needed would never converge.
LEAST_ROOM, LEAST_SHARED = 1e-3, 0.5


def make_consistent(large: np.ndarray, small: np.ndarray) -> np.ndarray:
    """Change ``large`` so that box averaging turns it into ``small`` ``(H, W, C)``.

    Both are in [0, 1], colours multiplied by alpha, if there is any. The result is exact if the
    factor is whole. If not, some pixels belong to two boxes; where these differ very much (white
    beside black) no picture can be exact, and the result is a close one.
    """
    if small.shape[2] not in (2, 4):
        return _correct(large, small, np.ones_like(large[..., :1]))
    alpha = _correct(large[..., -1:], small[..., -1:], np.ones_like(large[..., :1]))
    colours = _correct(large[..., :-1], small[..., :-1], alpha)
    return np.concatenate([colours, alpha], axis=2)


def shrink(large: np.ndarray, height: int, width: int) -> np.ndarray:
    """The average over each pixel's box: ``(*, *, C)`` -> ``(height, width, C)``."""
    return np.asarray(cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)).reshape(
        height, width, -1
    )


def _correct(large: np.ndarray, small: np.ndarray, top: np.ndarray) -> np.ndarray:
    """`make_consistent`, with pixels from 0 to ``top``."""
    sides, large_sides = small.shape[:2], large.shape[:2]
    is_shared = any(b % a for a, b in zip(sides, large_sides, strict=True))
    least = LEAST_SHARED if is_shared else LEAST_ROOM
    large = np.clip(large, 0, top)
    for done in range(MOST_ROUNDS):
        error = small - shrink(large, *sides)
        if np.abs(error).max() < CLOSE:
            break
        if done < SMOOTH_ROUNDS:
            large = np.clip(large + cubic(error, *large_sides), 0, top)
            continue
        # A pixel at the end of its range cannot change: the others change more.
        change = area(error, *large_sides)
        room = shrink(np.where(change > 0, large < top, large > 0).astype(np.float32), *sides)
        large = np.clip(large + area(error / room.clip(least), *large_sides), 0, top)
    return large
