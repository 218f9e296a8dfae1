"""What formats can hold, known before a picture is computed.

A format that is not asked for every day is tried with a small picture: what it gives back is what
it holds.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from ..core.errors import ImageError
from . import colour, depth

# The longest side, pixels, of pictures and films.
LONGEST_SIDE = {
    "WEBP": 16_383,
    "JPEG": 65_500,
    "MPO": 65_500,
    "PCX": 65_534,
    "GIF": 65_535,
    "SGI": 65_535,
    "TGA": 65_535,
    "AVIF": 65_534,
    "MP4": 8_191,
}
# What Pillow raises for a picture that a format cannot hold.
UNWRITABLE = (OSError, ValueError, OverflowError, RuntimeError, KeyError, struct.error)
header_lock = threading.Lock()  # warnings.catch_warnings is not thread-safe
_TRIED = (300, 200)  # width and height of the small picture; icons have other sides
_CLEAR = 128  # alpha from which a pixel of a GIF is opaque


def format_of(path: Path) -> str | None:
    """The name of the format that a suffix stands for, films' too; None if it is unknown."""
    suffix = path.suffix.lower()
    return "MP4" if suffix == ".mp4" else Image.registered_extensions().get(suffix)


def check_format(path: Path) -> str:
    """The format of a suffix. Raises `ImageError` if pictures cannot be written under it."""
    format_ = Image.registered_extensions().get(path.suffix.lower())
    if format_ is None or format_ not in Image.SAVE:
        raise ImageError(f"cannot write {path.name}: unknown suffix", hint="use .png or .jpg")
    reason = _find_fault(format_)
    if reason is not None:
        raise ImageError(f"cannot write {path.name}: {reason}", hint="use .png or .jpg")
    return format_


def check_size(path: Path, width: int, height: int) -> None:
    """Raise `ImageError` if the format of a suffix has no pictures of that size, in pixels."""
    longest = LONGEST_SIDE.get(format_of(path) or "")
    if longest is not None and max(width, height) > longest:
        raise ImageError(
            f"{path.name} would be {width}x{height}; this format has at most {longest} pixels "
            "a side",
            hint=f"make it smaller, or use {'.webp' if path.suffix == '.mp4' else '.png'}",
        )


def check_written(path: Path, content: bytes, size: tuple[int, int]) -> None:
    """Raise `ImageError` unless what is about to be written is a picture of that size.

    What cannot be read back, because Pillow only writes the format, is left unchecked.
    """
    try:
        there = open_written(content).size
    except (UnidentifiedImageError, Image.DecompressionBombError):
        return
    if there != size:
        raise ImageError(
            f"cannot write {path.name}: {size[0]}x{size[1]} became {there[0]}x{there[1]}",
            hint="use .png, which can store any picture",
        )


def open_written(content: bytes) -> Image.Image:
    """Open, without decoding it, a picture that this program has made, however large."""
    with header_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(content))


def fit(picture: Image.Image, format_: str) -> tuple[Image.Image, list[str]]:
    """The picture as a format can hold it, and what that took away, as messages.

    Colours become sRGB where there is no room for their profile, 16 bits 8 where there are no
    more, and transparency is laid on white where there is none.
    """
    lost = []
    picture = _in_full_colours(picture)
    profile = picture.info.get("icc_profile")
    if depth.is_deep(picture) and not (
        _holds(format_, "I;16") and _takes_profile(profile, format_)
    ):
        picture = _copy_info(Image.fromarray(depth.to_8_bits(np.asarray(picture))), picture)
        lost.append(f"{format_} holds only 8 bits a colour here")
    if not _takes_profile(profile, format_):
        screen = _to_screen(picture)
        if screen is not picture:
            lost.append(f"{format_} holds no colour profile; colours were converted to sRGB")
        picture = screen
    if picture.mode in ("LA", "RGBA"):
        picture, words = _fit_alpha(picture, format_)
        lost += words
    if picture.mode == "L" and not _holds(format_, "L"):
        picture = _copy_info(picture.convert("RGB"), picture)
    return picture, lost


def to_palette(frame: np.ndarray) -> Image.Image:
    """Reduce uint8 ``(H, W, 3 or 4)`` to 255 colours of its own and one for transparent pixels."""
    picture = Image.fromarray(frame[..., :3]).quantize(255, Image.Quantize.MEDIANCUT)
    if frame.shape[2] == 3:
        return picture
    places = np.asarray(picture).copy()
    places[frame[..., 3] < _CLEAR] = 255
    clear = Image.fromarray(places, "P")
    colours = picture.getpalette() or []
    clear.putpalette(colours + [0] * (3 * 256 - len(colours)))
    clear.info["transparency"] = 255
    return clear


