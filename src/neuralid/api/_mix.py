"""``mix``: make one face, or a picture of several, from photos, latents and drawn pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.checks import check_range
from ..core.errors import ConfigError
from ..latents.config import InvertConfig
from ..latents.mixing import along, loop, mix_latents, with_style
from ..latents.whitening import Whitening
from ..models.architecture import architecture, with_layers
from ..pictures import images
from ._framing import Framing
from ._kept import put_face_back
from ._layout import Blending, Layout, Request, check_request
from ._model import Model, Progress, Report
from ._page import SCALE, STEPS, Page, count_faces, draw_page
from ._people import Input, People, Person, resolve
from .results import Mixed


def mix(
    model: Model,
    inputs: Sequence[Input],
    layout: Layout,
    blending: Blending,
    scale: float,
    framing: Framing,
    config: InvertConfig,
    on_step: Report | None,
    on_face: Report | None,
    page: bool,
) -> Mixed:
    """See `Studio.mix`."""
    asked = check_request(inputs, layout, blending, scale, page)
    own = scale if asked.keep is None else 1.0  # a kept photo says how large its face is
    model.check_room(layout.count(len(inputs)), own, copies=4)
    faces_of_page = count_faces(len(inputs), len(model.weights.directions)) if page else 0
    if page:
        model.check_room(faces_of_page, SCALE, copies=4)
    offset = _sum_directions(model, blending.attributes)
    layers = 0 if asked.style is None else _shape_layers(model)
    who = resolve(inputs, model, framing, config, asked.keep, on_step)
    style = None if asked.style is None else who.people[asked.style].latent
    blend = blending.blend or architecture(model.weights.description.model.architecture).blend
    mixer = _Mixer(asked.shares, blend, offset, style, layers, _whitening(model, blend))
    mixes = layout.mixes(len(inputs))
    progress = Progress(mixes + faces_of_page, on_face)
    mixed, picture, film = _draw(layout, who, mixer, own, progress)
    progress.before = mixes
    recipe = _recipe(layout, who.people, asked, replace(blending, blend=blend))
    shares, is_face = asked.shares, layout.is_face
    drawn = _draw_page(who, mixer, progress) if page else None
    result = Mixed(picture, mixed, shares, who.model, recipe, film, is_face, who.frame, page=drawn)
    if who.kept is None:
        return result
    photo, person = who.kept
    assert person.crop is not None  # `resolve` made sure of it
    image, canvas = put_face_back(photo, result.image, person.crop, who.model)
    return replace(result, image=image, like=canvas.like)


@dataclass(frozen=True)
class _Mixer:
    """How latents become one: shares, blend, a person's style, and the attributes' offset.

    Latents by layer are blended in whitened coordinates, which begin at their mean: a length or an
    angle means nothing elsewhere.
    """

    shares: list[float]
    blend: str
    offset: Tensor  # (*L)
    style: Tensor | None  # (*L), whose layers after the first ``shape_layers`` are taken
    shape_layers: int
    way: Whitening | None  # of latents by layer

    def __call__(self, latents: Tensor) -> Tensor:
        """``(N, *L) -> (*L)``"""
        return self._after(mix_latents(self._before(latents), self.shares, self.blend))

    def along(self, latents: Tensor, count: int) -> Tensor:
        """``(N, *L) -> (count, *L)``, on the way from the first to the last."""
        return self._after(along(self._before(latents), count, self.blend))

    def loop(self, latents: Tensor, count: int) -> Tensor:
        """``(N, *L) -> (count, *L)``, a film's."""
        return self._after(loop(self._before(latents), count, self.blend))

    def _before(self, latents: Tensor) -> Tensor:
        return latents if self.way is None else self.way.whiten(latents)

    def _after(self, mixed: Tensor) -> Tensor:
        """What comes after the blend: ``(..., *L)`` -> the same."""
        mixed = mixed if self.way is None else self.way.latents(mixed)
        if self.style is not None:
            mixed = with_style(mixed, self.style, self.shape_layers)
        return mixed + self.offset


