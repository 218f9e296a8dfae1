"""The verbs as functions. Each opens a studio and calls its method of the same name.

For several calls, keep a studio open: reading the weights takes longer than drawing a face.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Unpack, overload

from ..faces.config import Frame
from ..pictures.photo import Source, as_list
from ..training.runs.known import find_named, read_description
from . import _upscale
from ._framing import find_all
from ._model import Failure, Say, quiet
from ._options import InvertOptions, MixOptions, SampleOptions, UpscaleOptions
from ._people import Inputs
from .results import Found, Inverted, Mixed, Sampled, Upscaled
from .studio import open_studio

Weights = str | Path | None


def sample(
    n: int | None = None,
    *,
    model: Weights = None,
    device: str = "auto",
    on_message: Say = quiet,
    **options: Unpack[SampleOptions],
) -> Sampled:
    """Draw faces of people who do not exist: `Studio.sample`, which has the options.

    ``model``, ``device`` and ``on_message`` are those of `open`.

    >>> import neuralid
    >>> neuralid.sample(seeds=[3, 1]).seeds
    [3, 1]
    """
    return open_studio(model, device=device, on_message=on_message).sample(n, **options)


@overload
def invert(  # type: ignore[overload-overlap]  # text is a sequence of text
    photos: Source,
    *,
    model: Weights = ...,
    device: str = ...,
    on_message: Say = ...,
    **options: Unpack[InvertOptions],
) -> Inverted: ...


@overload
def invert(
    photos: Sequence[Source],
    *,
    model: Weights = ...,
    device: str = ...,
    on_message: Say = ...,
    **options: Unpack[InvertOptions],
) -> list[Inverted]: ...


def invert(
    photos: Source | Sequence[Source],
    *,
    model: Weights = None,
    device: str = "auto",
    on_message: Say = quiet,
    **options: Unpack[InvertOptions],
) -> Inverted | list[Inverted]:
    """Find the latent behind each photo of a face: `Studio.invert`, which has the options.

    ``model``, ``device`` and ``on_message`` are those of `open`.
    """
    studio = open_studio(model, device=device, on_message=on_message)
    return studio.invert(photos, **options)


def mix(
    inputs: Inputs,
    *,
    model: Weights = None,
    device: str = "auto",
    on_message: Say = quiet,
    **options: Unpack[MixOptions],
) -> Mixed:
    """Make one face of two or more: `Studio.mix`, which has the options.

    ``model``, ``device`` and ``on_message`` are those of `open`.
    """
    return open_studio(model, device=device, on_message=on_message).mix(inputs, **options)


def find_faces(
    photos: Source | Sequence[Source],
    *,
    model: Weights = None,
    on_failure: Failure | None = None,
) -> list[Found]:
    """The faces in each photo, left to right: `Studio.find_faces`."""
    frame = read_description(find_named(model)).frame or Frame()
    return find_all(as_list(photos), frame, on_failure)


@overload
def upscale(  # type: ignore[overload-overlap]
    pictures: Source,
    *,
    device: str = ...,
    on_message: Say = ...,
    **options: Unpack[UpscaleOptions],
) -> Upscaled: ...


@overload
def upscale(
    pictures: Sequence[Source],
    *,
    device: str = ...,
    on_message: Say = ...,
    **options: Unpack[UpscaleOptions],
) -> list[Upscaled]: ...


def upscale(
    pictures: Source | Sequence[Source],
    *,
    device: str = "auto",
    on_message: Say = quiet,
    **options: Unpack[UpscaleOptions],
) -> Upscaled | list[Upscaled]:
    """Enlarge pictures: `Studio.upscale`, which has the options. No generator is loaded.

    ``device`` and ``on_message`` are those of `open`.
    """
    return _upscale.upscale(pictures, device=device, on_message=on_message, **options)
