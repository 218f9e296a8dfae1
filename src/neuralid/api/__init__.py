"""The verbs, as functions: the only place that knows the order of the stages."""

from ..training.session.session import Trained
from ._framing import Found, find_faces
from ._invert import Inverted, invert
from ._mix import Mixed, mix
from ._sample import Sampled, sample
from ._train import train
from ._upscale import upscale

__all__ = [
    "Found",
    "Inverted",
    "Mixed",
    "Sampled",
    "Trained",
    "find_faces",
    "invert",
    "mix",
    "sample",
    "train",
    "upscale",
]
