"""Which filters a picture needs, by measure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .config import AUTO
from .filters import FLAT, Filter, parse
from .measure import fineness, light_range, noise_level
from .picture import luma, split

NOISY = 0.024  # standard deviation of noise, 6 levels of 256: denoise
SOFT = 0.04  # share of the contrast that is finer than two pixels: unsharp, unless noisy
NARROW = 0.5  # range of light: contrast, unless meant to be flat


def resolve(texts: Sequence[str], planes: np.ndarray) -> list[Filter]:
    """The filters named, each ``auto`` replaced by what the small picture's planes need."""
    wanted: list[Filter] = []
    for each in map(parse, texts):
        wanted += needed(planes) if each.name == AUTO else [each]
    return wanted


def needed(planes: np.ndarray) -> list[Filter]:
    """The filters of ``auto`` for a small picture; a good one needs none."""
    light = luma(split(planes)[0])
    low, high = light_range(light)
    noisy = noise_level(light) >= NOISY
    needs = {
        "denoise": noisy,
        "contrast": FLAT <= high - low < NARROW,
        "unsharp": fineness(light) <= SOFT and not noisy,
    }
    return [parse(name) for name, is_needed in needs.items() if is_needed]
