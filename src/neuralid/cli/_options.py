"""Options that several commands share: their types, names and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE|NAME",
        help="A weights file, or the name of a trained run. Default: those that ship.",
    ),
]
Device = Annotated[
    str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.")
]
Photos = Annotated[
    list[Path], typer.Argument(metavar="PHOTO", help="Photos of faces.", show_default=False)
]
OutDir = Annotated[
    Path | None, typer.Option("--outdir", metavar="DIR", help="Folder to write single files to.")
]
FaceSize = Annotated[
    int | None,
    typer.Option(
        "--face-size",
        metavar="PX",
        help="Side of the square cut out. Default: the paper's for CelebA, else the largest.",
    ),
]
DeltaI = Annotated[int, typer.Option("--delta-i", metavar="PX", help="Move the square down.")]
DeltaJ = Annotated[int, typer.Option("--delta-j", metavar="PX", help="Move the square right.")]
Align = Annotated[
    bool,
    typer.Option(
        "--align/--no-align", help="Find the face and frame it; else the square in the middle."
    ),
]
FaceNumber = Annotated[
    int | None,
    typer.Option("--face", metavar="N", help="Which face, from the left. Default: the largest."),
]
ListFaces = Annotated[bool, typer.Option("--faces", help="List the faces in the photos, and stop.")]
ShowCrop = Annotated[
    Path | None,
    typer.Option("--show-crop", metavar="FILE", help="Picture to write of the frame in the photo."),
]
Rotation = Annotated[
    float, typer.Option("--rotation", metavar="DEG", help="Turn the photo first, anticlockwise.")
]
Fidelity = Annotated[
    str,
    typer.Option(
        "--fidelity",
        metavar="NAME",
        help="fast, balanced, or high, which also tunes the generator a little.",
    ),
]
SaveWeights = Annotated[
    Path | None,
    typer.Option(
        "--save-weights",
        metavar="FILE",
        help="Keep the weights that --fidelity high tunes to the photos.",
    ),
]
