"""Enlarging: one file a family of methods, one table that names them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..config import check_range
from ..errors import ConfigError, ImageError
from .dcci import dcci
from .fourier import fourier
from .opencv import area, cubic, lanczos, linear, nearest
from .picture import from_planes, to_planes, unpremultiplied
from .pixelart import scale2x, scale3x
from .sharpen import unsharp

MOST_PIXELS = 100_000_000  # of a result

Method = Callable[[np.ndarray, int, int], np.ndarray]


@dataclass(frozen=True)
class MethodInfo:
    """One way of enlarging: ``run(planes, height, width)`` on float32 ``(H, W, C)`` in [0, 1]."""

    run: Method
    summary: str


METHODS = {
    "nearest": MethodInfo(nearest, "the nearest pixel"),
    "linear": MethodInfo(linear, "bilinear interpolation"),
    "area": MethodInfo(area, "box sampling"),
    "cubic": MethodInfo(cubic, "OpenCV's bicubic interpolation, the paper's choice"),
    "lanczos": MethodInfo(lanczos, "OpenCV's Lanczos interpolation over 8x8 pixels"),
    "fourier": MethodInfo(fourier, "the spectrum padded with zeros, mirrored borders"),
    "dcci": MethodInfo(dcci, "directional cubic convolution, along edges"),
    "scale2x": MethodInfo(scale2x, "for drawings of few colours, by twos"),
    "scale3x": MethodInfo(scale3x, "for drawings of few colours, by threes"),
}
DEFAULT_METHOD = "cubic"


def upscale_planes(
    planes: np.ndarray, scale: float, method: str = DEFAULT_METHOD, sharpen: float = 0.5
) -> np.ndarray:
    """Enlarge float32 ``(H, W, C)`` in [0, 1] by ``scale``, then sharpen by ``sharpen`` (0: not).

    Raises `ConfigError` as `check` does, `ImageError` for a result that would be too large.
    """
    check(scale, method, sharpen)
    height, width = target_size(planes.shape[0], planes.shape[1], scale)
    large = METHODS[method].run(planes, height, width)
    if sharpen:
        large = unsharp(large, sharpen, scale)
    return large.clip(0, 1)


def check(scale: float, method: str, sharpen: float) -> None:
    """Raise `ConfigError` for an unknown method or a number out of range."""
    if method not in METHODS:
        raise ConfigError(f"no method '{method}'", hint=f"there are {', '.join(METHODS)}")
    check_range("scale", scale, 1, 64)
    check_range("sharpen", sharpen, 0, 5)


def target_size(height: int, width: int, scale: float) -> tuple[int, int]:
    """Height and width after enlarging. Raises `ImageError` when they are too large."""
    large = round(height * scale), round(width * scale)
    if large[0] * large[1] > MOST_PIXELS:
        raise ImageError(
            f"the result would have {large[0] * large[1] / 1e6:.0f} megapixels",
            hint=f"at most {MOST_PIXELS // 1_000_000}; use a smaller scale",
        )
    return large


def upscale_array(
    image: np.ndarray, scale: float, method: str = DEFAULT_METHOD, sharpen: float = 0.5
) -> np.ndarray:
    """Enlarge a picture of 8 or 16 bits, with or without colour and alpha.

    Alpha is taken out of the colours' way: they are multiplied by it before and divided by it
    after, so that what is transparent does not bleed in.

    Shape: ``(H, W)``, or ``(H, W, C)`` with C 1 to 4 (2 and 4: alpha last) -> the same, larger.
    """
    planes = to_planes(image)
    large = upscale_planes(planes, scale, method, sharpen)
    return from_planes(unpremultiplied(large), image)


__all__ = ["DEFAULT_METHOD", "METHODS", "MethodInfo", "check", "upscale_array", "upscale_planes"]
