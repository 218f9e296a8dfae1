"""OpenCV's interpolations (paper, section 2.2.7)."""

from __future__ import annotations

import cv2
import numpy as np


def cubic(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bicubic convolution, a = -0.75: float32 ``(H, W, C)`` -> ``(height, width, C)``."""
    return _resize(planes, height, width, cv2.INTER_CUBIC)


def lanczos(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Lanczos windowed sinc over 8x8 pixels: float32 ``(H, W, C)`` -> ``(height, width, C)``."""
    return _resize(planes, height, width, cv2.INTER_LANCZOS4)


def nearest(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """The nearest pixel: float32 ``(H, W, C)`` -> ``(height, width, C)``."""
    return _resize(planes, height, width, cv2.INTER_NEAREST_EXACT)


def linear(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear interpolation: float32 ``(H, W, C)`` -> ``(height, width, C)``."""
    return _resize(planes, height, width, cv2.INTER_LINEAR_EXACT)


def cubic_bytes(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """`cubic` of uint8 ``(H, W)`` or ``(H, W, C)``, to within a level of it."""
    return _resize_bytes(image, height, width, cv2.INTER_CUBIC)


def lanczos_bytes(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """`lanczos` of uint8 ``(H, W)`` or ``(H, W, C)``, to within a level of it."""
    return _resize_bytes(image, height, width, cv2.INTER_LANCZOS4)


def nearest_bytes(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """`nearest` of uint8 ``(H, W)`` or ``(H, W, C)``."""
    return _resize_bytes(image, height, width, cv2.INTER_NEAREST_EXACT)


def linear_bytes(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """`linear` of uint8 ``(H, W)`` or ``(H, W, C)``, to within a level of it."""
    return _resize_bytes(image, height, width, cv2.INTER_LINEAR_EXACT)


def _resize(planes: np.ndarray, height: int, width: int, interpolation: int) -> np.ndarray:
    large = cv2.resize(planes, (width, height), interpolation=interpolation)
    return np.asarray(large).reshape(height, width, -1)  # OpenCV drops a single channel's axis


def _resize_bytes(image: np.ndarray, height: int, width: int, interpolation: int) -> np.ndarray:
    large = cv2.resize(image, (width, height), interpolation=interpolation)
    return np.asarray(large).reshape(height, width, *image.shape[2:])
