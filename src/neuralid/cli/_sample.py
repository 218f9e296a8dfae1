"""``neuralid sample``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import console
from ..core.checks import check_range
from ..core.files import check_folder, free_name, make_folder
from ._options import Device, OutDir, Weights
from ._places import check_one, check_picture
from ._show import print_paths
from ._torch import import_torch
from ._writing import Writer

if TYPE_CHECKING:
    from ..api.studio import Studio

FEW, FEW_PIXELS = 8, 50e6  # the most faces of single files drawn at a time, and their pixels
MOST_WAITING = 64  # to be written


def sample(
    n: Annotated[
        int | None, typer.Option("-n", "--num", metavar="N", help="Number of faces. Default: 16.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Picture of all faces in a grid.",
            readable=False,
        ),
    ] = None,
    outdir: OutDir = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="Seed of the first face. Default: random."),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", metavar="0,1,4-6", help="One seed per face, instead of -n."),
    ] = None,
    trunc: Annotated[
        float | None,
        typer.Option(
            "--trunc",
            metavar="X",
            help="0 to 10; less gives more average faces. Default: 1, for style weights 0.7.",
        ),
    ] = None,
    scale: Annotated[
        float, typer.Option("--scale", metavar="X", help="Enlarge the faces X times, 1 to 64.")
    ] = 1.0,
    model: Weights = None,
    device: Device = "auto",
) -> None:
    """Draw faces of people who do not exist.

    The same seed gives the same face. Without -o or --outdir a grid is written to the
    current folder, under a name that is not taken.
    """
    check_one(output, outdir)
    if output is None and outdir is None:
        output = free_name(Path(), "faces", ".png")
    check_picture(output)
    if outdir is not None:
        check_folder(make_folder(outdir))
    import_torch()
    from ..api._sample import choose_seeds
    from ..api.results import check_grid
    from ..api.studio import open_studio

    check_range("scale", scale, 1, 64)
    check_range("trunc", 1 if trunc is None else trunc, 0, 10)
    chosen = choose_seeds(n, seed, seeds, console.say)
    studio = open_studio(model, device=device, on_message=console.say)
    with console.counting("drawing") as on_step:
        if output is None:
            _draw_each(studio, chosen, outdir or Path(), trunc=trunc, scale=scale, on_step=on_step)
            return
        check_grid(len(chosen), studio.size, scale)
        drawn = studio.sample(seeds=chosen, trunc=trunc, scale=scale, on_step=on_step)
    print_paths([drawn.save(output)])


def _draw_each(
    studio: Studio,
    seeds: Sequence[int],
    outdir: Path,
    *,
    trunc: float | None,
    scale: float,
    on_step: Callable[[int, int], None],
) -> None:
    """Draw a few faces at a time; they are written while the next ones are drawn."""
    failures = console.Failures()
    fit = max(1, round(FEW_PIXELS / (studio.size * scale) ** 2))
    few = min(FEW, fit)
    with Writer(failures, min(MOST_WAITING, fit)) as writer:
        for start in range(0, len(seeds), few):
            for face in studio.sample(seeds=seeds[start : start + few], trunc=trunc, scale=scale):
                writer.save(face, outdir / f"seed{face.seed:04d}.png")
            on_step(min(start + few, len(seeds)), len(seeds))
    failures.exit_if_any(len(seeds))
