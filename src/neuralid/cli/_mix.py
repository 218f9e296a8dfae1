"""``neuralid mix``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console
from ..core.errors import ConfigError
from ..core.files import free_name
from ..faces.config import CropConfig
from ..latents.config import InvertConfig
from . import _progress as progress
from ._common import command, open_weights
from ._options import (
    Align,
    AsJson,
    DeltaI,
    DeltaJ,
    Device,
    FaceNumber,
    FaceSize,
    Fidelity,
    ListFaces,
    Overwrite,
    Rotation,
    SaveWeights,
    ShowCrop,
    Weights,
)
from ._piped import DASH, check_stdout, name_of, save_to_stdout, say, with_stdin
from ._places import (
    check_film,
    check_framing,
    check_not_inputs,
    check_page,
    check_picture,
    check_sides,
)
from ._show import list_faces, print_result, save_frames, sides
from ._torch import import_torch
from ._tuned import check_tuned, save_tuned

if TYPE_CHECKING:
    from ..api.results import Mixed


@command
def mix(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT",
            help="Photos, latent files or drawn pictures, folders of pictures, or - for stdin. "
            "ada and bruno are faces that come with the program.",
            show_default=False,
            readable=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Picture to write; - for stdout. Default: mix.png.",
            readable=False,
        ),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "-w",
            "--weight",
            metavar="X",
            help="Share of each input, in order; for two, B's alone: 0.3 or 30%.",
        ),
    ] = None,
    blend: Annotated[
        str | None,
        typer.Option(
            "--blend",
            metavar="NAME",
            help="mean (the paper's), rescaled or slerp. Default: mean, for faces-56 rescaled.",
        ),
    ] = None,
    style: Annotated[
        Path | None,
        typer.Option(
            "--style",
            metavar="A",
            help="Take colours and skin from this input alone (weights of the style architecture).",
            readable=False,
        ),
    ] = None,
    attributes: Annotated[
        list[str] | None,
        typer.Option(
            "--attribute",
            metavar="NAME=X",
            help="Change age, gender or smiling, or what your weights know, by X standard "
            "deviations, as in age=+1.5 (older) or gender=+1 (female); may be repeated.",
        ),
    ] = None,
    strip: Annotated[
        int | None,
        typer.Option("--strip", metavar="N", help="Draw N faces on the way from A to B."),
    ] = None,
    matrix: Annotated[
        int | None,
        typer.Option(
            "--matrix", metavar="N", help="Cross the first N people (rows) with the rest."
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option("--frames", metavar="N", help="Make a film of N frames: .gif, .webp or .mp4."),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            metavar="A",
            help="Put the mixed face back into this photo.",
            readable=False,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Also write a page to drag faces on: between people, and along attributes.",
        ),
    ] = None,
    scale: Annotated[
        float, typer.Option("--scale", metavar="X", help="Enlarge the result X times, 1 to 64.")
    ] = 4.0,
    face_size: FaceSize = None,
    delta_i: DeltaI = CropConfig.delta_i,
    delta_j: DeltaJ = CropConfig.delta_j,
    rotation: Rotation = CropConfig.rotation,
    align: Align = True,
    face: FaceNumber = None,
    faces: ListFaces = False,
    show_crop: ShowCrop = None,
    fidelity: Fidelity = InvertConfig.fidelity,
    save_weights: SaveWeights = None,
    overwrite: Overwrite = False,
    json_: AsJson = False,
    model: Weights = None,
    device: Device = "auto",
) -> None:
    """Mix two or more people into one face, or draw one again.

    Inputs are photos, latent files from invert, or pictures drawn by sample or mix. The four
    options from --face-size to --rotation frame by hand, if there is one photo among them.
    """
    if faces:
        return list_faces(inputs, model, json_)
    import_torch()
    from ..api._layout import Blending, Layout, check_request

    # All that can be known to be wrong before weights are read.
    moves, shares = _attributes(attributes or []), _shares(weights or [])
    InvertConfig(fidelity)
    check_framing((face_size, delta_i, delta_j, rotation), align, face)
    inputs = _expand(inputs)
    *sources, kept, styling = with_stdin([*inputs, keep, style])
    layout, told = Layout(strip, matrix, frames, kept), Blending(shares, blend, moves, styling)
    check_request(sources, layout, told, scale, html is not None)
    place = _place(output, frames is not None, json_)
    check_page(html, show_crop)
    check_not_inputs([place, html, show_crop, save_weights], [*inputs, model], overwrite)
    studio = open_weights(model, device, say)
    check_tuned(studio, save_weights, fidelity)
    check_sides(place, layout.sides(len(inputs), round(studio.size * scale)), keep)
    with progress.mixing() as (on_step, on_face):
        result = studio.mix(
            sources,
            weights=shares,
            blend=blend,
            style=styling,
            attributes=moves,
            strip=strip,
            matrix=matrix,
            frames=frames,
            keep=kept,
            html=html is not None,
            scale=scale,
            face_size=face_size,
            delta_i=delta_i,
            delta_j=delta_j,
            rotation=rotation,
            align=align,
            face=face,
            show_crop=show_crop is not None,
            fidelity=fidelity,
            on_step=on_step,
            on_face=on_face,
        )
    save_frames(show_crop, [result.frame])
    _write(result, place, html, save_weights, inputs if json_ else None)


def _place(output: Path | None, is_film: bool, as_json: bool) -> Path:
    """The path of the result, or ``-``. Raises now if it cannot be written."""
    if check_stdout(output, as_json):
        return DASH
    place = output or free_name(Path(), "mix", ".gif" if is_film else ".png")
    (check_film if is_film else check_picture)(place)
    return place


def _write(
    result: Mixed,
    place: Path,
    html: Path | None,
    save_weights: Path | None,
    told: Sequence[Path] | None,
) -> None:
    """Write the result, its page and tuned weights; print paths, or JSON of inputs told of."""
    if save_weights is not None:
        result = replace(result, model=save_tuned(result.model, save_weights))
    pages = [result.page.save(html)] if result.page is not None and html is not None else []
    if place == DASH:
        save_to_stdout(result, ".png" if result.frames is None else ".gif")
        return
    print_result([result.save(place), *pages], None if told is None else _facts(result, told))
    if result.frames is None and place.suffix.lower() != ".png":
        console.say(f"{place}: only PNG keeps the recipe and the latent")


def _facts(result: Mixed, inputs: Sequence[Path]) -> dict[str, Any]:
    """What JSON says of a mix."""
    names = [name_of(path) for path in inputs]
    facts = {**result.recipe, "inputs": names, "weights": result.model.weights.id}
    return {**facts, **sides(result.image)}


def _shares(given: list[str]) -> list[float] | None:
    """``["30%"]`` -> ``[0.3]``; None for none."""
    shares = []
    for text in given:
        number, percent, rest = text.strip().partition("%")
        try:
            shares.append(float(number + rest) / (100 if percent else 1))
        except ValueError as error:
            raise ConfigError(f"'{text}' is not a share", hint="write it as 0.3 or 30%") from error
    return shares or None


def _expand(inputs: list[Path]) -> list[Path]:
    """The inputs, with the pictures of folders; says how many they are, if there are folders."""
    from ..api._folders import expand

    found = expand(inputs)
    if len(found) != len(inputs):
        say(f"mixing {len(found)} pictures, those of folders included")
    return found


def _attributes(given: list[str]) -> dict[str, float]:
    """``["age=+1.5"]`` -> ``{"age": 1.5}``."""
    moves = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            moves[name.strip().lower()] = float(value)
        except ValueError as error:
            raise ConfigError(
                f"'{text}' is not an attribute and a number", hint="write it as age=+1.5"
            ) from error
    return moves