def is_half_clear(alpha: np.ndarray) -> bool:
    """Whether something is neither transparent nor opaque."""
    return bool(((alpha > 0) & (alpha < 255)).any())


def _in_full_colours(picture: Image.Image) -> Image.Image:
    """Palettes as colours, and one colour that means transparent as alpha."""
    is_full = picture.mode in ("1", "L", "LA", "RGB", "RGBA", "CMYK")
    if depth.is_deep(picture) or (is_full and "transparency" not in picture.info):
        return picture
    mode = "L" if picture.mode in colour.GREY else "RGB"
    full = picture.convert(mode + ("A" if picture.has_transparency_data else ""))
    return _copy_info(full, picture)


def _fit_alpha(picture: Image.Image, format_: str) -> tuple[Image.Image, list[str]]:
    alpha = np.asarray(picture.getchannel("A"))
    if format_ == "GIF":
        words = ["GIF holds no half transparency"] if is_half_clear(alpha) else []
        return to_palette(np.asarray(picture.convert("RGBA"))), words
    if _holds(format_, picture.mode):
        return picture, []
    if _holds(format_, "RGBA"):
        return _copy_info(picture.convert("RGBA"), picture), []
    plain = "L" if picture.mode == "LA" else "RGB"
    white = Image.new(picture.mode, picture.size, "white")
    whole = Image.alpha_composite(white.convert("RGBA"), picture.convert("RGBA")).convert(plain)
    words = [f"{format_} holds no transparency; it was laid on white"] if alpha.min() < 255 else []
    return _copy_info(whole, picture), words


def _to_screen(picture: Image.Image) -> Image.Image:
    """In sRGB, grey as grey; itself if nothing changes."""
    screen = colour.to_screen(picture)
    is_grey = screen is not picture and picture.mode in colour.GREY
    return screen.convert(picture.mode) if is_grey else screen


def _copy_info(picture: Image.Image, like: Image.Image) -> Image.Image:
    picture.info = {key: like.info[key] for key in like.info if key != "transparency"}
    return picture


def _find_fault(format_: str) -> str | None:
    """Why a format is of no use for pictures of any size and colour; None if it is."""
    try:
        back = _give_back(format_, "RGB")
    except UNWRITABLE:
        return f"Pillow writes no colours as {format_}"
    if back is None:
        return None
    if back.size != _TRIED:
        return f"{format_} changes the size of pictures"
    is_coloured = back.mode in ("P", "RGB", "RGBA", "CMYK", "YCbCr")
    return None if is_coloured else f"{format_} holds no colours"


def _takes_profile(profile: bytes | None, format_: str) -> bool:
    return not profile or _holds_profiles(format_)


@lru_cache
def _holds_profiles(format_: str) -> bool:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    try:
        back = _give_back(format_, "RGB", profile)
    except UNWRITABLE:
        return False
    return back is not None and back.info.get("icc_profile") == profile


@lru_cache
def _holds(format_: str, mode: str) -> bool:
    """Whether a format gives back pictures of a mode, L, LA, RGBA or I;16, as they were."""
    try:
        back = _give_back(format_, mode)
    except UNWRITABLE:
        return False
    if back is None or mode == "L":
        return mode == "L"
    if mode == "I;16":
        return depth.is_deep(back)
    if not back.has_transparency_data:
        return False
    alpha = np.asarray(back.convert("RGBA").getchannel("A"))[0, :: _TRIED[0] // 3]
    return bool(np.abs(alpha[:3].astype(int) - (0, 128, 255)).max() < 16)


@lru_cache
def _give_back(format_: str, mode: str, profile: bytes | None = None) -> Image.Image | None:
    """A small picture written and read again; None if Pillow cannot read the format."""
    picture = Image.new(mode, _TRIED)
    if mode in ("LA", "RGBA"):
        third = np.repeat(np.array([0, 128, 255], np.uint8), _TRIED[0] // 3)
        picture.putalpha(Image.fromarray(np.tile(third, (_TRIED[1], 1))))
    buffer = io.BytesIO()
    picture.save(buffer, format_, **({"icc_profile": profile} if profile else {}))
    try:
        back = Image.open(buffer)
        back.load()
    except OSError:
        return None
    return back
