"""Options shared by several commands: their types, names and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE|NAME|RUN",
        help="Weights file, name, or a run's folder; --list-weights has all. Default: faces-112.",
    ),
]
Device = Annotated[
    str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.")
]
# ``readable=False``, for outputs too: the program looks at files itself. Typer would refuse all of
# them for one that is unreadable.
Photos = Annotated[
    list[Path],
    typer.Argument(
        metavar="PHOTO",
        help="Photos of faces, folders of them, or - for stdin.",
        show_default=False,
        readable=False,
    ),
]
OutDir = Annotated[
    Path | None,
    typer.Option("--outdir", metavar="DIR", help="Folder for single files.", readable=False),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print a line of JSON for each result, instead of paths.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Let a result replace one of the inputs.")
]
FaceSize = Annotated[
    int | None,
    typer.Option(
        "--face-size",
        metavar="PX",
        help="Side of the square. Default: the paper's for CelebA, else the largest.",
    ),
]
DeltaI = Annotated[int, typer.Option("--delta-i", metavar="PX", help="Move the square down.")]
DeltaJ = Annotated[int, typer.Option("--delta-j", metavar="PX", help="Move the square right.")]
Align = Annotated[
    bool,
    typer.Option("--align/--no-align", help="Find and frame the face; if not, cut the middle."),
]
FaceNumber = Annotated[
    int | None,
    typer.Option(
        "--face", metavar="N", help="Which face, from the left. Default: the most prominent."
    ),
]
ListFaces = Annotated[bool, typer.Option("--faces", help="List the faces in the photos and exit.")]
ShowCrop = Annotated[
    Path | None,
    typer.Option(
        "--show-crop",
        metavar="FILE",
        help="Save a picture of the crop in the photo.",
        readable=False,
    ),
]
Rotation = Annotated[
    float, typer.Option("--rotation", metavar="DEG", help="Rotate the photo first, anticlockwise.")
]
Fidelity = Annotated[
    str,
    typer.Option(
        "--fidelity",
        metavar="NAME",
        help="fast, balanced or high. high tunes the generator; balanced does for style weights.",
    ),
]
SaveWeights = Annotated[
    Path | None,
    typer.Option(
        "--save-weights",
        metavar="FILE",
        help="Save the weights tuned to the photos.",
        readable=False,
    ),
]
