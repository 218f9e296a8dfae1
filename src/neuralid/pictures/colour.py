"""Colour profiles (ICC): a picture's own colours <-> sRGB, in which the program computes.

A profile that is damaged, or of another kind of colours than its picture, is ignored, as other
programs do. So is one that means sRGB, to within one level: most photos have it.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Literal

import numpy as np
from PIL import Image, ImageCms

GREY = ("1", "L", "LA", "La")  # modes
_MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK", "Lab": "LAB"}  # of a profile's pictures
_STEPS = 9  # colours along each axis that are compared to find out whether a profile means sRGB
# What Pillow raises for a profile that it cannot use, and where it was built without profiles.
_UNUSABLE = (ImageCms.PyCMSError, OSError, ValueError, TypeError, ImportError)


def to_screen(picture: Image.Image) -> Image.Image:
    """The picture in sRGB: RGB or RGBA; itself if nothing has to be converted.

    Modes of 8 bits a colour only. CMYK and Lab are always converted.
    """
    profile = picture.info.get("icc_profile") or b""
    if not profile and picture.mode not in ("CMYK", "LAB"):
        return picture
    mode = "L" if picture.mode in GREY else picture.mode
    mode = mode if mode in ("L", "CMYK", "LAB") else "RGB"
    transform = _to_screen(profile, mode)
    if transform is None:
        return picture.convert("RGB") if mode == "CMYK" else picture
    alpha = None
    if picture.has_transparency_data:
        picture = picture.convert("LA" if mode == "L" else "RGBA")
        alpha = picture.getchannel("A")
    converted = transform.apply(picture.convert(mode))
    converted.info.pop("icc_profile", None)
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def array_to_screen(image: np.ndarray, profile: bytes | None) -> np.ndarray:
    """A picture in sRGB, or itself if nothing has to be converted.

    Shape: uint8 ``(H, W)``, or ``(H, W, C)`` with C 2 to 4, alpha last if C is 2 or 4.
    """
    picture = Image.fromarray(image)
    picture.info["icc_profile"] = profile
    screen = to_screen(picture)
    return image if screen is picture else np.asarray(screen)


def from_screen(image: np.ndarray, profile: bytes | None) -> np.ndarray:
    """sRGB in the colours of a profile for which `can_return` holds.

    Shape: uint8 ``(H, W, 3)`` -> ``(H, W, 3)``.
    """
    if not profile or _to_screen(profile, "RGB") is None:
        return image
    picture = Image.fromarray(image)
    transform = _from_screen(profile)
    return image if transform is None else np.asarray(transform.apply(picture))


def can_return(picture: Image.Image) -> bool:
    """Whether sRGB can be computed back into the picture's own colours, as RGB."""
    profile = picture.info.get("icc_profile") or b""
    if picture.mode in ("CMYK", "LAB") or not profile:
        return not profile
    if picture.mode in GREY or picture.mode.startswith(("I", "F")):
        return _to_screen(profile, "L") is None
    return _to_screen(profile, "RGB") is None or _from_screen(profile) is not None


@lru_cache(maxsize=32)
def _to_screen(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile, or Lab without one, to sRGB; None if it is not needed, or not possible."""
    try:
        own = _open(profile) if mode != "LAB" else _make("LAB")
        if _MODES.get(own.profile.xcolor_space.strip()) != mode:
            return None
        transform = ImageCms.buildTransform(own, _make("sRGB"), mode, "RGB")
        return None if _is_screen(transform, mode) else transform
    except _UNUSABLE:
        return None


@lru_cache(maxsize=32)
def _from_screen(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """From sRGB to a profile of RGB; None if the profile goes one way only."""
    try:
        return ImageCms.buildTransform(_make("sRGB"), _open(profile), "RGB", "RGB")
    except _UNUSABLE:
        return None


def _make(space: Literal["LAB", "sRGB"]) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space))


def _open(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def _is_screen(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform to sRGB changes no colour by more than one level."""
    if mode not in ("L", "RGB"):
        return False
    steps = np.linspace(0, 255, _STEPS if mode == "RGB" else 256).round().astype(np.uint8)
    before = np.stack(np.meshgrid(*[steps] * len(mode)), axis=-1).reshape(1, -1, len(mode))
    after = transform.apply(Image.fromarray(before if mode == "RGB" else before[..., 0]))
    return bool(np.abs(np.asarray(after).astype(int) - before.astype(int)).max() <= 1)
