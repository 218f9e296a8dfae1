"""What is known about the training faces: attributes from CelebA's list or UTKFace's file names.

Letters in shapes: N faces, K attributes, L the latent's own shape.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.errors import DataError

UTKFACE = "utkface"
MOST_LIST = 500_000_000  # bytes of a list; CelebA's has a twentieth of them
FEWEST = 32  # an attribute known for fewer faces is not used
_UTKFACE = re.compile(r"(\d+)_([01])_")
_HINT = "use CelebA's list format: a count, a line of names, then FILE and 1 or -1 for each name"


@dataclass(frozen=True)
class Attributes:
    """Values of K attributes; NaN where a face's value is unknown."""

    names: list[str]
    values: np.ndarray  # (N, K), float32

    def standardised(self) -> tuple[Tensor, np.ndarray]:
        """Values of mean 0 and spread 1 ``(N, K)``, and the spreads ``(K,)``."""
        spread = np.nanstd(self.values, axis=0)
        return torch.from_numpy((self.values - np.nanmean(self.values, axis=0)) / spread), spread


@dataclass(frozen=True)
class Direction:
    """Where an attribute grows in latent space; adding the whole vector raises it by 1."""

    vector: Tensor  # (*L)
    unit: float  # what 1 means in the attribute's own values: its standard deviation
    accuracy: float  # of its reader, on faces new to it: correlation with the truth
    effects: dict[str, float]  # what the vector does to every attribute, in units

    def facts(self) -> dict[str, Any]:
        """All but the vector."""
        return {"unit": self.unit, "accuracy": self.accuracy, "effects": self.effects}


def read_attributes(source: str, files: Sequence[str]) -> Attributes:
    """The attributes of pictures by their file names, from CelebA's list or ``"utkface"``.

    UTKFace's names hold the age in years and the gender (1: female). A list may name pictures by
    their paths in the set; a bare name that several have says nothing. Attributes are read as lower
    case. Attributes known for too few of the pictures, or the same in all, are left out.
    Raises `DataError` if no attribute is left.
    """
    names, rows = _from_names(files) if source == UTKFACE else _from_list(Path(source))
    unknown = np.full(len(names), np.nan, np.float32)
    own = Counter(PurePath(file).name for file in files)

    def row(file: str) -> np.ndarray:
        """By the path in the list, else by a name that no other picture has."""
        name = PurePath(file).name
        found = rows.get(name) if own[name] == 1 or source == UTKFACE else None
        return rows.get(file, unknown if found is None else found)

    values = np.stack([row(file) for file in files])
    known = np.isfinite(values)
    enough = known.sum(0) >= FEWEST
    varied = np.array([len(set(v[k].tolist())) > 1 for v, k in zip(values.T, known.T, strict=True)])
    kept = np.flatnonzero(enough & varied)
    if not len(kept):
        raise DataError(f"{source} says nothing usable about these pictures", hint=_HINT)
    return Attributes([names[i] for i in kept], values[:, kept])


def _from_names(files: Sequence[str]) -> tuple[list[str], dict[str, np.ndarray]]:
    rows = {}
    for file in files:
        found = _UTKFACE.match(PurePath(file).name)
        if found:
            rows[PurePath(file).name] = np.array(found.groups(), np.float32)
    return ["age", "gender"], rows


def _from_list(path: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    try:
        with path.open("rb") as opened:
            content = opened.read(MOST_LIST + 1)
        if len(content) > MOST_LIST:
            raise ValueError(f"it is larger than {MOST_LIST / 1e6:g} MB")
        lines = content.decode().splitlines()
        names = [name.lower() for name in lines[1].split()]
        rows = {}
        for line in lines[2:]:
            file, *values = line.split()
            if len(values) != len(names):
                raise ValueError(f"{file} has {len(values)} values for {len(names)} names")
            rows[file] = np.array(values, np.float32)
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{path} is not a list of attributes: {error}", hint=_HINT) from error
    return names, rows
