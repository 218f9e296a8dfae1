"""The paper's ``celeba_preprocessing`` (section 3.1): four numbers -> one square face."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..core.errors import ImageError
from .config import CropConfig

CELEBA = {(178, 218): 108, (89, 109): 54}  # (width, height) -> the paper's face size


def default_face_size(width: int, height: int) -> int:
    """108 for CelebA's 178x218 pictures, 54 at half that size, else the largest square, pixels."""
    return CELEBA.get((width, height), min(width, height))


def crop_face(
    image: np.ndarray, size: int, crop: CropConfig, *, extend: bool = False
) -> np.ndarray:
    """Rotate about the centre, cut a square out, and shrink it to ``size`` pixels a side.

    Exactly the paper's code: nearest-neighbour rotation, black beyond the picture's edges,
    Pillow's bilinear filter. With ``extend``, the pixels at the edges go on beyond them instead,
    and nothing that a turn moves past an edge is lost.

    Shape:
        - image: uint8 ``(H, W, 3)``
        - returns: uint8 ``(size, size, 3)``

    Raises `ImageError` where nothing of the picture is in the square.
    """
    face_size = crop.face_size or default_face_size(image.shape[1], image.shape[0])
    if extend:
        image = _extended(image, face_size, crop)
    picture = Image.fromarray(image)
    _check_inside(picture, face_size, crop)
    j = (picture.width - face_size) // 2 + crop.delta_j
    i = (picture.height - face_size) // 2 + crop.delta_i
    face = (
        picture.rotate(crop.rotation)
        .crop((j, i, j + face_size, i + face_size))
        .resize((size, size), Image.Resampling.BILINEAR)
    )
    return np.asarray(face)


def _check_inside(picture: Image.Image, face_size: int, crop: CropConfig) -> None:
    sides = ((picture.width, crop.delta_j), (picture.height, crop.delta_i))
    if any(abs(delta) >= (side + face_size) / 2 for side, delta in sides):
        raise ImageError(
            f"a square of {face_size} pixels moved by {crop.delta_j}, {crop.delta_i} is outside "
            f"the picture of {picture.width}x{picture.height}",
            hint="move it less: --delta-j to the right, --delta-i down, from the middle",
        )


def _extended(image: np.ndarray, face_size: int, crop: CropConfig) -> np.ndarray:
    """The picture with as much of its edge on all sides as the square reaches beyond them.

    Alike on all sides, so that the centre, and what the four numbers mean, stays.
    """
    height, width = image.shape[:2]
    x = crop.delta_j + np.array([-1, 1, -1, 1]) * face_size / 2  # corners, from the centre
    y = crop.delta_i + np.array([-1, -1, 1, 1]) * face_size / 2
    cos, sin = np.cos(np.radians(crop.rotation)), np.sin(np.radians(crop.rotation))
    across = np.abs([x, cos * x - sin * y]).max() - width / 2  # turned, and as they were
    down = np.abs([y, sin * x + cos * y]).max() - height / 2
    beyond = int(np.ceil(max(across, down))) + 2
    if beyond <= 2:
        return image
    return np.pad(image, ((beyond, beyond), (beyond, beyond), (0, 0)), mode="edge")
