"""A photo to paint a face on, which stays as it is where nothing is painted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from . import colour, depth
from .images import FINE_KEY, on_white
from .photo import Photo


@dataclass(frozen=True)
class Canvas:
    """A photo as colours that something can be painted on; it is otherwise kept as it is."""

    image: np.ndarray  # uint8 or uint16 (H, W, 3), or (H, W, 4) with alpha, in the own colours
    like: Image.Image  # their profile, and that as JPEG it is to be written finely
    lost: str | None  # what of the photo cannot be kept, as a message

    @classmethod
    def of(cls, photo: Photo) -> Canvas:
        """In the photo's own colours if sRGB can be computed into them, else in sRGB."""
        image, like = photo.exact, Image.new("RGB", (1, 1))
        lost = photo.loss
        if not colour.can_return(photo.picture):
            lost = "its colour profile is not one of RGB; the result is in sRGB"
            image = colour.array_to_screen(depth.to_8_bits(image), _own_profile(photo))
        elif photo.profile and not _is_grey(photo.picture):
            like.info["icc_profile"] = photo.profile
        like.info[FINE_KEY] = True
        return cls(_in_colour(image), like, lost)

    @property
    def shown(self) -> np.ndarray:
        """On white, in the photo's own colours: uint8 ``(H, W, 3)``."""
        return on_white(Image.fromarray(depth.to_8_bits(self.image)))

    def paint(self, face: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """The photo as ``face`` changes it; what it leaves alone keeps its depth and alpha."""
        before = self.shown
        after = face(before)
        changed = (after != before).any(axis=2)
        result = self.image.copy()
        result[changed, :3] = depth.to_depth(after[changed], result.dtype)
        result[changed, 3:] = np.iinfo(result.dtype).max
        return result


def _own_profile(photo: Photo) -> bytes | None:
    """The profile of `Photo.exact`: that of CMYK and Lab is already used up there."""
    return None if photo.picture.mode in ("CMYK", "LAB") else photo.profile


def _is_grey(picture: Image.Image) -> bool:
    return picture.mode in colour.GREY or depth.is_deep(picture)


def _in_colour(image: np.ndarray) -> np.ndarray:
    """Grey, with or without alpha, as three equal colours."""
    grey = image[..., None] if image.ndim == 2 else image
    return grey[..., [0, 0, 0, 1][: grey.shape[2] + 2]] if grey.shape[2] < 3 else grey
