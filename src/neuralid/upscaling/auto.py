"""Measures a picture to decide which filters it needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .config import AUTO
from .filters import FLAT, Filter, parse
from .measure import fineness, light_range, noise_level
from .picture import luma, split

NOISY = 0.024  # standard deviation of noise, 6 levels of 256: denoise
SOFT = 0.04  # share of contrast finer than two pixels: unsharp, unless noisy
NARROW = 0.5  # range of light: contrast, unless flat on purpose


def resolve(texts: Sequence[str], planes: np.ndarray) -> list[Filter]:
    """The filters named, each ``auto`` replaced by those that the small picture needs."""
    wanted: list[Filter] = []
    for each in map(parse, texts):
        wanted += pick_filters(planes) if each.name == AUTO else [each]
    return wanted


def pick_filters(planes: np.ndarray) -> list[Filter]:
    """The filters that ``auto`` picks for a small picture; a good one needs none."""
    light = luma(split(planes)[0])
    low, high = light_range(light)
    noisy = noise_level(light) >= NOISY
    needs = {
        "denoise": noisy,
        "contrast": FLAT <= high - low < NARROW,
        "unsharp": fineness(light) <= SOFT and not noisy,
    }
    return [parse(name) for name, is_needed in needs.items() if is_needed]
