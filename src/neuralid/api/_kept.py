"""A photo that is kept, with another face in it: the room that takes, and the doing."""

from __future__ import annotations

import numpy as np

from ..core.errors import ImageError
from ..core.memory import check_memory, memory_errors
from ..faces.config import CropConfig
from ..faces.crop import default_face_size
from ..faces.paste import needed_memory as needed_to_paste
from ..faces.paste import put_back
from ..pictures import colour
from ..pictures.canvas import Canvas
from ..pictures.photo import Photo
from ..upscaling.config import DEFAULT_METHOD
from ..upscaling.enlarge import needed_memory
from ._model import Model

LARGEST = 16.0  # a face put back into a photo is first enlarged at most this many times
_HINT = "keep a smaller photo"


def check_kept_room(photo: Photo, crop: CropConfig, model: Model) -> None:
    """Raise `ImageError` now, before the inversion, if a face in the photo does not fit memory."""
    check_memory(_needed(photo, crop, model.size), _words(photo), _HINT, ImageError)


def put_face_back(
    photo: Photo, face: np.ndarray, crop: CropConfig, model: Model
) -> tuple[np.ndarray, Canvas]:
    """The photo with a face, uint8 ``(S, S, 3)``, in the place of ``crop``; and its canvas."""
    with memory_errors(_words(photo), _HINT, _needed(photo, crop, model.size)):
        canvas = Canvas.of(photo)
        if canvas.lost is not None:
            model.say(f"{photo.name}: {canvas.lost}")
        large = model.enlarge(face[None], _ratio(_side(photo, crop), face.shape[1]))[0]
        own = colour.from_screen(large, canvas.like.info.get("icc_profile"))
        return canvas.paint(lambda before: put_back(before, own, crop)), canvas


def _needed(photo: Photo, crop: CropConfig, size: int) -> float:
    """About how many bytes it takes at its peak; ``size`` is the drawn face's."""
    height, width, side = photo.picture.height, photo.picture.width, _side(photo, crop)
    enlarging = needed_memory((size, size, 3), _ratio(side, size), DEFAULT_METHOD)
    return max(enlarging, needed_to_paste(height, width, side))


def _side(photo: Photo, crop: CropConfig) -> int:
    return crop.face_size or default_face_size(photo.picture.width, photo.picture.height)


def _ratio(side: int, size: int) -> float:
    """How many times a face of ``size`` pixels is enlarged for a place of ``side``."""
    return min(LARGEST, max(1.0, side / size))


def _words(photo: Photo) -> str:
    return f"{photo.name} with another face in it"
