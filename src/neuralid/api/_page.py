"""The page of a mix: everyone, and the faces on the way between them, to drag with the mouse."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..core.checks import check_range
from ..core.files import write_atomically
from ..core.webpage import as_json, fill_page, read_asset
from ..pictures.images import compress
from ._model import Model, Report

STEPS = 10  # faces from one person to the next
VALUES = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)  # of an attribute, in deviations
SCALE = 2.0  # how much faces are enlarged
PEOPLE = 8  # at most
QUALITY = 90  # of the pictures


@dataclass(frozen=True)
class Page:
    """What a page shows: P places on the way, and V variants of each face.

    The first variant is the mix itself; then come the other `VALUES` of each attribute in turn.
    """

    names: list[str]
    people: np.ndarray  # uint8 (N, S, S, 3): the faces as they were cropped or drawn
    faces: np.ndarray  # uint8 (P, V, S, S, 3)
    attributes: list[str]
    start: int  # the place that is shown first

    def html(self) -> str:
        """The page; it needs no other file and no network."""
        moved = [value for value in VALUES if value]
        variants = [
            {f"{value:g}": 1 + first * len(moved) + i for i, value in enumerate(moved)}
            for first in range(len(self.attributes))
        ]
        people = zip(self.names, self.people, strict=True)
        data = {
            "people": [{"name": name, "face": _as_uri(face)} for name, face in people],
            "faces": [[_as_uri(face) for face in row] for row in self.faces],
            "attributes": self.attributes,
            "values": list(VALUES),
            "variants": variants,
            "start": self.start,
        }
        title = html.escape(" and ".join(self.names))
        return fill_page("mix.html", title=title, script=read_asset("mix.js"), data=as_json(data))

    def save(self, path: str | Path) -> Path:
        """Write the page. Raises `OutputError`."""
        write_atomically(Path(path), self.html().encode())
        return Path(path)


def check_page(people: int) -> None:
    """Raise `ConfigError` now for more people than a page has room for."""
    check_range("the number of people on a page", people, 1, PEOPLE)


def count_faces(people: int, attributes: int) -> int:
    """How many faces are drawn for a page."""
    return (1 + STEPS * (people - 1)) * (1 + attributes * (len(VALUES) - 1))


def draw_page(
    model: Model,
    names: Sequence[str],
    people: np.ndarray,
    way: Tensor,
    share: float,
    on_face: Report | None = None,
) -> Page:
    """A page of the latents ``(P, *L)`` on the way; ``share`` of it is where it begins.

    ``people`` is uint8 ``(N, S, S, 3)``, everyone's face.
    """
    known = model.weights.directions
    offsets = _offsets({name: direction.vector for name, direction in known.items()}, way[0])
    latents = (way[:, None] + offsets[None]).flatten(0, 1)
    faces = model.draw(latents, SCALE, on_face=on_face)
    return Page(
        [Path(name).stem for name in names],
        model.enlarge(people, SCALE),
        faces.reshape(len(way), len(offsets), *faces.shape[1:]),
        list(known),
        round(share * (len(way) - 1)),
    )


def _offsets(vectors: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """What is added to a latent for each variant: ``(V, *L)``."""
    moves = [value * vector for vector in vectors.values() for value in VALUES if value]
    return torch.stack([torch.zeros_like(like), *moves])


def _as_uri(face: np.ndarray) -> str:
    return "data:image/webp;base64," + base64.b64encode(compress(face, QUALITY)).decode("ascii")
