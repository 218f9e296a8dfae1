"""Output shared by several commands: results, lists of faces, the picture of the crops."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import console
from ._piped import with_stdin
from ._torch import import_torch

if TYPE_CHECKING:
    import numpy as np

    from ..api.results import Found


def list_faces(photos: list[Path], model: str | None, as_json: bool) -> None:
    """Print a line per face: its number, its eyes, and the options that frame it by hand."""
    import_torch()
    from ..api._folders import expand
    from ..api.functions import find_faces

    failures = console.Failures()
    found = find_faces(with_stdin(expand(photos)), model=model, on_failure=failures)
    for face in found:
        console.print_line(json.dumps(_facts_of(face)) if as_json else _tell(face))
    failures.exit_if_any(len(photos))


def _tell(face: Found) -> str:
    crop = face.crop
    return (
        f"{face.name}: face {face.number}, eyes {face.left_eye} {face.right_eye}, "
        f"--face-size {crop.face_size} --delta-i {crop.delta_i} --delta-j {crop.delta_j} "
        f"--rotation {crop.rotation:g}"
    )


def _facts_of(face: Found) -> dict[str, Any]:
    eyes = {"left_eye": face.left_eye, "right_eye": face.right_eye}
    return {"photo": face.name, "face": face.number, **eyes, "crop": asdict(face.crop)}


def save_frames(path: Path | None, frames: Sequence[np.ndarray | None]) -> None:
    """Write the pictures of the crops to one file, one below the other, and say where it is.

    On stderr, as it is no result.
    """
    if path is not None:
        from ..pictures.images import save_picture, vstack

        shown = [frame for frame in frames if frame is not None]
        if shown:
            save_picture(path, vstack(shown))
            console.say(f"picture of the crop: {path}")


def print_result(files: Iterable[Path], facts: Mapping[str, Any] | None = None) -> None:
    """Print the paths of one result, each on a line, exactly as it is; or ``facts`` as JSON."""
    if facts is None:
        for path in files:
            console.print_line(path)
    else:
        console.print_line(json.dumps({**facts, "files": [str(path) for path in files]}))


def sides(image: np.ndarray) -> dict[str, int]:
    """A picture's sides, for JSON."""
    return {"width": image.shape[1], "height": image.shape[0]}
