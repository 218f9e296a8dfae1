"""Who the inputs of `mix` are: photos, latent files, drawn pictures -> latents."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from ..core.errors import ConfigError, LatentError
from ..faces.config import CropConfig
from ..latents import latent
from ..latents.config import InvertConfig
from ..pictures import images
from ._framing import Framing, frame_all, save_frames
from ._invert import invert_framed
from ._studio import Studio


@dataclass(frozen=True)
class Person:
    """One input, resolved."""

    latent: Tensor  # (Z,)
    face: np.ndarray  # uint8 (S, S, 3): the cropped photo, or the face its latent draws
    crop: CropConfig | None = None  # where in its photo the face is; None: it is no photo


def resolve(
    paths: Sequence[Path],
    studio: Studio,
    framing: Framing,
    config: InvertConfig,
    show_crop: str | Path | None,
    say: Callable[[str], None],
    on_step: Callable[[int, int], None] | None,
    keep: Path | None = None,
) -> tuple[list[Person], Studio]:
    """The person behind each input, and the studio to draw with; photos are inverted together.

    Raises `ConfigError`, before anything is inverted, if the input ``keep`` is no photo.
    """
    known = {path: _known_latent(path, studio, say) for path in dict.fromkeys(paths)}
    if keep is not None and known[keep] is not None:
        raise ConfigError(f"{keep} is no photo to put a face into", hint="--keep names a photo")
    people = {}
    for path, z in known.items():
        if z is not None:
            people[path] = Person(z, studio.draw(z[None])[0])
    photos = [path for path, z in known.items() if z is None]
    framed = frame_all(photos, studio, framing, None, say, show=show_crop is not None)
    save_frames(show_crop, framed)
    inverted, studio = invert_framed(studio, framed, config, on_step, joint=True)
    for found in inverted:
        people[found.photo] = Person(found.latent, found.target, found.crop)
        say(f"{found.photo}: inverted at {found.psnr:.1f} dB")
    return [people[path] for path in paths], studio


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
    shape = studio.latent_shape
    if z.numel() != math.prod(shape) or not bool(z.isfinite().all()):
        raise LatentError(f"the latent in {path} is damaged", hint="invert or sample it again")
    return z.view(shape)


def _refuse_several(path: Path) -> None:
    """A grid made by `sample`, or a strip by `mix`, shows several faces: it is nobody's photo."""
    try:
        recipe = json.loads(images.read_text(path, images.RECIPE_KEY) or "{}")
        faces = recipe["sample"]["seeds"] if "sample" in recipe else recipe["mix"]["inputs"]
        count = len(faces)
    except (ValueError, KeyError, TypeError):  # another program's text, or none
        return
    kind = next((kind for kind in ("strip", "matrix") if recipe.get("mix", {}).get(kind)), None)
    if kind is not None:
        raise ConfigError(f"{path} is a {kind} of faces", hint=f"mix again without --{kind}")
    if count > 1 and "sample" in recipe:
        raise ConfigError(
            f"{path} is a grid of {count} faces", hint="draw single files with --outdir"
        )
