"""The command line: read options, call ``api``, say what was written. No maths here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from . import __version__, console
from .config import RECIPES, CropConfig, InvertConfig, ModelConfig, TrainConfig
from .options import DeltaI, DeltaJ, Device, FaceSize, OutDir, Photos, Rotation, Weights

app = typer.Typer(
    cls=console.OneLineErrors,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    traceback: Annotated[bool, typer.Option("--traceback", help="Show the full error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Make face identities on your own machine."""


@app.command()
def train(
    ctx: typer.Context,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR|ZIP", help="Folder or zip of face pictures.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder in which runs get folders.")] = Path("runs"),
    name: Annotated[
        str | None, typer.Option(help="Name of the run and its weights; none: the data's.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Terms of the data, kept with the weights.")
    ] = None,
    size: Annotated[int, typer.Option(help="Side of a face, pixels: 28, 56 or 112.")] = (
        ModelConfig.size
    ),
    latent_size: Annotated[int, typer.Option(help="Numbers in a latent vector.")] = (
        ModelConfig.latent_size
    ),
    kimg: Annotated[float, typer.Option(help="Thousands of pictures to show.")] = TrainConfig.kimg,
    batch: Annotated[int, typer.Option(help="Pictures a step.")] = TrainConfig.batch,
    recipe: Annotated[str, typer.Option(help=f"{' or '.join(RECIPES)}.")] = "stable",
    face_size: FaceSize = None,
    delta_i: DeltaI = CropConfig.delta_i,
    delta_j: DeltaJ = CropConfig.delta_j,
    rotation: Rotation = CropConfig.rotation,
    mirror: Annotated[
        bool, typer.Option("--mirror/--no-mirror", help="Show half of the pictures flipped.")
    ] = TrainConfig.mirror,
    resume: Annotated[
        str | None, typer.Option(metavar="RUN|latest", help="Go on with a run.")
    ] = None,
    snapshot: Annotated[
        float, typer.Option(metavar="KIMG", help="Thousands of pictures between snapshots.")
    ] = TrainConfig.snapshot,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = TrainConfig.seed,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that read pictures; none: one a core.")
    ] = None,
    max_images: Annotated[
        int | None, typer.Option(min=1, help="Use only the first so many pictures.")
    ] = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16.")] = TrainConfig.precision,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-N", help="Check options and data, then stop.")
    ] = False,
) -> None:
    """Train a generator on a folder or zip of faces.

    Prints the path of the weights. Ctrl-C saves and stops; --resume goes on.
    """
    from . import api

    everything = {k: v for k, v in locals().items() if k not in ("ctx", "api")}
    options = {k: v for k, v in everything.items() if _is_given(ctx, k)}
    with (
        console.stop_signals() as should_stop,
        console.training() as (on_load, on_step),
    ):
        result = api.train(
            **options,
            on_load=on_load,
            on_step=on_step,
            on_message=console.say,
            should_stop=should_stop,
        )
    if result.weights is not None:
        typer.echo(result.weights)
    if not result.finished:
        console.say("stopped; go on with --resume latest")
        raise typer.Exit(130)


@app.command()
def sample(
    n: Annotated[int, typer.Option("-n", "--num", help="How many faces.")] = 16,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Picture of all faces in a grid.")
    ] = None,
    outdir: OutDir = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the first face; none: random.")] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="0,1,4-6", help="Seed of each face, instead of -n.")
    ] = None,
    trunc: Annotated[float, typer.Option(help="Below 1: more average faces.")] = 1.0,
    scale: Annotated[float, typer.Option(help="Enlarge the faces so many times.")] = 1.0,
    weights: Weights = None,
    device: Device = "auto",
) -> None:
    """Draw faces of people who do not exist.

    The same seed gives the same face. Without -o or --outdir a grid is written here,
    under a name that is not taken.
    """
    from . import api
    from .files import free_name

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
    _print_paths(result.files)


@app.command()
def invert(
    photos: Photos,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Side-by-side picture of one photo.")
    ] = None,
    outdir: OutDir = None,
    steps: Annotated[int, typer.Option(help="Evaluations a photo.")] = InvertConfig.steps,
    face_size: FaceSize = None,
    delta_i: DeltaI = CropConfig.delta_i,
    delta_j: DeltaJ = CropConfig.delta_j,
    rotation: Rotation = CropConfig.rotation,
    weights: Weights = None,
    device: Device = "auto",
) -> None:
    """Find the latent vector behind each photo of a face.

    Writes NAME.latent.safetensors and a picture of the photo beside its reconstruction,
    here unless -o or --outdir says where.
    """
    from . import api

    named = output is not None or outdir is not None
    failures = console.Failures()
    with console.counting("inverting") as on_step:
        found = api.invert(
            photos,
            output=output,
            outdir=outdir if named else Path(),
            overwrite=named,
            steps=steps,
            face_size=face_size,
            delta_i=delta_i,
            delta_j=delta_j,
            rotation=rotation,
            weights=weights,
            device=device,
            on_message=console.say,
            on_step=on_step,
            on_failure=failures,
        )
    for item in found:
        console.say(f"{item.photo}: {item.psnr:.1f} dB, {item.seconds:.2f} s")
        _print_paths(item.files)
    failures.exit_if_any(len(photos))


@app.command()
def mix(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Picture to write; none: mix.png here.")
    ] = None,
    weight: Annotated[
        list[float] | None,
        typer.Option("-w", "--weight", help="Share of each input; for two, B's alone (0.3)."),
    ] = None,
    blend: Annotated[str, typer.Option(help="mean (the paper's) or slerp.")] = "mean",
    strip: Annotated[bool, typer.Option("--strip", help="Draw A, the mix and B.")] = False,
    scale: Annotated[float, typer.Option(help="Enlarge the result so many times.")] = 4.0,
    weights: Weights = None,
    device: Device = "auto",
) -> None:
    """Mix two or more people into one face.

    Inputs are photos, latent files made by invert, or pictures drawn by sample or mix.
    """
    from . import api
    from .files import free_name

    with console.counting("inverting") as on_step:
        result = api.mix(
            inputs,
            output=output or free_name(Path(), "mix", ".png"),
            weight=weight,
            blend=blend,
            strip=strip,
            scale=scale,
            weights=weights,
            device=device,
            on_message=console.say,
            on_step=on_step,
        )
    _print_paths([result.file])


@app.command()
def upscale(
    inputs: Annotated[list[Path], typer.Argument(metavar="PICTURE", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write, for one picture.")
    ] = None,
    outdir: OutDir = None,
    scale: Annotated[float, typer.Option("-s", "--scale", help="Times as large.")] = 4.0,
    method: Annotated[str, typer.Option(help="cubic or lanczos.")] = "cubic",
    sharpen: Annotated[float, typer.Option(help="Amount of sharpening, 0 for none.")] = 0.5,
) -> None:
    """Enlarge pictures.

    Without -o or --outdir, NAME_x4 with the same suffix is written here, under a name that
    is not taken.
    """
    from . import api

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
    _print_paths(written)
    failures.exit_if_any(len(inputs))


def _is_given(ctx: typer.Context, name: str) -> bool:
    """Whether an option was written by the user; on resume the others are the run's own."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _print_paths(paths: Iterable[Path | None]) -> None:
    for path in paths:
        typer.echo(path)
