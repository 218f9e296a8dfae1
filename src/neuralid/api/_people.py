"""Find the latent of each input of `mix`: a photo, a latent, a drawn picture or a result."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, SupportsFloat, TypeVar

import numpy as np
from PIL import Image
from torch import Tensor

from ..core.checks import check_range
from ..core.errors import ConfigError, LatentError
from ..core.jsontext import parse_object, take
from ..faces.config import CropConfig
from ..latents import latent
from ..latents.config import InvertConfig
from ..latents.latent import LatentFile
from ..pictures import images
from ..pictures.depth import to_8_bits
from ..pictures.examples import find_example
from ..pictures.photo import Photo, Source, is_pipe, is_single, name_of, read_bytes
from ._framing import Framed, Framing, frame_photo, stack_frames
from ._invert import invert_framed
from ._kept import check_kept_room
from ._model import Model, Report
from .results import Face, Inverted, Mixed, Sampled, Upscaled

Result = Face | Inverted | Mixed | Upscaled
Input = Source | Tensor | Result
Inputs = Input | Sampled | Iterable[Input | Sampled]
Shares = SupportsFloat | Iterable[SupportsFloat]  # NumPy's and torch's too
M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Person:
    """An input whose latent is known."""

    name: str
    latent: Tensor  # (*L)
    face: np.ndarray  # uint8 (S, S, 3): the cropped photo, or the face drawn from its latent
    crop: CropConfig | None = None  # where the face is in its photo; None if it is not a photo


@dataclass(frozen=True)
class People(Generic[M]):
    """All inputs, the model to draw with, and the photo to put the face back into."""

    people: list[Person]
    model: M
    kept: tuple[Photo, Person] | None
    frame: np.ndarray | None  # the crops drawn on the photos, if requested


def resolve(
    inputs: Sequence[Input],
    model: M,
    framing: Framing,
    config: InvertConfig,
    keep: int | None,
    on_step: Report | None,
) -> People[M]:
    """Find the person behind each input. Each is read once; photos are inverted together.

    ``keep`` is the index of the photo to keep. Raises `ConfigError`, before anything is inverted,
    if that input is not a photo.
    """
    places, distinct = _deduplicate(inputs)
    known: dict[int, Person] = {}
    framed: dict[int, Framed] = {}
    photo = None
    for place, each in enumerate(distinct):
        found = _resolve_one(each, model, framing)
        if isinstance(found, Person):
            known[place] = found
        else:
            framed[place], read = found
            _check_by_hand(framing, len(framed))
            if keep is not None and places[keep] == place:
                photo = read
                check_kept_room(read, framed[place].crop, model)
    if keep is not None and photo is None:
        name = known[places[keep]].name
        raise ConfigError(
            f"{name} is not a photo to put a face into", hint="`keep` names one of the photos"
        )
    if framing.by_hand and not framed:
        raise ConfigError(
            "no input is a photo to frame", hint="leave out `face_size` and the numbers with it"
        )
    inverted, tuned = invert_framed(model, list(framed.values()), config, on_step)
    for place, item in zip(framed, inverted, strict=True):
        known[place] = Person(item.name, item.latent, item.target, item.crop)
        model.say(f"{item.name}: inverted at {item.psnr:.1f} dB")
    people = [known[place] for place in places]
    kept = None if photo is None or keep is None else (photo, people[keep])
    return People(people, tuned, kept, stack_frames(list(framed.values())))


def _check_by_hand(framing: Framing, photos: int) -> None:
    """Raise `ConfigError` if the four numbers, which frame one photo, are given for several."""
    if framing.by_hand and photos > 1:
        raise ConfigError(
            "`face_size`, `delta_i`, `delta_j` and `rotation` frame one photo, not several",
            hint="invert each photo with its own, and mix the latents",
        )


def find_input(parameter: str, wanted: Input | int | None, inputs: Sequence[Input]) -> int | None:
    """The index of the input that a parameter names, by itself or its index; None if by None.

    Raises `ConfigError` if it is not among them.
    """
    if wanted is None:
        return None
    if isinstance(wanted, int):
        check_range(parameter, wanted, 0, len(inputs) - 1)
        return wanted
    wanted = find_example(wanted)
    for place, each in enumerate(inputs):
        if _same_input(each, wanted):
            return place
    raise ConfigError(
        f"{_name_of_input(wanted)} is not an input",
        hint=f"`{parameter}` names one of the inputs",
    )


def _same_input(a: Input, b: Input) -> bool:
    """Whether two inputs are the same object, path, latent, or face of a sample.

    A sample makes a new object each time a face is taken out of it.
    """
    if isinstance(a, str | os.PathLike) and isinstance(b, str | os.PathLike):
        return Path(a) == Path(b)
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a is b or (a.device == b.device and a.dtype == b.dtype and a.equal(b))
    if isinstance(a, Face) and isinstance(b, Face):
        return a.model is b.model and _same_input(a.latent, b.latent)
    return a is b


def _name_of_input(each: Input) -> str:
    return repr(each) if isinstance(each, Result | Tensor) else name_of(each)


def _deduplicate(inputs: Sequence[Input]) -> tuple[list[int], list[Input]]:
    """For each input its index in the list of distinct inputs, and that list."""
    found: list[Input] = []
    places = []
    for each in inputs:
        place = next((i for i, other in enumerate(found) if _same_input(each, other)), len(found))
        if place == len(found):
            found.append(each)
        places.append(place)
    return places, found


def latents_of(inputs: Sequence[Input], model: Model) -> list[Person]:
    """The person behind each input that has a latent. Raises `ConfigError` for a photo."""
    found = [_know(each, model) for each in inputs]
    for each in found:
        if isinstance(each, Photo):
            raise ConfigError(
                f"{each.name} is a photo, and has no latent",
                hint="invert it first, or mix it: that draws it anew",
            )
    return [each for each in found if isinstance(each, Person)]


def _resolve_one(each: Input, model: Model, framing: Framing) -> Person | tuple[Framed, Photo]:
    """The person if the input has a latent, else the framed photo."""
    found = _know(each, model)
    if isinstance(found, Person):
        return found
    return frame_photo(found, model.size, model.frame, framing, model.say), found


def _know(each: Input, model: Model) -> Person | Photo:
    """The person if the input has a latent, else the photo it is."""
    if isinstance(each, Face | Inverted | Mixed):
        name = each.name if isinstance(each, Inverted) else repr(each)
        latent.check_belongs(each.model.weights.id, model.weights.id, name)
        face = each.target if isinstance(each, Inverted) else None
        return _draw_person(name, each.latent, model, face)
    if isinstance(each, Tensor):
        return _draw_person("the latent", each.detach().cpu().float(), model)
    each = _picture_of(each) if isinstance(each, Upscaled) else each
    name = name_of(each)
    stored, each = _look_for_latent(each)
    if stored is not None:
        latent.check_belongs(stored.weights_id, model.weights.id, name)
        return _draw_person(name, stored.latent, model)
    photo = Photo.read(each)
    z = _carried_latent(photo, model)
    return photo if z is None else _draw_person(photo.name, z, model)


def list_inputs(inputs: Any, shape: tuple[int, ...]) -> list[Input]:
    """One input as a list of one; of several faces in one result, or latents in a tensor, each."""
    if isinstance(inputs, Sampled):
        return list(inputs)
    if isinstance(inputs, Tensor):
        return list(inputs) if inputs.shape[1:] == shape else [inputs]
    if is_single(inputs) or isinstance(inputs, Result):
        return [find_example(inputs)]
    several = (each if isinstance(each, Sampled) else [find_example(each)] for each in inputs)
    return [one for each in several for one in each]


def list_shares(weights: Any) -> list[float] | None:
    """A number, several, an array or a tensor. Raises `ConfigError` for none."""
    if weights is None:
        return None
    shares = np.asarray(weights, dtype=float).ravel().tolist()
    if not shares:
        raise ConfigError("`weights` is empty", hint="leave it out for equal shares")
    return shares


def _look_for_latent(each: Source) -> tuple[LatentFile | None, Source]:
    """The latent file that an input is, if it is one, and the input.

    A plain file is one by its suffix. Anything else is read, once, and shows it by its content.
    """
    is_path = isinstance(each, str | os.PathLike)
    if is_path and not is_pipe(each):
        is_latent = Path(each).suffix == ".safetensors"  # type: ignore[arg-type]
        return latent.load_latent(Path(each)) if is_latent else None, each  # type: ignore[arg-type]
    if not is_path and not isinstance(each, bytes) and not hasattr(each, "read"):
        return None, each
    name = name_of(each)
    with images.read_errors(name):
        content = read_bytes(each)  # type: ignore[arg-type]
    if latent.looks_like_tensors(content):
        return latent.read_latent(content, name), each
    file = io.BytesIO(content)
    file.name = name
    return None, file


def _picture_of(each: Upscaled) -> np.ndarray | Image.Image:
    """An enlarged picture, with its colour profile if it has one."""
    if not each.like.info.get("icc_profile"):
        return each.image
    return images.from_array(to_8_bits(each.image), each.like)


def _carried_latent(photo: Photo, model: Model) -> Tensor | None:
    """The latent in a picture; None for a photo. Raises `ConfigError` for a picture of several."""
    text = photo.text.get(images.LATENT_KEY)
    if text is None:
        _refuse_several(photo)
        return None
    z, weights_id = latent.from_text(text, photo.name)
    if weights_id != model.weights.id:
        model.say(f"{photo.name}: drawn with other weights; inverting it as a photo")
        return None
    return z


def _draw_person(name: str, z: Tensor, model: Model, face: np.ndarray | None = None) -> Person:
    shape = model.latent_shape
    if z.numel() != math.prod(shape) or not latent.is_sound(z):
        raise LatentError(f"the latent in {name} is damaged", hint="invert or sample it again")
    z = z.view(shape)  # the text in a picture has no shape
    return Person(name, z, model.draw(z[None])[0] if face is None else face)


def _refuse_several(photo: Photo) -> None:
    """Raise `ConfigError` for a grid by `sample` or a strip by `mix`: both show several faces."""
    try:
        recipe = parse_object(photo.text.get(images.RECIPE_KEY) or "{}")
        sampled, mixed = (take(recipe.get(k, {}), dict[str, Any]) for k in ("sample", "mix"))
        count = sum(len(take(sampled.get(key, []), list[Any])) for key in ("seeds", "latents"))
    except ValueError:  # another program's
        return
    kind = next((kind for kind in ("strip", "matrix") if mixed.get(kind)), None)
    if kind is not None:
        raise ConfigError(f"{photo.name} is a {kind} of faces", hint=f"mix again without `{kind}`")
    if count > 1:
        raise ConfigError(
            f"{photo.name} is a grid of {count} faces", hint="use the picture of one face"
        )
