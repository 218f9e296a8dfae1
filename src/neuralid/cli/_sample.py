"""``neuralid sample``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console
from ..core.checks import check_precision, check_range
from ..core.files import check_folder, free_name, make_folder
from . import _progress as progress
from ._common import command, open_weights
from ._options import AsJson, Device, OutDir, Weights
from ._piped import DASH, check_stdout, save_to_stdout, with_stdin
from ._places import check_one, check_picture
from ._show import print_result, sides
from ._torch import import_torch
from ._writing import Writer

if TYPE_CHECKING:
    from ..api.results import Face, Sampled
    from ..api.studio import Studio

FEW, FEW_PIXELS = 16, 50e6  # the most faces of single files drawn at a time, and their pixels
MOST_WAITING = 64  # to be written


@command
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
            help="Picture of all faces in a grid; - for stdout.",
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
    latents: Annotated[
        list[Path] | None,
        typer.Option(
            "--latent",
            metavar="FILE",
            help="Draw this latent file, or drawn picture, instead of a seed; may be repeated.",
            readable=False,
        ),
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
    ] = 4.0,
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="NAME",
            help="auto, fp32 or bf16, in which many machines draw several times as fast.",
        ),
    ] = "fp32",
    json_: AsJson = False,
    model: Weights = None,
    device: Device = "auto",
) -> None:
    """Draw faces of people who do not exist.

    The same seed gives the same face. Without -o or --outdir a grid is written to the
    current folder, under a name that is not taken.
    """
    check_one(output, outdir)
    check_stdout(output, json_)
    if output is None and outdir is None:
        output = free_name(Path(), "faces", ".png")
    check_picture(output)
    if outdir is not None:
        check_folder(make_folder(outdir))
    import_torch()
    from ..api._sample import check_latents_alone, choose_precision, choose_seeds
    from ..api.results import check_grid

    check_range("scale", scale, 1, 64)
    check_range("trunc", 1 if trunc is None else trunc, 0, 10)
    check_precision(precision)
    if latents:
        check_latents_alone(n, seed, seeds, len(latents))
    chosen = [] if latents else choose_seeds(n, seed, seeds, console.say)
    given = with_stdin(latents or [])
    studio = open_weights(model, device, console.say)
    precision = choose_precision(studio, precision)  # once, however many files are drawn
    with progress.counting("drawing", "faces") as on_step:
        how: dict[str, Any] = {"trunc": trunc, "scale": scale, "precision": precision}
        if output is None:
            drawing = _Drawing(studio, how, outdir or Path(), json_)
            drawing.draw_each(chosen, given, on_step)
            return
        check_grid(len(chosen or given), studio.size, scale)
        drawn = studio.sample(**_wanted(chosen, given), **how, on_step=on_step)
    if output == DASH:
        save_to_stdout(drawn)
    else:
        print_result([drawn.save(output)], _facts(drawn, drawn) if json_ else None)


@dataclass(frozen=True)
class _Drawing:
    """Draws single files: a few faces at a time, which are written while the next are drawn."""

    studio: Studio
    how: dict[str, Any]  # trunc, scale and precision, as `Studio.sample` is told them
    outdir: Path
    as_json: bool

    def draw_each(
        self, seeds: Sequence[int], given: Sequence[Any], on_step: Callable[[int, int], None]
    ) -> None:
        failures, total = console.Failures(), len(seeds or given)
        fit = max(1, round(FEW_PIXELS / (self.studio.size * self.how["scale"]) ** 2))
        few = min(FEW, fit)
        with Writer(failures, min(MOST_WAITING, fit)) as writer:
            for start in range(0, total, few):
                part = slice(start, start + few)
                wanted = _wanted(seeds[part], given[part])
                drawn = self.studio.sample(**wanted, **self.how)
                for face in drawn:
                    show = partial(self._show, face, drawn)
                    writer.save(face, self.outdir / _file_name(face), show)
                on_step(min(start + few, total), total)
        failures.exit_if_any(total)

    def _show(self, face: Face, drawn: Sampled, path: Path) -> None:
        print_result([path], _facts(face, drawn) if self.as_json else None)


def _wanted(seeds: Sequence[int], given: Sequence[Any]) -> dict[str, Any]:
    """What to draw, as `Studio.sample` is told it."""
    return {"latents": given} if given else {"seeds": seeds}


def _file_name(face: Face) -> str:
    if face.seed is not None:
        return f"seed{face.seed:04d}.png"
    return f"{Path(face.name).stem.removesuffix('.latent')}.png"


def _facts(shown: Face | Sampled, drawn: Sampled) -> dict[str, Any]:
    """What JSON says of a picture of one or all of the faces drawn."""
    from ..api.results import Sampled

    if isinstance(shown, Sampled):
        source = {"latents": shown.names} if shown.names else {"seeds": shown.seeds}
    else:
        source = {"latents": [shown.name]} if shown.seed is None else {"seeds": [shown.seed]}
    return {**source, "trunc": drawn.trunc, "weights": drawn.model.weights.id, **sides(shown.image)}
