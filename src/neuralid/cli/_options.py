"""Options that several commands share: their types, names and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Weights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|NAME", help="Weights: a file, or a trained run's name; none: those that ship."
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Photos = Annotated[list[Path], typer.Argument(metavar="PHOTO", show_default=False)]
OutDir = Annotated[Path | None, typer.Option("--outdir", help="Folder to write single files to.")]
FaceSize = Annotated[
    int | None,
    typer.Option(help="Side of the square cut out, pixels; none: CelebA's, else the largest."),
]
DeltaI = Annotated[int, typer.Option(help="Move the square down, pixels.")]
DeltaJ = Annotated[int, typer.Option(help="Move the square right, pixels.")]
Align = Annotated[
    bool, typer.Option(help="Find the face and frame it; else the square in the middle.")
]
FaceNumber = Annotated[
    int | None,
    typer.Option("--face", metavar="N", help="Which face, left to right; none: the largest."),
]
ListFaces = Annotated[bool, typer.Option("--faces", help="List the faces in the photos, and stop.")]
ShowCrop = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Picture to write of the frame in the photo.")
]
Rotation = Annotated[float, typer.Option(help="Turn the photo first, degrees anticlockwise.")]
