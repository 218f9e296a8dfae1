"""The paper's ``celeba_preprocessing`` (section 3.1): four numbers -> one square face."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .config import CropConfig

CELEBA = {(178, 218): 108, (89, 109): 54}  # (width, height) -> the paper's face size


def default_face_size(width: int, height: int) -> int:
    """108 for CelebA's 178x218 pictures, 54 at half that size, else the largest square, pixels."""
    return CELEBA.get((width, height), min(width, height))


def crop_face(image: np.ndarray, size: int, crop: CropConfig) -> np.ndarray:
    """Rotate about the centre, cut a square out, and shrink it to ``size`` pixels a side.

    Exactly the paper's code: nearest-neighbour rotation, black beyond the picture's edges,
    Pillow's bilinear filter.

    Shape:
        - image: uint8 ``(H, W, 3)``
        - returns: uint8 ``(size, size, 3)``
    """
    picture = Image.fromarray(image)
    face_size = crop.face_size or default_face_size(picture.width, picture.height)
    j = (picture.width - face_size) // 2 + crop.delta_j
    i = (picture.height - face_size) // 2 + crop.delta_i
    face = (
        picture.rotate(crop.rotation)
        .crop((j, i, j + face_size, i + face_size))
        .resize((size, size), Image.Resampling.BILINEAR)
    )
    return np.asarray(face)
