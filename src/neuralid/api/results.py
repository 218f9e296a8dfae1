"""Results of the verbs: pictures and latents that can save and show themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image
from torch import Tensor

from ..core.checks import check_range
from ..core.version import __version__
from ..faces.config import CropConfig
from ..latents import latent
from ..pictures import images
from ..pictures.animation import Film, save_film, write_film
from ..pictures.depth import to_8_bits
from ..pictures.photo import save_exact
from ..upscaling.enlarge import MOST_PIXELS
from ._model import Model, Say, quiet
from ._page import Page

PAIR_SCALE = 4  # the picture of a photo beside its reconstruction is enlarged this many times
RATE = 20.0  # frames per second of a film
LATENT_SUFFIX = ".safetensors"
MOST_GRID = MOST_PIXELS / 1e6  # megapixels of a grid of faces


class _Shown:
    """Shows its ``image``, uint8 or uint16 ``(H, W)`` or ``(H, W, C)``, in a notebook."""

    image: Any

    def _repr_png_(self) -> bytes:
        like = getattr(self, "like", Image.new("RGB", (1, 1)))
        return images.encode(images.from_array(to_8_bits(self.image), like))


@dataclass(frozen=True, eq=False, repr=False)
class Face(_Shown):
    """One drawn face: uint8 ``(H, W, 3)``, and the latent ``(*L)`` that draws it."""

    image: np.ndarray
    latent: Tensor
    seed: int | None  # None: drawn from a latent that was given
    model: Model
    recipe: dict[str, Any]  # how it was made
    name: str = ""  # of what the latent was given in

    def save(self, path: str | Path) -> Path:
        """Write the picture; a PNG carries the latent and the recipe.

        Raises `ImageError` for an unknown suffix, `OutputError`.
        """
        text = {**_recipe_text(self.recipe), **_latent_text(self.latent, self.model)}
        images.save_picture(Path(path), self.image, text)
        return Path(path)

    def __repr__(self) -> str:
        source = self.name or f"seed {self.seed}"
        return f"<Face of {source}, {_sides(self.image)}>"


@dataclass(frozen=True, eq=False, repr=False)
class Sampled(_Shown):
    """Faces drawn from seeds. Iterate over it, or index it, to get each as a `Face`."""

    images: np.ndarray  # uint8 (N, H, W, 3)
    latents: Tensor  # (N, *L)
    seeds: list[int]  # none for faces of latents that were given
    trunc: float
    model: Model
    names: list[str] = field(default_factory=list)  # of what the latents were given in

    @property
    def image(self) -> np.ndarray:
        """All faces in a grid, uint8 ``(H, W, 3)``. Raises `ConfigError` above 100 megapixels."""
        check_grid(len(self), self.images.shape[1])
        return images.grid(self.images)

    def save(self, path: str | Path) -> Path:
        """Write the grid; a PNG carries the recipe, and if there is one face, its latent too.

        Raises `ConfigError` above 100 megapixels, `ImageError` for an unknown suffix,
        `OutputError`.
        """
        if len(self) == 1:
            return self[0].save(path)
        images.save_picture(
            Path(path), self.image, _recipe_text(self._recipe(self.seeds, self.names))
        )
        return Path(path)

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Face]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Face: ...

    @overload
    def __getitem__(self, index: slice) -> Sampled: ...

    def __getitem__(self, index: int | slice) -> Face | Sampled:
        if isinstance(index, slice):
            chosen = self.images[index], self.latents[index], self.seeds[index]
            return Sampled(*chosen, self.trunc, self.model, self.names[index])
        seed = self.seeds[index] if self.seeds else None
        name = self.names[index] if self.names else ""
        recipe = self._recipe([] if seed is None else [seed], [name] if name else [])
        return Face(self.images[index], self.latents[index], seed, self.model, recipe, name)

    def __repr__(self) -> str:
        return f"<Sampled: {len(self)} faces, {_sides(self.images[0])}>"

    def _recipe(self, seeds: list[int], names: list[str]) -> dict[str, Any]:
        source = {"latents": names} if names else {"seeds": seeds}
        own = {"trunc": self.trunc, "weights": self.model.weights.id}
        return {"sample": {**source, **own}}


@dataclass(frozen=True, eq=False, repr=False)
class Inverted(_Shown):
    """One photo's latent, and how well it reproduces the photo."""

    name: str  # the photo's
    latent: Tensor  # (*L)
    psnr: float  # dB, of the reconstruction against the cropped photo
    ssim: float  # of their luma; 1 is the best
    target: np.ndarray  # uint8 (S, S, 3): the cropped photo
    reconstruction: np.ndarray  # uint8 (S, S, 3): what the generator draws
    crop: CropConfig  # the four numbers that cropped the photo
    evaluations: int  # generator passes spent
    seconds: float  # the photo's share of its batch's time
    model: Model
    frame: np.ndarray | None = None  # uint8 (H, W, 3): the crop drawn on the photo, if requested

    @property
    def image(self) -> np.ndarray:
        """The cropped photo beside its reconstruction, enlarged 4 times: uint8 ``(H, W, 3)``."""
        pair = np.stack([self.target, self.reconstruction])
        return images.hstack(list(self.model.enlarge(pair, PAIR_SCALE)))

    def save(self, path: str | Path) -> Path:
        """Write the latent (``.safetensors``) or ``image``; a PNG carries the latent too.

        Raises `ImageError` for an unknown suffix, `OutputError`.
        """
        place = Path(path)
        if place.suffix == LATENT_SUFFIX:
            facts = {
                "source": Path(self.name).name,
                "psnr": round(self.psnr, 3),
                "crop": asdict(self.crop),
            }
            latent.save_latent(place, self.latent, self.model.weights.id, facts)
        else:
            images.save_picture(place, self.image, _latent_text(self.latent, self.model))
        return place

    def to_dict(self) -> dict[str, Any]:
        """The figures, ready for JSON."""
        return {
            "photo": self.name,
            "psnr": round(self.psnr, 3),
            "ssim": round(self.ssim, 4),
            "steps": self.evaluations,
            "seconds": round(self.seconds, 3),
            "latent_norm": round(float(self.latent.norm()), 3),
            "crop": asdict(self.crop),
        }

    def __repr__(self) -> str:
        return f"<Inverted {self.name}: {self.psnr:.1f} dB>"