def _draw(
    layout: Layout, who: People[Model], mixer: _Mixer, scale: float, on_face: Report
) -> tuple[Tensor, np.ndarray, np.ndarray | None]:
    """Draw the mix: its latent, the picture, and a film's frames."""
    model, latents = who.model, torch.stack([person.latent for person in who.people])
    if layout.matrix is not None:
        mixed = mixer(latents[[0, layout.matrix]])
        matrix = _draw_matrix(who.people, layout.matrix, mixer, model, scale, on_face)
        return mixed, matrix, None
    if layout.strip is not None:
        way = mixer.along(latents, layout.strip)
        faces = model.draw(way, scale, on_face=on_face)
        return mixer(latents), images.hstack(list(faces)), None
    if layout.frames is not None:
        way = mixer.loop(latents, layout.frames)
        film = model.draw(way, scale, on_face=on_face)
        return way[0], film[0], film
    mixed = mixer(latents)
    return mixed, model.draw(mixed[None], scale, on_face=on_face)[0], None


def _draw_page(who: People[Model], mixer: _Mixer, on_face: Report) -> Page:
    """The page of a mix, which shows its face first if two people share it."""
    latents = torch.stack([person.latent for person in who.people])
    names, faces = zip(*((person.name, person.face) for person in who.people), strict=True)
    alone = len(latents) == 1
    count = 1 + STEPS * (len(latents) - 1)
    way = mixer(latents)[None] if alone else mixer.along(latents, count)
    share = mixer.shares[1] if len(latents) == 2 else 0.5
    return draw_page(who.model, names, np.stack(faces), way, share, on_face)


def _whitening(model: Model, blend: str) -> Whitening | None:
    """The coordinates to blend in; the plain mean is the same in all."""
    way = None if blend == "mean" else model.weights.coordinates
    return way.to(torch.device("cpu")) if isinstance(way, Whitening) else None


def _shape_layers(model: Model) -> int:
    """How many of a latent's layers hold pose and shape. Raises `ConfigError` if none do."""
    name = model.weights.description.model.architecture
    layers = architecture(name).shape_layers
    if not layers:
        others = " or ".join(with_layers())
        raise ConfigError(
            f"latents of the architecture {name} have no layers to take a style from",
            hint=f"`style` is for weights of the architecture {others}; `model` names them",
        )
    return layers


def _sum_directions(model: Model, moves: Mapping[str, float]) -> Tensor:
    """The sum of the directions asked for: ``(*L)``."""
    known, total = model.weights.directions, torch.zeros(model.latent_shape)
    for name, value in moves.items():
        check_range(f"the attribute {name}", value, -100, 100)
        if name not in known:
            there = (
                f"there are {', '.join(known)}"
                if known
                else "train with a list of attributes to have some"
            )
            raise ConfigError(f"these weights have no attribute '{name}'", hint=there)
        total += value * known[name].vector
    return total


def _draw_matrix(
    people: Sequence[Person],
    rows: int,
    mixer: _Mixer,
    model: Model,
    scale: float,
    on_face: Report,
) -> np.ndarray:
    """Draw the columns' people on top, the rows' on the left, each pair's mix where they meet."""
    left, above = people[:rows], people[rows:]
    pairs = [torch.stack([a.latent, b.latent]) for a in left for b in above]
    mixes = model.draw(torch.stack([mixer(pair) for pair in pairs]), scale, on_face=on_face)
    faces = list(model.enlarge(np.stack([person.face for person in people]), scale))
    cells = [np.full_like(mixes[0], 255), *faces[rows:]]
    for index, face in enumerate(faces[:rows]):
        cells += [face, *mixes[index * len(above) : (index + 1) * len(above)]]
    return images.grid(np.stack(cells), columns=1 + len(above))


def _recipe(
    layout: Layout, people: Sequence[Person], asked: Request, blending: Blending
) -> dict[str, Any]:
    recipe: dict[str, Any] = {
        "inputs": [Path(person.name).name for person in people],
        "shares": [round(share, 6) for share in asked.shares],
        "blend": blending.blend,
        "attributes": dict(blending.attributes),
    }
    if asked.style is not None:
        recipe["style"] = asked.style
    for name in ("strip", "matrix"):
        if vars(layout)[name] is not None:
            recipe[name] = vars(layout)[name]
    return recipe
