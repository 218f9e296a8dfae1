"""``neuralid invert``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    Overwrite,
    Photos,
    Rotation,
    SaveWeights,
    ShowCrop,
    Weights,
)
from ._places import Places, check_not_inputs, check_one, check_picture, sibling
from ._show import list_faces, print_paths, save_frames
from ._torch import import_torch
from ._tuned import check_tuned, save_tuned

if TYPE_CHECKING:
    import numpy as np

    from ..api.results import Inverted

PAIR_SUFFIX = ".inverted.png"
LATENT_SUFFIX = ".latent.safetensors"


def invert(
    photos: Photos,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Side-by-side picture, for one photo.",
            readable=False,
        ),
    ] = None,
    outdir: OutDir = None,
    fidelity: Fidelity = InvertConfig.fidelity,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", metavar="N", help="Evaluations per photo. Default: set by --fidelity."
        ),
    ] = None,
    prior: Annotated[
        float,
        typer.Option("--prior", metavar="X", help="Favour short latents; 0 is as in the paper."),
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
        bool, typer.Option("--json", help="Print figures and files as JSON, one line per photo.")
    ] = False,
    save_weights: SaveWeights = None,
    overwrite: Overwrite = False,
    model: Weights = None,
    device: Device = "auto",
) -> None:
    """Find the latent vector behind each photo of a face.

    Writes NAME.latent.safetensors and a picture of the photo beside its reconstruction, to
    the current folder unless -o or --outdir is given. The face is found and framed
    automatically; the four options from --face-size to --rotation frame it by hand.
    """
    if faces:
        list_faces(photos, model)
        return
    check_one(output, outdir, len(photos))
    places = _places(photos, output, outdir)
    check_picture(show_crop)
    outputs = [path for both in places.values() for path in both]
    check_not_inputs([*outputs, show_crop, save_weights], [*photos, model], overwrite)
    import_torch()
    from ..api._framing import Framing
    from ..api.studio import open_studio

    # All that can be known to be wrong before weights are read.
    InvertConfig(fidelity, steps, prior=prior)
    Framing(CropConfig(face_size, delta_i, delta_j, rotation), align, face)
    failures = console.Failures()
    studio = open_studio(model, device=device, on_message=console.say)
    check_tuned(studio, save_weights, fidelity)
    results = _Results(places, json_, failures)
    # Tuned together, photos are done when all are, and their results belong to the tuned weights.
    with console.counting("inverting") as on_step:
        found = studio.invert(
            photos,
            fidelity=fidelity,
            steps=steps,
            prior=prior,
            face_size=face_size,
            delta_i=delta_i,
            delta_j=delta_j,
            rotation=rotation,
            align=align,
            face=face,
            show_crop=show_crop is not None,
            together=save_weights is not None,
            on_step=on_step,
            on_failure=failures,
            on_result=results.keep if save_weights is None else None,
            keep_results=save_weights is not None,
        )
    if found and save_weights is not None:  # otherwise every photo failed, and was reported
        saved = save_tuned(found[0].model, save_weights)
        for item in found:
            results.keep(replace(item, model=saved))
    save_frames(show_crop, results.frames)
    failures.exit_if_any(len(photos))


def _places(
    photos: Sequence[Path], output: Path | None, outdir: Path | None
) -> dict[str, tuple[Path, Path]]:
    """For each photo, the paths of its picture and its latent file."""
    if output is not None:
        check_picture(output)
        return {str(photos[0]): (output, output.with_suffix(LATENT_SUFFIX))}
    folder, places = Places(outdir), {}
    for photo in dict.fromkeys(photos):
        picture = folder.place(photo.stem, PAIR_SUFFIX, beside=LATENT_SUFFIX)
        places[str(photo)] = (picture, sibling(picture, PAIR_SUFFIX, LATENT_SUFFIX))
    return places


@dataclass
class _Results:
    """Writes each result and prints its paths; keeps the pictures of the crops."""

    places: dict[str, tuple[Path, Path]]
    as_json: bool
    failures: console.Failures
    frames: list[np.ndarray | None] = field(default_factory=list)

    def keep(self, item: Inverted) -> None:
        self.frames.append(item.frame)
        self.failures.attempt(item.name, lambda: self._write(item))

    def _write(self, item: Inverted) -> None:
        picture, file = self.places[item.name]
        console.say(f"{item.name}: {item.psnr:.1f} dB, {item.seconds:.2f} s")
        files = []
        for path in (file, picture):
            files.append(str(item.save(path)))
            if not self.as_json:
                print_paths([path])
        if self.as_json:
            console.print_line(json.dumps({**item.to_dict(), "files": files}))
