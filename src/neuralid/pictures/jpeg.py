"""JPEG so fine that a photo stays as it is, to within one level of each colour.

The colours are stored as they are, not as light and two differences: turning them back and forth
alone would be off by up to three levels. In a few squares of 8x8 pixels all that the transform
rounds adds up to two levels; there, noise of one level in a few pixels makes it round otherwise.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

OPTIONS: dict[str, Any] = {"quality": 100, "subsampling": 0, "keep_rgb": True}
TRIES = 24  # at most; two or three are enough for most photographs
NOISE = 0.1  # share of the values in such a square that are changed
_BLOCK = 8  # side of a square


def encode(picture: Image.Image, profile: bytes | None = None) -> bytes:
    """An RGB picture as the bytes of a JPEG file, with its colour profile."""
    own = {"icc_profile": profile} if profile else {}
    wanted, rng = np.asarray(picture).astype(np.int16), np.random.default_rng(0)
    given = wanted
    for _ in range(TRIES):
        buffer = io.BytesIO()
        Image.fromarray(given.astype(np.uint8)).save(buffer, "JPEG", **OPTIONS, **own)
        off = np.asarray(Image.open(buffer)).astype(np.int16) - wanted
        far = _blocks_of(np.abs(off) > 1)
        if not far.any():
            break
        noise = rng.integers(-1, 2, far.sum()) * (rng.random(far.sum()) < NOISE)
        given = given.copy()
        given[far] = (wanted[far] + noise).clip(0, 255)
    return buffer.getvalue()


def _blocks_of(some: np.ndarray) -> np.ndarray:
    """All values of the squares that have some: bool ``(H, W, 3)`` -> the same."""
    height, width = some.shape[:2]
    rows, columns = np.arange(0, height, _BLOCK), np.arange(0, width, _BLOCK)
    there = np.logical_or.reduceat(np.logical_or.reduceat(some, rows, axis=0), columns, axis=1)
    whole = there.repeat(_BLOCK, axis=0).repeat(_BLOCK, axis=1)
    return np.asarray(whole[:height, :width])
