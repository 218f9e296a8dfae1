"""Depth: the bits of each colour that a file has, and what becomes of them."""

from __future__ import annotations

import numpy as np
from PIL import Image

UNSIGNED = "neuralid-unsigned"  # in a picture's info: Pillow's signed numbers are unsigned ones
# The largest number that a picture of 32 bits may be meant to have, whole numbers and others.
_TOPS = (0xFFFF, 0xFFFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
_REAL_TOPS = (1.0, 255.0, 65535.0)
# Where the header of a format that Pillow cuts to 8 bits has the depth: a box, how far behind its
# name, and what to add.
_BOXES = {"AVIF": (b"pixi", 9, 0), "HEIF": (b"pixi", 9, 0), "JPEG2000": (b"ihdr", 14, 1)}


def is_deep(picture: Image.Image) -> bool:
    """Whether a picture is grey with more than 8 bits: Pillow has no other deep ones."""
    return picture.mode.startswith(("I", "F"))


def mark_unsigned(picture: Image.Image) -> None:
    """Remember, before a picture is decoded, that its numbers of 32 bits have no sign."""
    if picture.mode == "I" and "I;32N" in _raw(picture):
        picture.info[UNSIGNED] = True


def find_loss(picture: Image.Image, content: bytes) -> str | None:
    """What reading a picture takes away from its colours, as a message; before it is decoded."""
    raw = _raw(picture)
    if is_deep(picture):
        return "32 bits a colour become 16" if ";32" in raw or ";64" in raw else None
    if ";16" in raw or _bits_in_header(picture, content) > 8:
        return "only 8 bits a colour can be read"
    return None


def to_16_bits(picture: Image.Image) -> np.ndarray:
    """A deep grey picture as uint16: ``(H, W)``, or ``(H, W, 2)`` if one grey means transparent.

    More than 16 bits are scaled, from the range that they are meant to have: nothing is clipped
    but what is below 0.
    """
    values = np.asarray(picture)
    clear = picture.info.get("transparency")
    grey = _scale(values, bool(picture.info.get(UNSIGNED)))
    if not isinstance(clear, int):
        return grey
    return np.stack([grey, np.where(values == clear, 0, 0xFFFF).astype(np.uint16)], axis=-1)


def to_8_bits(array: np.ndarray) -> np.ndarray:
    """uint16 -> uint8, rounded; uint8 as it is."""
    if array.dtype == np.uint8:
        return array
    return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)


def to_depth(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """uint8 as uint8 or uint16, white as white."""
    return array if dtype == np.uint8 else array.astype(np.uint16) * 257


def _scale(values: np.ndarray, unsigned: bool) -> np.ndarray:
    if values.dtype.kind == "f":
        values = np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0)
        most = float(values.max(initial=0))
        top = float(next((top for top in _REAL_TOPS if most <= top), most))
    else:
        values = values.astype(np.int64) & 0xFFFFFFFF if unsigned else values.astype(np.int64)
        most = int(values.max(initial=0))
        top = next(top for top in _TOPS if most <= top)
    values = values.clip(0, None)
    scaled = values if top == 0xFFFF else values * (0xFFFF / top)
    return np.asarray(scaled).round().astype(np.uint16)


def _raw(picture: Image.Image) -> str:
    """How Pillow is going to unpack the pixels, such as "RGB;16B"."""
    words = [str(tile[3]) for tile in getattr(picture, "tile", [])]
    if any(
        tile[0].startswith("ppm") and tile[3][-1] > 255 for tile in getattr(picture, "tile", [])
    ):
        words.append(";16")
    return " ".join(words)


def _bits_in_header(picture: Image.Image, content: bytes) -> int:
    if picture.format not in _BOXES:
        return 8
    name, behind, more = _BOXES[picture.format]
    place = content.find(name, 0, 4096)
    found = content[place + behind : place + behind + 1] if place >= 0 else b""
    return (found[0] & 0x7F) + more if found else 8
