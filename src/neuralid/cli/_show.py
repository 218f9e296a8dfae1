"""What several commands print to stdout."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import typer

from .. import console


def list_faces(photos: list[Path], weights: str | None) -> None:
    """One line a face: its number, its eyes, and the options that frame it by hand."""
    from .. import api

    failures = console.Failures()
    for face in api.find_faces(photos, weights=weights, on_failure=failures):
        crop = face.crop
        typer.echo(
            f"{face.photo}: face {face.number}, eyes {face.left_eye} {face.right_eye}, "
            f"--face-size {crop.face_size} --delta-i {crop.delta_i} --delta-j {crop.delta_j} "
            f"--rotation {crop.rotation:g}"
        )
    failures.exit_if_any(len(photos))


def print_paths(paths: Iterable[Path | None]) -> None:
    for path in paths:
        typer.echo(path)
