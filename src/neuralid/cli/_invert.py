"""``neuralid invert``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .. import console
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
    OutDir,
    Photos,
    Rotation,
    SaveWeights,
    ShowCrop,
    Weights,
)
from ._show import list_faces, print_paths


def invert(
    photos: Photos,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Side-by-side picture of one photo."),
    ] = None,
    outdir: OutDir = None,
    fidelity: Fidelity = InvertConfig.fidelity,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="Evaluations of the generator a photo, if not its own."),
    ] = None,
    prior: Annotated[
        float, typer.Option(metavar="X", help="Hold latents short; 0: the paper's objective.")
    ] = InvertConfig.prior,
    face_size: FaceSize = None,
    delta_i: DeltaI = CropConfig.delta_i,
    delta_j: DeltaJ = CropConfig.delta_j,
    rotation: Rotation = CropConfig.rotation,
    align: Align = True,
    face: FaceNumber = None,
    faces: ListFaces = False,
    show_crop: ShowCrop = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print figures and files as JSON, a line each photo.")
    ] = False,
    save_weights: SaveWeights = None,
    weights: Weights = None,
    device: Device = "auto",
) -> None:
    """Find the latent vector behind each photo of a face.

    Writes NAME.latent.safetensors and a picture of the photo beside its reconstruction,
    here unless -o or --outdir says where. The face is found and framed by itself; the four
    numbers from --face-size to --rotation, if given, frame it by hand.
    """
    from .. import api

    if faces:
        list_faces(photos, weights)
        return
    named = output is not None or outdir is not None
    failures = console.Failures()
    with console.counting("inverting") as on_step:
        found = api.invert(
            photos,
            output=output,
            outdir=outdir if named else Path(),
            overwrite=named,
            fidelity=fidelity,
            steps=steps,
            prior=prior,
            face_size=face_size,
            delta_i=delta_i,
            delta_j=delta_j,
            rotation=rotation,
            align=align,
            face=face,
            show_crop=show_crop,
            save_weights=save_weights,
            weights=weights,
            device=device,
            on_message=console.say,
            on_step=on_step,
            on_failure=failures,
        )
    for item in found:
        console.say(f"{item.photo}: {item.psnr:.1f} dB, {item.seconds:.2f} s")
        if json_:
            typer.echo(json.dumps(item.to_dict()))
        else:
            print_paths(item.files)
    failures.exit_if_any(len(photos))
