"""``neuralid mix``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import console
from ._options import Align, Device, FaceNumber, ListFaces, ShowCrop, Weights
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
        str, typer.Option(metavar="NAME", help="mean (the paper's) or slerp.")
    ] = "mean",
    strip: Annotated[bool, typer.Option("--strip", help="Draw A, the mix and B.")] = False,
    scale: Annotated[
        float, typer.Option(metavar="X", help="Enlarge the result so many times, 1 to 64.")
    ] = 4.0,
    align: Align = True,
    face: FaceNumber = None,
    faces: ListFaces = False,
    show_crop: ShowCrop = None,
    weights: Weights = None,
    device: Device = "auto",
) -> None:
    """Mix two or more people into one face.

    Inputs are photos, latent files made by invert, or pictures drawn by sample or mix.
    """
    from .. import api
    from ..files import free_name

    if faces:
        list_faces(inputs, weights)
        return
    with console.counting("inverting") as on_step:
        result = api.mix(
            inputs,
            output=output or free_name(Path(), "mix", ".png"),
            weight=weight,
            blend=blend,
            strip=strip,
            scale=scale,
            align=align,
            face=face,
            show_crop=show_crop,
            weights=weights,
            device=device,
            on_message=console.say,
            on_step=on_step,
        )
    print_paths([result.file])
