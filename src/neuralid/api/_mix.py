"""``mix``: photos, latent files and sampled pictures -> one face."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import __version__, images, latent
from ..config import InvertConfig, check_range
from ..errors import ConfigError, LatentError
from ..mixing import mix_latents, normalised
from ._framing import Framing, frame_all, save_frames
from ._invert import invert_framed
from ._studio import Studio, check_picture, enlarge, quiet


@dataclass(frozen=True)
class Mixed:
    """One face made of several: its picture uint8 ``(H, W, 3)`` and its latent ``(Z,)``."""

    image: np.ndarray
    latent: Tensor
    shares: list[float]  # of each input, summing to 1
    file: Path | None


@dataclass(frozen=True)
class _Person:
    """One input, resolved."""

    latent: Tensor  # (Z,)
    face: np.ndarray  # uint8 (S, S, 3): the cropped photo, or the face its latent draws


def mix(
    inputs: Sequence[str | Path],
    *,
    output: str | Path | None = None,
    weight: Sequence[float] | None = None,
    blend: str = "mean",
    strip: bool = False,
    scale: float = 4.0,
    align: bool = True,
    face: int | None = None,
    show_crop: str | Path | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    on_message: Callable[[str], None] = quiet,
    on_step: Callable[[int, int], None] | None = None,
) -> Mixed:
    """Make one face of two or more, by averaging their latents (paper, section 5).

    Each input is a photo, a latent file, or a picture this program drew, which carries its
    latent. Photos are framed as in `invert`: by the largest face, the ``face``-th from the left,
    or with ``align=False`` by the square in the middle; ``show_crop`` is a picture to write of it.
    ``weight`` holds one number an input, or, for two, the second's share.
    ``strip`` draws the paper's figure: A, the mix, B. ``scale`` enlarges the result.

    Raises `ConfigError`, `ImageError`, `LatentError`, `DeviceError`, `WeightsError` or
    `OutputError`.
    """
    paths = [Path(each) for each in inputs]
    if len(paths) < 2:
        raise ConfigError(
            "mix needs at least two inputs", hint="neuralid mix A.jpg B.jpg -o out.png"
        )
    shares = normalised(weight, len(paths)).tolist()
    check_range("scale", scale, 1, 64)
    mix_latents(torch.zeros(2, 1), None, blend)  # an unknown blend is known now, not after minutes
    for place in (output, show_crop):
        check_picture(place)
    framing = Framing(align=align, face=face)
    studio = Studio.open(weights, device, on_message)

    people = _resolve(paths, studio, framing, show_crop, on_message, on_step)
    mixed = mix_latents(torch.stack([person.latent for person in people]), shares, blend)
    drawn = studio.draw(mixed[None])
    shown = _strip(people, drawn) if strip else drawn
    picture = images.hstack(list(enlarge(shown, scale)))
    if output is not None:
        text = _text(paths, shares, blend, mixed, studio, strip)
        images.save_picture(Path(output), picture, text)
        if Path(output).suffix.lower() != ".png":
            on_message(f"{output}: only PNG keeps the recipe and the latent")
    return Mixed(picture, mixed, shares, None if output is None else Path(output))


def _resolve(
    paths: Sequence[Path],
    studio: Studio,
    framing: Framing,
    show_crop: str | Path | None,
    say: Callable[[str], None],
    on_step: Callable[[int, int], None] | None,
) -> list[_Person]:
    """The person behind each input; photos are inverted together."""
    known = {path: _known_latent(path, studio, say) for path in dict.fromkeys(paths)}
    people = {}
    for path, z in known.items():
        if z is not None:
            people[path] = _Person(z, studio.draw(z[None])[0])
    photos = [path for path, z in known.items() if z is None]
    framed = frame_all(photos, studio, framing, None, say, show=show_crop is not None)
    save_frames(show_crop, framed)
    for found in invert_framed(studio, framed, InvertConfig(), on_step):
        people[found.photo] = _Person(found.latent, found.target)
        say(f"{found.photo}: inverted at {found.psnr:.1f} dB")
    return [people[path] for path in paths]


def _known_latent(path: Path, studio: Studio, say: Callable[[str], None]) -> Tensor | None:
    """The latent a file holds or carries; None for a photo."""
    if path.suffix == ".safetensors":
        stored = latent.load_latent(path)
        latent.check_belongs(stored.weights_id, studio.weights.id, str(path))
        return _checked(stored.latent, studio, path)
    text = images.read_text(path, images.LATENT_KEY)
    if text is None:
        _refuse_several(path)
        return None
    z, weights_id = latent.from_text(text, str(path))
    if weights_id != studio.weights.id:
        say(f"{path}: drawn with other weights; inverting it as a photo")
        return None
    return _checked(z, studio, path)


def _checked(z: Tensor, studio: Studio, path: Path) -> Tensor:
    if z.shape != (studio.latent_size,) or not bool(z.isfinite().all()):
        raise LatentError(f"the latent in {path} is damaged", hint="invert or sample it again")
    return z


def _refuse_several(path: Path) -> None:
    """A grid made by `sample`, or a strip by `mix`, shows several faces: it is nobody's photo."""
    try:
        recipe = json.loads(images.read_text(path, images.RECIPE_KEY) or "{}")
        faces = recipe["sample"]["seeds"] if "sample" in recipe else recipe["mix"]["inputs"]
        count = len(faces)
    except (ValueError, KeyError, TypeError):  # another program's text, or none
        return
    if "sample" not in recipe:
        raise ConfigError(f"{path} is a strip of faces", hint="mix again without --strip")
    if count > 1:
        raise ConfigError(
            f"{path} is a grid of {count} faces", hint="draw single files with --outdir"
        )


def _strip(people: Sequence[_Person], mixed: np.ndarray) -> np.ndarray:
    """A, the mix, B; with more people, all of them and the mix last."""
    faces = [person.face for person in people]
    place = 1 if len(faces) == 2 else len(faces)
    return np.stack([*faces[:place], mixed[0], *faces[place:]])


def _text(
    paths: Sequence[Path],
    shares: Sequence[float],
    blend: str,
    mixed: Tensor,
    studio: Studio,
    strip: bool,
) -> dict[str, str]:
    facts = {
        "inputs": [path.name for path in paths],
        "shares": [round(share, 6) for share in shares],
        "blend": blend,
        "weights": studio.weights.id,
    }
    text = {images.RECIPE_KEY: json.dumps({"mix": facts, "version": __version__})}
    if not strip:
        text[images.LATENT_KEY] = latent.to_text(mixed, studio.weights.id)
    return text
