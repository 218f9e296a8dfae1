"""Output shared by several commands: lists, paths, the picture of the crops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import console
from ._torch import import_torch

if TYPE_CHECKING:
    import numpy as np


def list_faces(photos: list[Path], model: str | None) -> None:
    """Print a line per face: its number, its eyes, and the options that frame it by hand."""
    import_torch()
    from ..api.functions import find_faces

    failures = console.Failures()
    for face in find_faces(photos, model=model, on_failure=failures):
        crop = face.crop
        console.print_line(
            f"{face.name}: face {face.number}, eyes {face.left_eye} {face.right_eye}, "
            f"--face-size {crop.face_size} --delta-i {crop.delta_i} --delta-j {crop.delta_j} "
            f"--rotation {crop.rotation:g}"
        )
    failures.exit_if_any(len(photos))


def save_frames(path: Path | None, frames: Sequence[np.ndarray | None]) -> None:
    """Write the pictures of the crops to one file, one below the other."""
    if path is not None:
        from ..pictures.images import save_picture, vstack

        shown = [frame for frame in frames if frame is not None]
        if shown:
            save_picture(path, vstack(shown))


def print_paths(paths: Iterable[Path]) -> None:
    """Print each path on a line of its own, exactly as it is."""
    for path in paths:
        console.print_line(path)
