"""``neuralid upscale``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import console
from ..upscaling.config import DEFAULT_METHOD, FILTERS, METHODS
from ._options import Device, OutDir
from ._show import print_paths

METHOD_HELP = "; ".join(f"**{name}**, {info.summary}" for name, info in METHODS.items())
FILTER_HELP = "; ".join(
    f"**{name}**, {info.summary}"
    + ("" if info.usual is None else f" ({info.usual:g}, 0 to {info.most:g})")
    for name, info in FILTERS.items()
)


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
        float | None,
        typer.Option("-s", "--scale", metavar="X", help="Times as large, 1 to 64. Default: 4."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WxH", help="As large as fits inside, pixels; 512 means 512x512. Not with -s."
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"Default: {DEFAULT_METHOD}. {METHOD_HELP}."),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="NAME[=X]",
            help="Done to the result, in the order given (X left out, and its range, in brackets): "
            f"{FILTER_HELP}.",
        ),
    ] = None,
    consistent: Annotated[
        bool,
        typer.Option(
            "--consistent", help="Correct the result: shrunk by averaging it is the picture again."
        ),
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Write a sheet of all methods, with a detail of each.")
    ] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Pass over pictures whose result is there.")
    ] = False,
    device: Device = "auto",
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
            size=size,
            method=method,
            filters=filters or (),
            consistent=consistent,
            compare=compare,
            skip_existing=skip_existing,
            device=device,
            on_message=console.say,
            on_step=on_step,
            on_failure=failures,
        )
    print_paths(written)
    failures.exit_if_any(len(inputs))
