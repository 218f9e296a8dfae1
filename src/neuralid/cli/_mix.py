"""``neuralid mix``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import console
from ..core.errors import ConfigError
from ..latents.config import InvertConfig
from ._options import (
    Align,
    Device,
    FaceNumber,
    Fidelity,
    ListFaces,
    SaveWeights,
    ShowCrop,
    Weights,
)
from ._show import list_faces, print_paths


def mix(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT", help="Photos, latent files, drawn pictures.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Picture to write. Default: mix.png here."
        ),
    ] = None,
    weight: Annotated[
        list[float] | None,
        typer.Option(
            "-w",
            "--weight",
            metavar="X",
            help="Share of an input, once for each; for two, B's alone, 0 to 1.",
        ),
    ] = None,
    blend: Annotated[
        str, typer.Option(metavar="NAME", help="rescaled, mean (the paper's) or slerp.")
    ] = "rescaled",
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=X",
            help="Move along a direction, in standard deviations of the training faces: age=+1.5.",
        ),
    ] = None,
    strip: Annotated[
        int | None, typer.Option(metavar="N", help="Draw N faces on the way from A to B.")
    ] = None,
    matrix: Annotated[
        int | None,
        typer.Option(metavar="N", help="Cross the first N people, in rows, with the others."),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(metavar="N", help="Make a film of N frames; -o is .gif, .webp or .mp4."),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="A", help="Put the mixed face back into this photo.")
    ] = None,
    scale: Annotated[
        float, typer.Option(metavar="X", help="Enlarge the result so many times, 1 to 64.")
    ] = 4.0,
    align: Align = True,
    face: FaceNumber = None,
    faces: ListFaces = False,
    show_crop: ShowCrop = None,
    fidelity: Fidelity = InvertConfig.fidelity,
    save_weights: SaveWeights = None,
    weights: Weights = None,
    device: Device = "auto",
) -> None:
    """Mix two or more people into one face.

    Inputs are photos, latent files made by invert, or pictures drawn by sample or mix.
    """
    from .. import api
    from ..core.files import free_name

    if faces:
        list_faces(inputs, weights)
        return
    with console.counting("inverting") as on_step:
        result = api.mix(
            inputs,
            output=output or free_name(Path(), "mix", ".png" if frames is None else ".gif"),
            weight=weight,
            blend=blend,
            attribute=_attributes(attribute or []),
            strip=strip,
            matrix=matrix,
            frames=frames,
            keep=keep,
            scale=scale,
            align=align,
            face=face,
            show_crop=show_crop,
            fidelity=fidelity,
            save_weights=save_weights,
            weights=weights,
            device=device,
            on_message=console.say,
            on_step=on_step,
        )
    print_paths([result.file])


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
