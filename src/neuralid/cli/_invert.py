"""``neuralid invert``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import console
from ..faces.config import CropConfig
from ..latents.config import InvertConfig
from . import _progress as progress
from ._common import command, open_weights
from ._options import (
    Align,
    AsJson,
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
from ._piped import DASH, name_of, save_to_stdout, stem_of, with_stdin
from ._places import Places, all_pictures, check_framing, check_not_inputs, check_picture, sibling
from ._show import list_faces, print_result, save_frames
from ._torch import import_torch
from ._tuned import check_tuned, save_tuned

if TYPE_CHECKING:
    import numpy as np

    from ..api.results import Inverted

PAIR_SUFFIX = ".inverted.png"
LATENT_SUFFIX = ".latent.safetensors"


@command
def invert(
    photos: Photos,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Side-by-side picture, for one photo; - for stdout.",
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
    json_: AsJson = False,
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
        list_faces(photos, model, json_)
        return
    photos = all_pictures(photos, output, outdir, json_)
    places = _places(photos, output, outdir)
    check_picture(show_crop)
    outputs = [path for both in places.values() for path in both]
    check_not_inputs([*outputs, show_crop, save_weights], [*photos, model], overwrite)
    import_torch()

    # All that can be known to be wrong before weights are read.
    InvertConfig(fidelity, steps, prior=prior)
    check_framing((face_size, delta_i, delta_j, rotation), align, face)
    failures = console.Failures()
    studio = open_weights(model, device, console.say)
    check_tuned(studio, save_weights, fidelity)
    results = _Results(places, json_, failures)
    # Tuned together, photos are done when all are, and their results belong to the tuned weights.
    with progress.counting("inverting", "steps") as on_step:
        found = studio.invert(
            with_stdin(photos),
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
    """For each photo, the paths of its picture and its latent file; none for stdout."""
    if output == DASH:
        return {}
    if output is not None:
        check_picture(output)
        return {name_of(photos[0]): (output, output.with_suffix(LATENT_SUFFIX))}
    folder, places = Places(outdir), {}
    for photo in dict.fromkeys(photos):
        picture = folder.place(stem_of(photo), PAIR_SUFFIX, beside=LATENT_SUFFIX)
        places[name_of(photo)] = (picture, sibling(picture, PAIR_SUFFIX, LATENT_SUFFIX))
    return places


@dataclass
class _Results:
    """Writes each result and prints its paths; keeps the pictures of the crops."""

    places: dict[str, tuple[Path, Path]]  # none: the picture goes to stdout
    as_json: bool
    failures: console.Failures
    frames: list[np.ndarray | None] = field(default_factory=list)

    def keep(self, item: Inverted) -> None:
        self.frames.append(item.frame)
        self.failures.attempt(item.name, lambda: self._write(item))

    def _write(self, item: Inverted) -> None:
        console.say(f"{item.name}: {item.psnr:.1f} dB, {item.seconds:.2f} s")
        if not self.places:
            save_to_stdout(item)  # which carries the latent
            return
        picture, file = self.places[item.name]
        if self.as_json:
            files = [item.save(file), item.save(picture)]
            print_result(files, item.to_dict())
            return
        for path in (file, picture):  # each is printed as soon as it is there
            print_result([item.save(path)])
