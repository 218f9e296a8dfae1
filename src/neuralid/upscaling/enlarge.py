"""Enlarging a picture by any method of the table in `config`, filters after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from ..core.checks import check_range
from ..core.errors import ConfigError, ImageError
from .auto import resolve
from .blocks import VALUES, can_be_in_blocks, in_blocks
from .config import DEFAULT_METHOD, FILTERS, LARGEST_SCALE, METHODS
from .consistent import make_consistent
from .filters import apply_filters, drop_idle, parse
from .loading import check_installed, load_function
from .picture import add_alpha, from_planes, is_opaque, to_planes

MOST_PIXELS = 100_000_000  # in a result
# Bytes per value of the result, measured at the peak as those in `config` are.
OF_ALPHA, OF_CONSISTENT = 15.0, 25.0


def upscale_planes(
    planes: np.ndarray,
    scale: float,
    method: str = DEFAULT_METHOD,
    filters: Sequence[str] = (),
    *,
    consistent: bool = False,
    device: str | torch.device = "cpu",
    on_part: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Enlarge float32 ``(H, W, C)`` in [0, 1], colours multiplied by alpha, ``scale`` times.

    The filters, each ``NAME`` or ``NAME=AMOUNT``, are applied to the result in their order. With
    ``consistent`` it is corrected at the end, so that shrinking it gives the picture again. A scale
    of 1 uses no method. ``on_part(done, total)`` hears of the parts that a network has done.

    Raises `ConfigError` as `check` does, `ImageError` for a result that would be too large.
    """
    check(scale, method, filters)
    height, width = target_size(planes.shape[0], planes.shape[1], scale)
    chosen = resolve(filters, planes)
    large = planes
    if (height, width) != planes.shape[:2]:
        more = {"device": device, "on_part": on_part} if METHODS[method].on_device else {}
        large = load_function(METHODS[method].function)(planes, height, width, **more)
    large = apply_filters(large, chosen, scale)
    return make_consistent(large, planes) if consistent else large


def check(scale: float, method: str, filters: Sequence[str] = ()) -> None:
    """Raise `ConfigError` for an unknown method or filter, a missing package, a bad number."""
    if method not in METHODS:
        raise ConfigError(f"no method '{method}'", hint=f"there are {', '.join(METHODS)}")
    check_installed(method)
    check_range("scale", scale, 1, LARGEST_SCALE)
    for each in filters:
        parse(each)


def target_size(height: int, width: int, scale: float, what: str = "the result") -> tuple[int, int]:
    """Height and width after enlarging. Raises `ImageError`, about ``what``, if too large."""
    large = round(height * scale), round(width * scale)
    if large[0] * large[1] > MOST_PIXELS:
        raise ImageError(
            f"{what} would have {large[0] * large[1] / 1e6:.0f} megapixels",
            hint=f"at most {MOST_PIXELS // 1_000_000}; make it smaller",
        )
    return large


def needed_memory(
    shape: tuple[int, ...],
    scale: float,
    method: str,
    filters: Sequence[str] = (),
    *,
    consistent: bool = False,
) -> float:
    """About how many bytes enlarging a picture of this shape takes at its peak."""
    info, channels = METHODS[method], shape[2] if len(shape) == 3 else 1
    filters = drop_idle(filters)
    if not filters and not consistent and can_be_in_blocks(shape, scale, method):
        return 2.0 * shape[0] * shape[1] * scale**2 * channels + info.memory * VALUES
    # A network's own maps are 4 times as large as the picture, however large the result.
    peaks = [info.memory * min(1, (4 / scale) ** 2) if info.on_device else info.memory, 9.0]
    peaks += [FILTERS[parse(each).name].memory for each in filters]
    peaks += [OF_ALPHA] * (channels in (2, 4)) + [OF_CONSISTENT] * consistent
    return max(peaks) * shape[0] * shape[1] * scale**2 * channels


def upscale_array(
    image: np.ndarray,
    scale: float,
    method: str = DEFAULT_METHOD,
    filters: Sequence[str] = (),
    *,
    consistent: bool = False,
    device: str | torch.device = "cpu",
    on_part: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Enlarge a picture of 8 or 16 bits, with or without colour and alpha; see `upscale_planes`.

    Some methods have a form for 8 bits, which is taken where nothing else is asked for.

    Colours are multiplied by alpha before and divided by it after, so that what is transparent does
    not bleed in. Alpha at its maximum everywhere is set aside, and nothing is multiplied.

    Shape: ``(H, W)``, or ``(H, W, C)`` with C 1 to 4 (2 and 4: alpha last) -> the same, larger.
    """
    how: dict[str, Any] = {"consistent": consistent, "device": device, "on_part": on_part}
    if is_opaque(image):
        colours = np.ascontiguousarray(image[..., :-1])
        return add_alpha(upscale_array(colours, scale, method, filters, **how))
    check(scale, method, filters)
    filters = drop_idle(filters)  # the form for bytes, which they rule out, rounds otherwise
    if not filters and not consistent:
        size = target_size(image.shape[0], image.shape[1], scale)
        if has_byte_form(image, method):
            return load_function(METHODS[method].in_bytes or "")(image, *size)
        if can_be_in_blocks(image.shape, scale, method):
            blocks = partial(_by_floats, scale, method, (), {**how, "on_part": None})
            return in_blocks(image, round(scale), method, blocks, on_part)
    return _by_floats(scale, method, filters, how, image)


def _by_floats(
    scale: float, method: str, filters: Sequence[str], how: dict[str, Any], image: np.ndarray
) -> np.ndarray:
    planes = upscale_planes(to_planes(image), scale, method, filters, **how)
    return from_planes(planes, image)


def has_byte_form(image: np.ndarray, method: str) -> bool:
    """Whether a picture can be enlarged without making floats of it."""
    known = method in METHODS and METHODS[method].in_bytes is not None
    return known and image.dtype == np.uint8 and (image.ndim == 2 or image.shape[2] in (1, 3))
