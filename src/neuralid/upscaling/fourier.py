"""Fourier interpolation (paper, section 2.2.2): the spectrum, padded with zeros."""

from __future__ import annotations

import numpy as np


def fourier(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Band-limited interpolation: float32 ``(H, W, C)`` -> ``(height, width, C)``.

    The picture is extended by its mirror image, so that opposite borders do not ring into each
    other. Its spectrum is then that of a cosine transform.
    """
    return _along(_along(planes, 0, height), 1, width).astype(np.float32)


def _along(x: np.ndarray, axis: int, size: int) -> np.ndarray:
    """One axis of N points to ``size`` M, at least N, pixel centres to pixel centres."""
    x = np.moveaxis(x, axis, -1)
    n = x.shape[-1]
    # Undo the phase of half a pixel and add that of half a smaller one: edges stay in place.
    spectrum = np.fft.rfft(np.concatenate([x, x[..., ::-1]], axis=-1))[..., :n]
    cosines = (spectrum * np.exp(-0.5j * np.pi * np.arange(n) / n)).real
    padded = np.zeros((*x.shape[:-1], size + 1), dtype=np.complex128)
    padded[..., :n] = cosines * np.exp(0.5j * np.pi * np.arange(n) / size)
    large = np.fft.irfft(padded, n=2 * size)[..., :size] * (size / n)
    return np.moveaxis(large, -1, axis)
