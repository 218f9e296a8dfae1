"""Face identities on your own machine: train, sample, invert, mix and upscale.

`open` gives a `Studio`, whose methods are the verbs; the functions of the same names are for a
single call. Everything is imported (with torch) when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .core.version import __version__

if TYPE_CHECKING:
    from .api._train import train
    from .api.functions import find_faces, invert, mix, sample, upscale
    from .api.results import Face, Found, Inverted, Mixed, Sampled, Upscaled
    from .api.studio import Studio
    from .api.studio import open_studio as open
    from .core.errors import (
        ConfigError,
        DataError,
        DeviceError,
        ImageError,
        LatentError,
        NeuralidError,
        OutputError,
        TrainingError,
        WeightsError,
    )
    from .faces.config import CropConfig
    from .models.recipe import Recipe
    from .pictures.photo import Photo
    from .training.options import TrainOptions
    from .training.session.session import Trained

_HOMES = {
    ".api.studio": ("Studio", "open"),
    ".api.functions": ("sample", "invert", "mix", "upscale", "find_faces"),
    ".api._train": ("train",),
    ".api.results": ("Face", "Found", "Inverted", "Mixed", "Sampled", "Upscaled"),
    ".training.options": ("TrainOptions",),
    ".training.session.session": ("Trained",),
    ".pictures.photo": ("Photo",),
    ".faces.config": ("CropConfig",),
    ".models.recipe": ("Recipe",),
    ".core.errors": (
        "ConfigError",
        "DataError",
        "DeviceError",
        "ImageError",
        "LatentError",
        "NeuralidError",
        "OutputError",
        "TrainingError",
        "WeightsError",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
_RENAMED = {"open": "open_studio"}  # inside, `open` is Python's

__all__ = [
    "ConfigError",
    "CropConfig",
    "DataError",
    "DeviceError",
    "Face",
    "Found",
    "ImageError",
    "Inverted",
    "LatentError",
    "Mixed",
    "NeuralidError",
    "OutputError",
    "Photo",
    "Recipe",
    "Sampled",
    "Studio",
    "TrainOptions",
    "Trained",
    "TrainingError",
    "Upscaled",
    "WeightsError",
    "__version__",
    "find_faces",
    "invert",
    "mix",
    "open",
    "sample",
    "train",
    "upscale",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        found = getattr(import_module(_HOME[name], __name__), _RENAMED.get(name, name))
        globals()[name] = found
        return found
    raise AttributeError(f"module 'neuralid' has no attribute '{name}'")


def __dir__() -> list[str]:
    return list(__all__)
