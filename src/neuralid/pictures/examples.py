"""Faces that come with the program, drawn by its own weights, for first tries: by their names."""

from __future__ import annotations

from importlib.resources import files as package_files
from pathlib import Path
from typing import TypeVar

EXAMPLES = ("ada", "bruno")
T = TypeVar("T")


def find_example(source: T) -> T | Path:
    """The file of an example face, if its name is given and nothing here is called so."""
    if not isinstance(source, str | Path) or str(source) not in EXAMPLES or Path(source).exists():
        return source
    return Path(str(package_files("neuralid") / "assets" / "examples" / f"{source}.png"))
