"""``mix``: photos, latent files and sampled pictures -> one face, or a picture of several."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import __version__
from ..core.checks import check_range
from ..core.errors import ConfigError
from ..core.files import check_writable
from ..faces.crop import default_face_size
from ..faces.paste import put_back
from ..latents import latent
from ..latents.config import InvertConfig
from ..latents.mixing import (
    along,
    loop,
    mix_latents,
    normalised,
)
from ..pictures import animation, images
from ._framing import Framing
from ._invert import check_tuned, kept
from ._people import Person, resolve
from ._studio import Studio, check_picture, quiet

RATE = 20.0  # frames a second of a film
LARGEST = 16.0  # a face that is put back is enlarged at most so many times before


@dataclass(frozen=True)
class Mixed:
    """One face made of several: its picture uint8 ``(H, W, 3)`` and its latent ``(Z,)``."""

    image: np.ndarray  # or the strip, the matrix, the photo; a film's first frame
    latent: Tensor  # of the mix; of a film, its first frame's
    shares: list[float]  # of each input, summing to 1
    file: Path | None
    frames: np.ndarray | None = None  # of a film, uint8 (N, H, W, 3)


@dataclass(frozen=True)
class _Layout:
    """What is drawn: one face, or one of these."""

    strip: int | None = None
    matrix: int | None = None
    frames: int | None = None
    keep: Path | None = None

    def __post_init__(self) -> None:
        given = [name for name, value in vars(self).items() if value is not None]
        if len(given) > 1:
            both = " and ".join(f"--{name}" for name in given)
            raise ConfigError(f"{both} exclude each other", hint="draw them one after the other")
        for name in ("strip", "frames"):
            if vars(self)[name] is not None:
                check_range(name, vars(self)[name], 2, 1000)

    @property
    def one_face(self) -> bool:
        return not any(value is not None for value in vars(self).values())

    def check(self, paths: Sequence[Path], weight: object, output: Path | None) -> None:
        """Raise now what would be an error after minutes of work."""
        if weight and (self.strip is not None or self.frames is not None):
            raise ConfigError(
                "a strip or a film goes all the way, so --weight says nothing",
                hint="leave it out, or --strip and --frames",
            )
        if self.frames is None:
            check_picture(output)
        elif output is not None:
            animation.check_film(output)
            check_writable(output)
        if self.matrix is not None and not 1 <= self.matrix < len(paths):
            raise ConfigError(
                f"--matrix {self.matrix} leaves no two groups of {len(paths)} people",
                hint="the first N inputs are the rows, the others the columns",
            )
        if self.keep is not None and self.keep not in paths:
            raise ConfigError(f"{self.keep} is not an input", hint="--keep names one of the photos")


def mix(
    inputs: Sequence[str | Path],
    *,
    output: str | Path | None = None,
    weight: Sequence[float] | None = None,
    blend: str = "rescaled",
    attribute: Mapping[str, float] | None = None,
    strip: int | None = None,
    matrix: int | None = None,
    frames: int | None = None,
    keep: str | Path | None = None,
    scale: float = 4.0,
    align: bool = True,
    face: int | None = None,
    show_crop: str | Path | None = None,
    fidelity: str = InvertConfig.fidelity,
    save_weights: str | Path | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    on_message: Callable[[str], None] = quiet,
    on_step: Callable[[int, int], None] | None = None,
) -> Mixed:
    """Make one face of two or more, by averaging their latents (paper, section 5).

    By default the average is made as long as the latents; ``blend="mean"`` is the paper's.

    Each input is a photo, a latent file, or a picture this program drew, which carries its
    latent. Photos are framed as in `invert`: by the largest face, the ``face``-th from the left,
    or with ``align=False`` by the square in the middle; ``show_crop`` is a picture to write of it.
    ``weight`` holds one number an input, or, for two, the second's share. ``attribute`` moves the
    result along directions of the weights, in standard deviations of the training faces:
    ``{"age": 1.5}``; then a single input will do.

    Instead of one face, ``strip`` draws so many on the way through the inputs; ``matrix`` crosses
    the first so many inputs, the rows, with the others, the columns; ``frames`` makes a film of so
    many, ``output`` being .gif, .webp or .mp4; ``keep`` puts the mix back into that input's photo.
    ``scale`` enlarges the faces.

    ``fidelity`` is that of `invert`; at "high" the generator is tuned to all photos together, and
    draws the mix; ``save_weights`` keeps it.

    Raises `ConfigError`, `ImageError`, `LatentError`, `DeviceError`, `WeightsError` or
    `OutputError`.
    """
    paths, place = [Path(each) for each in inputs], None if output is None else Path(output)
    layout = _Layout(strip, matrix, frames, None if keep is None else Path(keep))
    moves = dict(attribute or {})
    if len(paths) < (1 if moves else 2):
        raise ConfigError(
            "mix needs at least two inputs", hint="neuralid mix A.jpg B.jpg -o out.png"
        )
    shares = normalised(weight, len(paths) if matrix is None else 2).tolist()
    check_range("scale", scale, 1, 64)
    mix_latents(torch.zeros(2, 1), None, blend)  # an unknown blend is known now, not after minutes
    layout.check(paths, weight, place)
    check_picture(show_crop)
    framing, config = Framing(align=align, face=face), InvertConfig(fidelity)
    check_tuned(save_weights, config)
    studio = Studio.open(weights, device, on_message)
    mixer = _Mixer(shares, blend, _moved(studio, moves))

    people, tuned = resolve(
        paths, studio, framing, config, show_crop, on_message, on_step, layout.keep
    )
    studio = kept(studio, tuned, save_weights)
    known = dict(zip(paths, people, strict=True))
    mixed, picture, film = _drawn(layout, known, people, mixer, studio, scale)
    if place is not None and film is not None:
        animation.save_film(place, film, RATE)
    elif place is not None:
        facts = {"inputs": [p.name for p in paths], "shares": _rounded(shares), "blend": blend}
        facts |= {"attributes": moves, "weights": studio.weights.id}
        images.save_picture(place, picture, _text(facts, layout, mixed, studio))
        if place.suffix.lower() != ".png":
            on_message(f"{place}: only PNG keeps the recipe and the latent")
    return Mixed(picture, mixed, shares, place, film)


@dataclass(frozen=True)
class _Mixer:
    """How latents become one: shares, blend, and where the result moves."""

    shares: list[float]
    blend: str
    moved: Tensor  # (Z,)

    def __call__(self, latents: Tensor) -> Tensor:
        return mix_latents(latents, self.shares, self.blend) + self.moved


def _drawn(
    layout: _Layout,
    known: Mapping[Path, Person],
    people: Sequence[Person],
    mixer: _Mixer,
    studio: Studio,
    scale: float,
) -> tuple[Tensor, np.ndarray, np.ndarray | None]:
    """The mix's latent, the picture, and a film's frames."""
    latents = torch.stack([person.latent for person in people])
    if layout.matrix is not None:
        mixed = mixer(latents[[0, layout.matrix]])
        return mixed, _matrix(people, layout.matrix, mixer, studio, scale), None
    if layout.strip is not None:
        way = along(latents, layout.strip, mixer.blend) + mixer.moved
        return mixer(latents), images.hstack(list(studio.draw(way, scale))), None
    if layout.frames is not None:
        way = loop(latents, layout.frames, mixer.blend) + mixer.moved
        film = studio.draw(way, scale)
        return way[0], film[0], film
    mixed = mixer(latents)
    face = studio.draw(mixed[None])
    if layout.keep is not None:
        return mixed, _put_back(layout.keep, known[layout.keep], face, studio), None
    return mixed, studio.enlarge(face, scale)[0], None


def _moved(studio: Studio, moves: Mapping[str, float]) -> Tensor:
    """The sum of the directions asked for: ``(Z,)``."""
    known, total = studio.weights.directions, torch.zeros(studio.latent_shape)
    for name, value in moves.items():
        check_range(name, value, -100, 100)
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "train --attributes finds them"
            raise ConfigError(f"these weights know no attribute '{name}'", hint=there)
        total += value * known[name].vector
    return total


def _matrix(
    people: Sequence[Person], rows: int, mixer: _Mixer, studio: Studio, scale: float
) -> np.ndarray:
    """The columns' people above, the rows' at the left, and each pair's child where they meet."""
    left, above = people[:rows], people[rows:]
    pairs = [torch.stack([a.latent, b.latent]) for a in left for b in above]
    children = studio.draw(torch.stack([mixer(pair) for pair in pairs]))
    empty = np.full_like(children[0], 255)
    cells = [empty, *(person.face for person in above)]
    for index, person in enumerate(left):
        cells += [person.face, *children[index * len(above) : (index + 1) * len(above)]]
    return images.grid(studio.enlarge(np.stack(cells), scale), columns=1 + len(above))


def _put_back(photo: Path, person: Person, drawn: np.ndarray, studio: Studio) -> np.ndarray:
    assert person.crop is not None  # `resolve` has seen to it
    image = images.load_rgb(photo)
    side = person.crop.face_size or default_face_size(image.shape[1], image.shape[0])
    large = studio.enlarge(drawn, min(LARGEST, max(1.0, side / drawn.shape[1])))[0]
    return put_back(image, large, person.crop)


def _rounded(shares: Sequence[float]) -> list[float]:
    return [round(share, 6) for share in shares]


def _text(
    facts: dict[str, object], layout: _Layout, mixed: Tensor, studio: Studio
) -> dict[str, str]:
    """The recipe, and of one face the latent."""
    for name in ("strip", "matrix"):
        if vars(layout)[name] is not None:
            facts[name] = vars(layout)[name]
    text = {images.RECIPE_KEY: json.dumps({"mix": facts, "version": __version__})}
    if layout.one_face:
        text[images.LATENT_KEY] = latent.to_text(mixed, studio.weights.id)
    return text
