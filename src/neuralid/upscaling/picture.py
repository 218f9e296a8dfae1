"""A picture's integers <-> float32 planes, colours multiplied by alpha."""

from __future__ import annotations

import cv2
import numpy as np

from ..pictures.quality import LUMA

FAINT = 1e-3  # alpha below which the colour cannot be recovered


def to_planes(image: np.ndarray) -> np.ndarray:
    """uint8 or uint16 ``(H, W)`` or ``(H, W, C)`` -> float32 ``(H, W, C)`` in [0, 1].

    With 2 or 4 channels the last is alpha, and the others are multiplied by it.
    """
    planes = image.reshape(*image.shape[:2], -1).astype(np.float32) / np.iinfo(image.dtype).max
    if planes.shape[2] in (2, 4):
        planes[..., :-1] *= planes[..., -1:]
    return planes


def from_planes(planes: np.ndarray, like: np.ndarray) -> np.ndarray:
    """float32 ``(H, W, C)`` in [0, 1] -> integers of the type and channel layout of ``like``.

    Undoes the multiplication by alpha; where alpha is 0, colours are black.
    """
    if planes.shape[2] in (2, 4):
        colours, alpha = planes[..., :-1], planes[..., -1:]
        plain = np.divide(colours, alpha, out=np.zeros_like(colours), where=alpha > 0)
        planes = np.concatenate([plain.clip(0, 1), alpha], axis=2)
    top = np.iinfo(like.dtype).max
    if like.dtype == np.uint8:  # OpenCV scales and rounds at once, ten times as fast
        values = cv2.convertScaleAbs(planes, alpha=top).reshape(planes.shape)
    else:
        values = (planes * top).round().astype(like.dtype)
    return values[..., 0] if like.ndim == 2 else values


def is_opaque(image: np.ndarray) -> bool:
    """Whether a picture has an alpha channel, and it is at its maximum everywhere."""
    has_alpha = image.ndim == 3 and image.shape[2] in (2, 4)
    return has_alpha and bool((image[..., -1] == np.iinfo(image.dtype).max).all())


def add_alpha(colours: np.ndarray) -> np.ndarray:
    """uint8 or uint16 ``(H, W, C)``, C 1 or 3, with alpha at its maximum everywhere."""
    if colours.shape[2] == 3:
        return np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2RGBA))
    return np.concatenate([colours, np.full_like(colours, np.iinfo(colours.dtype).max)], axis=2)


def split(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Planes -> colours not multiplied by alpha, ``(H, W, 1 or 3)`` in [0, 1], and alpha or None.

    Where a picture is transparent it gets the surrounding colours, so that the edge does not affect
    what is visible.
    """
    if planes.shape[2] not in (2, 4):
        return planes.clip(0, 1), None
    alpha = planes[..., -1:]
    return _fill_transparent(planes[..., :-1], alpha).clip(0, 1), alpha.clip(0, 1)


def join(colours: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Undo `split`: the planes, multiplied by alpha."""
    return colours if alpha is None else np.concatenate([colours * alpha, alpha], axis=2)


def luma(planes: np.ndarray) -> np.ndarray:
    """The light of ``(H, W, C)``: ``(H, W)``; the first channel of a grey picture."""
    return np.asarray(
        planes[..., :3] @ np.array(LUMA, np.float32) if planes.shape[2] >= 3 else planes[..., 0]
    )


def _fill_transparent(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours divided by alpha; where it is 0, the average of those nearby (push-pull)."""
    seen = alpha > FAINT
    plain = np.divide(colours, alpha, out=np.zeros_like(colours), where=seen)
    h, w = alpha.shape[:2]
    if seen.all() or h * w == 1:
        return plain
    size = (w + 1) // 2, (h + 1) // 2
    smaller = [
        cv2.resize(part * seen, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
        for part in (colours, alpha)
    ]
    around = cv2.resize(_fill_transparent(*smaller), (w, h), interpolation=cv2.INTER_LINEAR)
    return np.where(seen, plain, around.reshape(plain.shape))