@dataclass(frozen=True, eq=False, repr=False)
class Mixed(_Shown):
    """One face made of several; or a strip, a matrix, a film, a photo with that face in it."""

    image: np.ndarray  # uint8 (H, W, 3); a film's first frame; a kept photo like its original
    latent: Tensor  # (*L) of the mix; for a film, of its first frame
    shares: list[float]  # of each input, summing to 1
    model: Model
    recipe: dict[str, Any]  # how it was made
    frames: np.ndarray | None = None  # of a film, uint8 (N, H, W, 3)
    is_face: bool = True  # the picture is one face and nothing else, so it can carry the latent
    frame: np.ndarray | None = None  # uint8 (H, W, 3): the crops drawn on the photos, if requested
    like: Image.Image = field(default_factory=lambda: Image.new("RGB", (1, 1)))
    page: Page | None = None  # to drag faces on, if requested; it saves itself

    def save(self, path: str | Path) -> Path:
        """Write the picture; a PNG carries the recipe, and if it is one face, the latent too.

        A kept photo keeps its colour profile, alpha and 16 bits where the format has them;
        ``on_message`` of the studio is told what it has not. A film is written as .gif, .webp or
        .mp4. Raises `ImageError` for an unknown suffix, `ConfigError` for one that does not support
        films, `OutputError`.
        """
        place = Path(path)
        if self.frames is not None:
            save_film(place, self.frames, RATE)
        else:
            facts = {**self.recipe, "weights": self.model.weights.id}
            text = _recipe_text({"mix": facts})
            text |= _latent_text(self.latent, self.model) if self.is_face else {}
            for each in save_exact(place, self.image, self.like, text):
                self.model.say(each)
        return place

    def __repr__(self) -> str:
        film = "" if self.frames is None else f", a film of {len(self.frames)} frames"
        return f"<Mixed of {len(self.shares)}, {_sides(self.image)}{film}>"


@dataclass(frozen=True, eq=False, repr=False)
class Upscaled(_Shown):
    """An enlarged picture: uint8 or uint16 ``(H, W)`` or ``(H, W, C)``, like the original."""

    name: str  # the picture's
    image: np.ndarray  # of an animation, the first frame
    scale: float  # how many times as large
    like: Image.Image = field(default_factory=lambda: Image.new("RGB", (1, 1)))
    film: Film | None = None  # the whole animation
    say: Say = quiet  # told what the format does not hold

    def save(self, path: str | Path) -> Path:
        """Write it. Grey, alpha, 16 bits and colour profiles are kept where the format has them.

        Where it has not, transparency is laid on white, colours become sRGB, and ``on_message`` is
        told. Raises `ImageError` for an unknown suffix or a format that cannot hold the picture,
        `ConfigError` for one that does not support animation if the picture is animated,
        `OutputError`.
        """
        place = Path(path)
        if self.film is not None:
            lost = write_film(place, self.film)
        else:
            lost = save_exact(place, self.image, self.like)
        for each in lost:
            self.say(each)
        return place

    def __repr__(self) -> str:
        return f"<Upscaled {self.name}, {self.scale:g}x to {_sides(self.image)}>"


@dataclass(frozen=True)
class Found:
    """A face found by `find_faces`. Places are in pixels from the photo's upper left corner."""

    name: str  # the photo's
    number: int  # from 1, left to right
    left_eye: tuple[float, float]  # (x, y) of the one on the picture's left
    right_eye: tuple[float, float]
    crop: CropConfig  # the four numbers that frame it


def check_grid(count: int, side: int, scale: float = 1.0) -> None:
    """Raise `ConfigError` for a grid of ``count`` enlarged faces that is too large."""
    check_range("scale", scale, 1, 64)
    side = round(side * scale)
    check_range("megapixels of all the faces together", count * side * side / 1e6, 0, MOST_GRID)


def _recipe_text(recipe: dict[str, Any]) -> dict[str, str]:
    return {images.RECIPE_KEY: json.dumps({**recipe, "version": __version__})}


def _latent_text(z: Tensor, model: Model) -> dict[str, str]:
    return {images.LATENT_KEY: latent.to_text(z, model.weights.id)}


def _sides(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
