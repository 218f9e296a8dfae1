"""The filters that may follow the enlargement: the paper's "special filters" (section 2.2.7).

Each takes and returns float32 ``(H, W, C)`` in [0, 1], C 1 or 3, without alpha. All of it is
computed in floating point, so that 16 bits per colour show no bands.

References
----------
.. [1] C. Tomasi, R. Manduchi, "Bilateral filtering for gray and color images", ICCV 1998.
.. [2] K. He, J. Sun, X. Tang, "Guided image filtering", ECCV 2010 (equations 5, 6 and 8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..core.errors import ConfigError
from .config import AUTO, FILTERS
from .loading import load_function
from .measure import light_range
from .picture import join, luma, split

BLUR = 0.4  # sigma of the unsharp mask's Gaussian, pixels of the small picture
LIKE = 0.08  # bilateral filter: sigma of colour differences within one surface
NEAR = 1.0  # and of distances, pixels of the small picture
WIDEST = 4.0  # its limit in pixels of the large picture, as time grows with its square
TEXTURE = 0.03**2  # variance below which the guided filter smooths
REACH = 2  # half the guided filter's window, pixels of the small picture
FLAT = 0.1  # range of light below which a picture is taken to be flat on purpose


@dataclass(frozen=True)
class Filter:
    """One of `config.FILTERS`, and its amount."""

    name: str
    amount: float

    def __str__(self) -> str:
        return f"{self.name}={self.amount:g}"


def parse(text: str) -> Filter:
    """``NAME`` or ``NAME=AMOUNT`` -> the filter. Raises `ConfigError`.

    >>> str(parse("unsharp=0.3"))
    'unsharp=0.3'
    """
    name, equals, number = text.partition("=")
    if name not in FILTERS:
        raise ConfigError(f"no filter '{name}'", hint=f"there are {', '.join(FILTERS)}")
    info = FILTERS[name]
    if info.usual is None:
        if equals:
            raise ConfigError(f"{name} takes no amount", hint=f"write {name}")
        return Filter(name, 0)
    try:
        amount = float(number) if equals else info.usual
    except ValueError:
        hint = f"write {name}={info.usual:g}"
        raise ConfigError(f"'{number}' is not an amount of {name}", hint=hint) from None
    if not 0 <= amount <= info.most:  # NaN neither
        raise ConfigError(f"the amount of {name} must be from 0 to {info.most:g}, not {amount:g}")
    return Filter(name, amount)


def drop_idle(filters: Sequence[str]) -> list[str]:
    """The filters that may change something: an amount of 0 does not. Raises `ConfigError`.

    >>> drop_idle(["unsharp=0", "edge", "auto"])
    ['edge', 'auto']
    """
    return [text for text in filters if parse(text).amount or parse(text).name == AUTO]


def apply_filters(planes: np.ndarray, filters: Sequence[Filter], scale: float) -> np.ndarray:
    """Apply filters in their order to planes multiplied by alpha; alpha stays as it is.

    ``scale`` is how many times the planes were enlarged: filters measure in small pixels.
    """
    if not any(each.amount for each in filters) and planes.shape[2] not in (2, 4):
        return planes.clip(0, 1)
    colours, alpha = split(planes)
    for each in filters:
        if each.amount:
            colours = _run(each, colours, scale)
    return join(colours, alpha)


def _run(one: Filter, colours: np.ndarray, scale: float) -> np.ndarray:
    place = FILTERS[one.name].function
    assert place is not None, f"{one.name} was not resolved"
    return load_function(place)(colours, one.amount, scale).reshape(colours.shape).clip(0, 1)


def unsharp(x: np.ndarray, amount: float, scale: float) -> np.ndarray:
    """Unsharp mask: add ``amount`` times what a Gaussian blur removes.

    The result stays in the range of the 3x3 small pixels around it, so that edges get steeper but
    no halo appears.
    """
    blurred = cv2.GaussianBlur(x, (0, 0), max(BLUR * scale, 0.3)).reshape(x.shape)
    reach = 2 * round(scale) + 1
    kernel = np.ones((reach, reach), np.uint8)
    low = cv2.erode(x, kernel).reshape(x.shape)
    high = cv2.dilate(x, kernel).reshape(x.shape)
    return np.clip(x + amount * (x - blurred), low, high)


def bilateral(x: np.ndarray, amount: float, scale: float) -> np.ndarray:
    """Blend in the bilateral filter's result [1]_, ``amount`` of it."""
    # OpenCV's difference of colours is the sum over channels.
    smooth = cv2.bilateralFilter(x, 0, LIKE * x.shape[2], min(NEAR * scale, WIDEST))
    return x + amount * (smooth.reshape(x.shape) - x)


def edge(x: np.ndarray, amount: float, scale: float) -> np.ndarray:
    """Blend in the guided filter's result [2]_, ``amount`` of it; the light is the guide."""
    size = 2 * round(REACH * scale) + 1

    def mean(of: np.ndarray) -> np.ndarray:
        return cv2.blur(of, (size, size), borderType=cv2.BORDER_REFLECT).reshape(of.shape)

    guide = luma(x)[..., None]
    middle, average = mean(guide), mean(x)
    variance = mean(guide * guide) - middle * middle
    slope = (mean(guide * x) - middle * average) / (variance.clip(0) + TEXTURE)
    smooth = mean(slope) * guide + mean(average - slope * middle)
    return x + amount * (smooth - x)


def contrast(x: np.ndarray, amount: float, scale: float) -> np.ndarray:
    """Stretch the range to [0, 1], ``amount`` of the way; 0.5% at each end may be clipped.

    One linear map for all pixels and channels: no bands, no halos, no change of hue.
    """
    low, high = light_range(luma(x))
    if high <= low:
        return x
    share = amount * min(1.0, (high - low) / FLAT) ** 2
    start, end = low * (1 - share), high + (1 - high) * share
    return start + (x - low) * ((end - start) / (high - low))
