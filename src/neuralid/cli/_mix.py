"""``neuralid mix``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import console
from ..core.errors import ConfigError
from ..core.files import free_name
from ..faces.config import CropConfig
from ..latents.config import InvertConfig
from ._options import (
    Align,
    DeltaI,
    DeltaJ,
    Device,
    FaceNumber,
    FaceSize,
    Fidelity,
    ListFaces,
    Overwrite,
    Rotation,
    SaveWeights,
    ShowCrop,
    Weights,
)
from ._places import check_film, check_not_inputs, check_picture, check_sides
from ._show import list_faces, print_paths, save_frames
from ._torch import import_torch
from ._tuned import check_tuned, save_tuned

if TYPE_CHECKING:
    from ..api.results import Mixed


def mix(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT",
            help="Photos, latent files or drawn pictures.",
            show_default=False,
            readable=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Picture to write. Default: mix.png.",
            readable=False,
        ),
    ] = None,
    weights: Annotated[
        list[float] | None,
        typer.Option(
            "-w",
            "--weight",
            metavar="X",
            help="Share of each input, in order; for two, B's alone, 0 to 1.",
        ),
    ] = None,
    blend: Annotated[
        str | None,
        typer.Option(
            "--blend",
            metavar="NAME",
            help="mean (the paper's), rescaled or slerp. Default: mean, for faces-56 rescaled.",
        ),
    ] = None,
    style: Annotated[
        Path | None,
        typer.Option(
            "--style",
            metavar="A",
            help="Take colours and skin from this input alone (weights of the style architecture).",
            readable=False,
        ),
    ] = None,
    attributes: Annotated[
        list[str] | None,
        typer.Option(
            "--attribute",
            metavar="NAME=X",
            help="Change an attribute by X standard deviations, as in age=+1.5.",
        ),
    ] = None,
    strip: Annotated[
        int | None,
        typer.Option("--strip", metavar="N", help="Draw N faces on the way from A to B."),
    ] = None,
    matrix: Annotated[
        int | None,
        typer.Option(
            "--matrix", metavar="N", help="Cross the first N people (rows) with the rest."
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option("--frames", metavar="N", help="Make a film of N frames: .gif, .webp or .mp4."),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            metavar="A",
            help="Put the mixed face back into this photo.",
            readable=False,
        ),
    ] = None,
    scale: Annotated[
        float, typer.Option("--scale", metavar="X", help="Enlarge the result X times, 1 to 64.")
    ] = 4.0,
    face_size: FaceSize = None,
    delta_i: DeltaI = CropConfig.delta_i,
    delta_j: DeltaJ = CropConfig.delta_j,
    rotation: Rotation = CropConfig.rotation,
    align: Align = True,
    face: FaceNumber = None,
    faces: ListFaces = False,
    show_crop: ShowCrop = None,
    fidelity: Fidelity = InvertConfig.fidelity,
    save_weights: SaveWeights = None,
    overwrite: Overwrite = False,
    model: Weights = None,
    device: Device = "auto",
) -> None:
    """Mix two or more people into one face.

    Inputs are photos, latent files from invert, or pictures drawn by sample or mix. The four
    options from --face-size to --rotation frame by hand, if there is one photo among them.
    """
    if faces:
        list_faces(inputs, model)
        return
    moves = _attributes(attributes or [])
    import_torch()
    from ..api._framing import Framing
    from ..api._mix import Blending, Layout, check_request
    from ..api.studio import open_studio

    # All that can be known to be wrong before weights are read.
    InvertConfig(fidelity)
    Framing(CropConfig(face_size, delta_i, delta_j, rotation), align, face)
    layout = Layout(strip, matrix, frames, keep)
    blending = Blending(weights or None, blend, moves, style)
    check_request(inputs, layout, blending, scale)
    place = _place(output, frames is not None)
    check_picture(show_crop)
    check_not_inputs([place, show_crop, save_weights], [*inputs, model], overwrite)
    studio = open_studio(model, device=device, on_message=console.say)
    check_tuned(studio, save_weights, fidelity)
    check_sides(place, layout.sides(len(inputs), round(studio.size * scale)), keep)
    with console.counting("inverting") as on_step:
        result = studio.mix(
            inputs,
            weights=weights or None,
            blend=blend,
            style=style,
            attributes=moves,
            strip=strip,
            matrix=matrix,
            frames=frames,
            keep=keep,
            scale=scale,
            face_size=face_size,
            delta_i=delta_i,
            delta_j=delta_j,
            rotation=rotation,
            align=align,
            face=face,
            show_crop=show_crop is not None,
            fidelity=fidelity,
            on_step=on_step,
        )
    _save(result, place, show_crop, save_weights)


def _place(output: Path | None, is_film: bool) -> Path:
    """The path of the result. Raises now if it cannot be written."""
    place = output or free_name(Path(), "mix", ".gif" if is_film else ".png")
    (check_film if is_film else check_picture)(place)
    return place


def _save(result: Mixed, place: Path, show_crop: Path | None, save_weights: Path | None) -> None:
    """Write the result and what was asked for beside it, and print its path."""
    save_frames(show_crop, [result.frame])
    if save_weights is not None:
        result = replace(result, model=save_tuned(result.model, save_weights))
    print_paths([result.save(place)])
    if result.frames is None and place.suffix.lower() != ".png":
        console.say(f"{place}: only PNG keeps the recipe and the latent")


def _attributes(given: list[str]) -> dict[str, float]:
    """``["age=+1.5"]`` -> ``{"age": 1.5}``."""
    moves = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            moves[name.strip().lower()] = float(value)
        except ValueError as error:
            raise ConfigError(
                f"'{text}' is not an attribute and a number", hint="write it as age=+1.5"
            ) from error
    return moves
