"""Denoising: small coefficients of overlapping blocks' cosine transforms are dropped [1]_.

References
----------
.. [1] G. Yu, G. Sapiro, "DCT image denoising: a simple and effective image denoising algorithm",
       Image Processing On Line 1, 2011.
"""

from __future__ import annotations

import cv2
import numpy as np

from .measure import noise_level

BLOCK = 8  # side of a block, pixels
THRESHOLD = 2.7  # standard deviations of the noise; 3 in [1]_, but this is better on faces
# Orthonormal: light and two colour differences, which separate noise from detail better.
COLOURS = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], np.float32)
COLOURS /= np.linalg.norm(COLOURS, axis=1, keepdims=True)


def denoise(x: np.ndarray, amount: float, scale: float) -> np.ndarray:
    """Remove the share ``amount`` of the noise from ``x``, which was enlarged ``scale`` times.

    Noise is as fine as the small picture's pixels. So it is measured in ``x`` shrunk to that size,
    enlarged, and subtracted from ``x``: detail that the enlargement added stays.

    Shape: float32 ``(H, W, C)`` in [0, 1], C 1 or 3 -> the same.
    """
    height, width, channels = x.shape
    size = max(1, round(width / scale)), max(1, round(height / scale))
    small = cv2.resize(x, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], channels)
    mixed = small @ COLOURS.T if channels == 3 else small
    planes = [remove_noise(mixed[..., c], noise_level(mixed[..., c])) for c in range(channels)]
    clean = np.stack(planes, axis=2)
    noise = small - (clean @ COLOURS if channels == 3 else clean)
    large = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return x - amount * large.reshape(x.shape)


def remove_noise(plane: np.ndarray, sigma: float) -> np.ndarray:
    """``(H, W)`` without white noise of standard deviation ``sigma`` [1]_.

    The blocks at every place are transformed, and the results averaged. One coefficient is done at
    a time, which takes the memory of a few planes only.
    """
    if sigma == 0:
        return plane
    basis = _cosines()
    padded = np.pad(plane, BLOCK - 1, mode="symmetric")
    total = np.zeros_like(padded)
    for u, rows in enumerate(basis):
        for v, columns in enumerate(basis):
            part = _correlate(padded, columns, rows, 0)
            if u or v:
                part[np.abs(part) < THRESHOLD * sigma] = 0
            total += _correlate(part, columns[::-1].copy(), rows[::-1].copy(), BLOCK - 1)
    inner = slice(BLOCK - 1, 1 - BLOCK)
    return total[inner, inner] / BLOCK**2


def _correlate(x: np.ndarray, columns: np.ndarray, rows: np.ndarray, first: int) -> np.ndarray:
    """Correlation with a kernel whose element ``first`` lies on the pixel; zeros beyond borders."""
    return np.asarray(
        cv2.sepFilter2D(
            x, cv2.CV_32F, columns, rows, anchor=(first, first), borderType=cv2.BORDER_CONSTANT
        )
    )


def _cosines() -> np.ndarray:
    """The orthonormal cosine transform, row k the k-th frequency: ``(8, 8)``."""
    n = np.arange(BLOCK)
    basis = np.cos(np.pi / BLOCK * np.outer(n, n + 0.5)) * np.sqrt(2 / BLOCK)
    basis[0] /= np.sqrt(2)
    return basis.astype(np.float32)
