"""``neuralid sample``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import console
from ._options import Device, OutDir, Weights
from ._show import print_paths


def sample(
    n: Annotated[
        int | None, typer.Option("-n", "--num", metavar="N", help="How many faces; 16 if not said.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Picture of all faces in a grid."),
    ] = None,
    outdir: OutDir = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of the first face. Default: random.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="0,1,4-6", help="Seed of each face, instead of -n.")
    ] = None,
    trunc: Annotated[
        float, typer.Option(metavar="X", help="0 to 10; below 1: more average faces.")
    ] = 1.0,
    scale: Annotated[
        float, typer.Option(metavar="X", help="Enlarge the faces so many times, 1 to 64.")
    ] = 1.0,
    weights: Weights = None,
    device: Device = "auto",
) -> None:
    """Draw faces of people who do not exist.

    The same seed gives the same face. Without -o or --outdir a grid is written here,
    under a name that is not taken.
    """
    from .. import api
    from ..core.files import free_name

    if output is None and outdir is None:
        output = free_name(Path(), "faces", ".png")
    with console.counting("drawing") as on_step:
        result = api.sample(
            n,
            output=output,
            outdir=outdir,
            seed=seed,
            seeds=seeds,
            trunc=trunc,
            scale=scale,
            weights=weights,
            device=device,
            on_message=console.say,
            on_step=on_step,
        )
    print_paths(result.files)
