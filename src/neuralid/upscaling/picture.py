"""A picture's integers <-> float32 planes, with alpha multiplied in on the way."""

from __future__ import annotations

import numpy as np


def to_planes(image: np.ndarray) -> np.ndarray:
    """uint8 or uint16 ``(H, W)`` or ``(H, W, C)`` -> float32 ``(H, W, C)`` in [0, 1].

    With 2 or 4 channels the last is alpha, and the others are multiplied by it.
    """
    planes = image.reshape(*image.shape[:2], -1).astype(np.float32) / np.iinfo(image.dtype).max
    if planes.shape[2] in (2, 4):
        planes[..., :-1] *= planes[..., -1:]
    return planes


def unpremultiplied(planes: np.ndarray) -> np.ndarray:
    """Undo the multiplication by alpha; where alpha is nothing, colours are black."""
    if planes.shape[2] not in (2, 4):
        return planes
    alpha = planes[..., -1:]
    colours = np.divide(
        planes[..., :-1], alpha, out=np.zeros_like(planes[..., :-1]), where=alpha > 0
    )
    return np.concatenate([colours.clip(0, 1), alpha], axis=2)


def from_planes(planes: np.ndarray, like: np.ndarray) -> np.ndarray:
    """float32 ``(H, W, C)`` in [0, 1] -> integers of the type and channel layout of ``like``."""
    top = np.iinfo(like.dtype).max
    values = (planes * top).round().astype(like.dtype)
    return values[..., 0] if like.ndim == 2 else values
