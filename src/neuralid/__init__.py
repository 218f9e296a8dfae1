"""Face identities on your own machine: train, sample, invert, mix and upscale.

The verbs are functions of this package, imported (with torch) when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .api import (
        find_faces,
        invert,
        mix,
        sample,
        train,
        upscale,
    )

VERBS = ("train", "sample", "invert", "mix", "upscale", "find_faces")

__all__ = ["__version__", "find_faces", "invert", "mix", "sample", "train", "upscale"]


def __getattr__(name: str) -> Any:
    if name in VERBS:
        from . import api

        return getattr(api, name)
    raise AttributeError(f"module 'neuralid' has no attribute '{name}'")
