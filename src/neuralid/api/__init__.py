"""The verbs, as functions: the only place that knows the order of the stages."""

from .invert import Inverted, invert
from .mix import Mixed, mix
from .sample import Sampled, sample
from .train import Trained, train
from .upscale import upscale

__all__ = [
    "Inverted",
    "Mixed",
    "Sampled",
    "Trained",
    "invert",
    "mix",
    "sample",
    "train",
    "upscale",
]
