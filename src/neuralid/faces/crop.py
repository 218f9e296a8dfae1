"""The paper's ``celeba_preprocessing`` (section 3.1): cut one square face by four numbers."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..core.errors import ImageError
from .config import CropConfig

CELEBA = {(178, 218): 108, (89, 109): 54}  # (width, height) -> the paper's face size


def default_face_size(width: int, height: int) -> int:
    """Pixels: 108 for CelebA's 178x218 pictures, 54 at half that size, else the largest square."""
    return CELEBA.get((width, height), min(width, height))


def crop_face(
    image: np.ndarray, size: int, crop: CropConfig, *, extend: bool = False
) -> np.ndarray:
    """Rotate about the centre, cut out a square, and resize it to ``size`` pixels per side.

    Exactly the paper's code: nearest-neighbour rotation, black beyond the picture's edges,
    Pillow's bilinear filter. With ``extend``, the edge pixels are repeated beyond the edges
    instead, and nothing that the rotation moves past an edge is lost.

    Shape:
        - image: uint8 ``(H, W, 3)``
        - returns: uint8 ``(size, size, 3)``

    Raises `ImageError` if the square lies entirely outside the picture.
    """
    face_size = crop.face_size or default_face_size(image.shape[1], image.shape[0])
    if extend:
        image = _extend_edges(image, face_size, crop)
    _check_inside(image.shape[1], image.shape[0], face_size, crop)
    return _cut(image, size, face_size, crop)


def find_photo(
    width: int, height: int, size: int, crop: CropConfig, *, extend: bool = False
) -> np.ndarray | None:
    """How much of each pixel that `crop_face` gives is photo, and not beyond its edges.

    Shape: float32 ``(size, size)``, from 0 to 1; None if all of it is photo.
    """
    face_size = crop.face_size or default_face_size(width, height)
    beyond = _reach(width, height, face_size, crop)
    if not beyond:
        return None
    photo = np.pad(np.full((height, width), 255, np.uint8), beyond if extend else 0)
    return _cut(photo, size, face_size, crop) / np.float32(255)


def _cut(image: np.ndarray, size: int, face_size: int, crop: CropConfig) -> np.ndarray:
    height, width = image.shape[:2]
    j = (width - face_size) // 2 + crop.delta_j
    i = (height - face_size) // 2 + crop.delta_i
    is_inside = min(i, j) >= 0 and i + face_size <= height and j + face_size <= width
    if is_inside and not crop.rotation:  # then nothing is copied but the square
        square = Image.fromarray(image[i : i + face_size, j : j + face_size])
    else:
        turned = Image.fromarray(image).rotate(crop.rotation)
        square = turned.crop((j, i, j + face_size, i + face_size))
    return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))


def _check_inside(width: int, height: int, face_size: int, crop: CropConfig) -> None:
    sides = ((width, crop.delta_j), (height, crop.delta_i))
    if any(abs(delta) >= (side + face_size) / 2 for side, delta in sides):
        raise ImageError(
            f"a square of {face_size} pixels moved by {crop.delta_j}, {crop.delta_i} is outside "
            f"the picture of {width}x{height}",
            hint="move it less: `delta_j` is to the right, `delta_i` down, from the middle",
        )


def _extend_edges(image: np.ndarray, face_size: int, crop: CropConfig) -> np.ndarray:
    """Pad the picture with its edge pixels, as far as the square reaches beyond it.

    All sides get the same padding, so the centre stays, and with it what the four numbers mean.
    """
    beyond = _reach(image.shape[1], image.shape[0], face_size, crop)
    if not beyond:
        return image
    return np.pad(image, ((beyond, beyond), (beyond, beyond), (0, 0)), mode="edge")


def _reach(width: int, height: int, face_size: int, crop: CropConfig) -> int:
    """How many pixels the square reaches beyond the picture, and two; 0 if it does not."""
    x = crop.delta_j + np.array([-1, 1, -1, 1]) * face_size / 2  # corners, from the centre
    y = crop.delta_i + np.array([-1, -1, 1, 1]) * face_size / 2
    cos, sin = np.cos(np.radians(crop.rotation)), np.sin(np.radians(crop.rotation))
    across = np.abs([x, cos * x - sin * y]).max() - width / 2  # rotated, and as they are
    down = np.abs([y, sin * x + cos * y]).max() - height / 2
    beyond = int(np.ceil(max(across, down))) + 2
    return beyond if beyond > 2 else 0
