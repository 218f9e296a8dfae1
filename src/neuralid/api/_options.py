"""Types of the keywords of `Studio`'s methods, for functions that pass them on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

from ._model import Failure, Report
from ._people import Input, Inputs, Shares
from ._sample import Seeds
from ._upscale import Size
from .results import Inverted


class SampleOptions(TypedDict, total=False):
    """The keywords of `Studio.sample`."""

    seed: int | None
    seeds: Seeds | None
    latents: Inputs | None
    trunc: float | None
    scale: float
    precision: str
    on_step: Report | None


class InvertOptions(TypedDict, total=False):
    """The keywords of `Studio.invert`."""

    fidelity: str
    steps: int | None
    prior: float
    face_size: int | None
    delta_i: int
    delta_j: int
    rotation: float
    align: bool
    face: int | None
    show_crop: bool
    together: bool
    on_step: Report | None
    on_failure: Failure | None
    on_result: Callable[[Inverted], None] | None
    keep_results: bool


class MixOptions(TypedDict, total=False):
    """The keywords of `Studio.mix`."""

    weights: Shares | None
    blend: str
    style: Input | int | None
    attributes: Mapping[str, float] | None
    strip: int | None
    matrix: int | None
    frames: int | None
    keep: Input | int | None
    html: bool
    scale: float
    face_size: int | None
    delta_i: int
    delta_j: int
    rotation: float
    align: bool
    face: int | None
    show_crop: bool
    fidelity: str
    on_step: Report | None
    on_face: Report | None


class UpscaleOptions(TypedDict, total=False):
    """The keywords of `Studio.upscale`."""

    scale: float | None
    size: Size | None
    method: str | None
    filters: str | Sequence[str]
    consistent: bool
    compare: bool
    on_step: Report | None
    on_failure: Failure | None
