"""The names of methods and filters, with a line of help each. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

# Ways of enlarging, with a line for the help and the documentation; `upscaling` has the functions.
METHODS = {
    "face": "a network trained on faces",
    "face-sharp": "the same, taught to look sharp",
    "cubic": "bicubic interpolation, the paper's choice",
    "lanczos": "Lanczos interpolation over 8x8 pixels",
    "linear": "bilinear interpolation",
    "nearest": "the nearest pixel",
    "area": "box sampling",
    "fourier": "the spectrum padded with zeros, borders mirrored",
    "dcci": "directional cubic convolution, along edges",
    "scale2x": "for drawings of few colours, by twos",
    "scale3x": "for drawings of few colours, by threes",
    "hqx": "for drawings, with soft edges; needs the package av",
}
# Of these, what runs on the device chosen; the others need the CPU only.
ACCELERATED = ("face", "face-sharp")
DEFAULT_METHOD = "face"
LARGEST_SCALE = 64


@dataclass(frozen=True)
class FilterInfo:
    """A filter after the enlargement: a line of help, its usual amount and its largest."""

    summary: str
    usual: float | None  # None: takes no amount
    most: float = 1.0


FILTERS = {
    "unsharp": FilterInfo("steeper edges, without halos", 0.5, 5.0),
    "bilateral": FilterInfo("smooths what differs little from its surroundings", 0.5),
    "denoise": FilterInfo("takes away the noise measured in the picture", 1.0),
    "edge": FilterInfo("smooths texture and keeps edges", 0.5),
    "contrast": FilterInfo("stretches the range from dark to light", 0.5),
    "auto": FilterInfo("picks from these what the picture needs, often nothing", None),
}
