"""A folder as input means the pictures in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.errors import ImageError
from ..pictures.examples import find_example
from ..pictures.images import SUFFIXES

OTHERS = (".gif", ".apng", ".tif", ".tiff")  # what is read of a folder beside what training takes


def expand(paths: Sequence[Path]) -> list[Path]:
    """The paths, with the pictures of each folder in its place, and example faces for their names.

    Hidden files and the folders below are passed over. Raises `ImageError` for a folder without
    pictures, or one that cannot be listed.
    """
    found = map(find_example, paths)
    return [one for path in found for one in (_pictures_in(path) if path.is_dir() else [path])]


def _pictures_in(folder: Path) -> list[Path]:
    try:
        files = sorted(path for path in folder.iterdir() if _is_picture(path))
    except OSError as error:
        raise ImageError(
            f"{folder} cannot be listed: {error.strerror}", hint="check who may read it"
        ) from error
    if not files:
        raise ImageError(
            f"{folder} has no pictures",
            hint=f"looked for {', '.join(SUFFIXES + OTHERS)}, not in the folders below it",
        )
    return files


def _is_picture(path: Path) -> bool:
    is_named = path.name.lower().endswith(SUFFIXES + OTHERS) and not path.name.startswith(".")
    return is_named and path.is_file()
