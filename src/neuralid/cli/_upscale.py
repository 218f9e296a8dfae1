"""``neuralid upscale``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import console
from ._options import OutDir
from ._show import print_paths

METHODS = "nearest, linear, area, cubic, lanczos, fourier, dcci, scale2x or scale3x."


def upscale(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="PICTURE", help="Pictures to enlarge.", show_default=False),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="File to write, for one picture."),
    ] = None,
    outdir: OutDir = None,
    scale: Annotated[
        float, typer.Option("-s", "--scale", metavar="X", help="Times as large, 1 to 64.")
    ] = 4.0,
    method: Annotated[str, typer.Option(metavar="NAME", help=METHODS)] = "cubic",
    sharpen: Annotated[
        float, typer.Option(metavar="X", help="Amount of sharpening, 0 to 5.")
    ] = 0.5,
) -> None:
    """Enlarge pictures.

    Without -o or --outdir, NAME_x4 with the same suffix is written here, under a name that
    is not taken.
    """
    from .. import api

    failures = console.Failures()
    with console.counting("enlarging") as on_step:
        written = api.upscale(
            inputs,
            output=output,
            outdir=outdir,
            scale=scale,
            method=method,
            sharpen=sharpen,
            on_step=on_step,
            on_failure=failures,
        )
    print_paths(written)
    failures.exit_if_any(len(inputs))
