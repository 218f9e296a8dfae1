"""The filters that follow the interpolation: the paper's "special filters" (section 2.2.7)."""

from __future__ import annotations

import cv2
import numpy as np

SIGMA = 0.4  # of the blur, in pixels of the small picture


def unsharp(planes: np.ndarray, amount: float, scale: float) -> np.ndarray:
    """Unsharp mask: add ``amount`` times what a Gaussian blur takes away.

    Overshoot is held to the range of the 3x3 neighbourhood in the small picture's pixels, so
    that edges get steeper but no halo appears.

    Shape: float32 ``(H, W, C)`` in [0, 1] -> the same.
    """
    sigma = max(SIGMA * scale, 0.3)
    blurred = cv2.GaussianBlur(planes, (0, 0), sigma).reshape(planes.shape)
    reach = 2 * round(scale) + 1
    kernel = np.ones((reach, reach), np.uint8)
    low = cv2.erode(planes, kernel).reshape(planes.shape)
    high = cv2.dilate(planes, kernel).reshape(planes.shape)
    return np.clip(planes + amount * (planes - blurred), low, high)
