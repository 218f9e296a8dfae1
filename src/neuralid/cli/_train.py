"""``neuralid train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import console
from ..faces.config import CropConfig
from ..models.config import ModelConfig
from ..models.recipe import RECIPES
from ..training.config import TrainConfig
from ._options import (
    DeltaI,
    DeltaJ,
    Device,
    FaceSize,
    Rotation,
)


def train(
    ctx: typer.Context,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR|ZIP", help="Folder or zip of face pictures.")
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder in which runs get folders.")
    ] = Path("runs"),
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the run and its weights. Default: the data's."),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Terms of the data, kept with the weights.")
    ] = None,
    attributes: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|utkface",
            help="Find directions: a list like CelebA's, or UTKFace's file names.",
        ),
    ] = None,
    size: Annotated[int, typer.Option(metavar="PX", help="Side of a face: 28, 56 or 112.")] = (
        ModelConfig.size
    ),
    latent_size: Annotated[int, typer.Option(metavar="N", help="Numbers in a latent vector.")] = (
        ModelConfig.latent_size
    ),
    kimg: Annotated[
        float, typer.Option(metavar="X", help="Thousands of pictures to show.")
    ] = TrainConfig.kimg,
    batch: Annotated[int, typer.Option(metavar="N", help="Pictures a step.")] = TrainConfig.batch,
    micro_batch: Annotated[
        int | None,
        typer.Option(metavar="N", help="Pictures of them at once, to save memory. Default: all."),
    ] = None,
    recipe: Annotated[
        str, typer.Option(metavar="NAME", help=f"{' or '.join(RECIPES)}.")
    ] = "stable",
    face_size: FaceSize = None,
    delta_i: DeltaI = CropConfig.delta_i,
    delta_j: DeltaJ = CropConfig.delta_j,
    rotation: Rotation = CropConfig.rotation,
    align: Annotated[
        bool, typer.Option("--align", help="Find each picture's face and frame it by its eyes.")
    ] = False,
    mirror: Annotated[
        bool, typer.Option("--mirror/--no-mirror", help="Show half of the pictures flipped.")
    ] = TrainConfig.mirror,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN|latest", help="Go on with a run.")
    ] = None,
    snapshot: Annotated[
        float, typer.Option(metavar="X", help="Thousands of pictures between snapshots.")
    ] = TrainConfig.snapshot,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed of everything random.")
    ] = TrainConfig.seed,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="How many read pictures. Default: one a core."),
    ] = None,
    max_images: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Use only the first so many pictures.")
    ] = None,
    device: Device = "auto",
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="auto, fp32 or bf16.")
    ] = TrainConfig.precision,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write TensorBoard event files into the run.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-N", help="Check options and data, then stop.")
    ] = False,
) -> None:
    """Train a generator on a folder or zip of faces.

    Prints the path of the weights. Ctrl-C saves and stops; --resume goes on.
    """
    from .. import api
    from ..core.device import use_threads_of_others

    everything = {k: v for k, v in locals().items() if k in ctx.params}
    options = {k: v for k, v in everything.items() if _is_given(ctx, k)}
    first = console.is_first_process()
    with (
        console.stop_signals() as should_stop,
        console.training() as (on_load, on_step, on_encoder),
    ):
        result = api.train(
            **options,
            on_load=on_load,
            on_step=on_step,
            on_encoder=on_encoder,
            on_message=console.say,
            on_alone=use_threads_of_others,
            should_stop=should_stop,
        )
    if result.weights is not None and first:
        typer.echo(result.weights)
    if not result.finished:
        console.say(f"stopped; go on with --resume {result.run}")
        raise typer.Exit(130)


def _is_given(ctx: typer.Context, name: str) -> bool:
    """Whether an option was written by the user; on resume the others are the run's own."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"
