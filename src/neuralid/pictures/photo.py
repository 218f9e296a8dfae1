"""A picture, read once: its pixels, and everything that came with them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, TypeGuard

import numpy as np
from PIL import Image, ImageOps

from ..core.errors import ConfigError, ImageError
from ..core.files import write_atomically
from . import depth, jpeg_parts, png
from .examples import find_example
from .formats import check_format
from .images import (
    FINE_KEY,
    JPEG_QUALITY,
    MOST_BYTES,
    ORIENTATION,
    check_bytes,
    from_array,
    open_header,
    read_errors,
    save_picture,
    to_array,
    to_rgb,
    upright,
)

LARGE = 25_000_000  # pixels from which on a file is written in parts, as Pillow copies them all
ANIMATED = ("GIF", "WEBP", "PNG")  # formats whose animations are read


@dataclass(frozen=True, eq=False)
class Photo:
    """The contents of a picture file, or of a picture in memory. `Photo.read` makes one.

    The source is read only once, so it may be a pipe.
    """

    name: str  # for messages: the file's name, or a phrase for a picture without one
    picture: Image.Image = field(repr=False)  # decoded, upright, in its own mode
    orientation: int = 1  # the EXIF tag before the picture was turned upright
    array: np.ndarray | None = field(default=None, repr=False)  # where Pillow would lose depth
    content: bytes | None = field(default=None, repr=False)  # the file; None if in memory
    loss: str | None = None  # what reading it took away from its colours, as a message

    @classmethod
    def read(cls, source: Source) -> Photo:
        """Read a path, the bytes of a file, an open file, a Pillow picture or an array.

        Of a Pillow picture the frame it shows is taken, without its text, since it may have been
        edited. Arrays are uint8 or uint16, ``(H, W)`` for grey or ``(H, W, C)``, C 1 to 4, alpha
        last if C is 2 or 4. Raises `ImageError` if the source is missing, empty, truncated, not a
        picture, larger than 600 MB, or has more pixels than Pillow considers safe (89 million).
        """
        if isinstance(source, Photo):
            return source
        if isinstance(source, np.ndarray):
            return _from_array(source)
        if isinstance(source, Image.Image):
            return _from_picture(source)
        name = name_of(source)
        with read_errors(name):
            return _from_content(read_bytes(source), name)

    @cached_property
    def pixels(self) -> np.ndarray:
        """sRGB, uint8 ``(H, W, 3)``, upright; transparency is blended with white."""
        with read_errors(self.name):
            return to_rgb(self.picture)

    @cached_property
    def exact(self) -> np.ndarray:
        """The pixel values as stored, upright, keeping grey, alpha and 16 bits.

        They are colours of the profile. More than 16 bits become 16; CMYK and Lab become sRGB.

        Shape: uint8 or uint16 ``(H, W)`` for grey; ``(H, W, C)``, C 2 to 4, else, alpha last.
        """
        with read_errors(self.name):
            return to_array(self.picture) if self.array is None else self.array

    @property
    def profile(self) -> bytes | None:
        """The ICC colour profile."""
        return self.picture.info.get("icc_profile")

    @property
    def format(self) -> str | None:
        """Pillow's name of the file's format, such as "JPEG"; None for a picture in memory."""
        if self.content is None:
            return None
        with read_errors(self.name):
            return open_header(io.BytesIO(self.content)).format

    @property
    def text(self) -> dict[str, str]:
        """PNG text by key; none for a picture in memory, which may not be what it was made as."""
        info = self.picture.info if self.content is not None else {}
        return {str(key): value for key, value in info.items() if isinstance(value, str)}

    @cached_property
    def frame_count(self) -> int:
        """Frames of an animation; 1 for a still."""
        if self.content is None:
            return 1
        with read_errors(self.name):
            return count_frames(open_header(io.BytesIO(self.content)))


Source = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray | Photo
_SINGLE = (str, os.PathLike, bytes, bytearray, memoryview, Image.Image, np.ndarray, Photo)


def is_single(source: object) -> bool:
    """Whether this is the source of a single picture, not a sequence of sources."""
    is_many = hasattr(source, "__iter__") and not hasattr(source, "read")
    return isinstance(source, _SINGLE) or not is_many


def as_list(sources: Source | Sequence[Source]) -> list[Source]:
    """One source as a list of one; a sequence as a list. Names of example faces are found.

    Raises `ConfigError` for a pipe that is named twice.
    """
    several = [sources] if is_single(sources) else list(sources)  # type: ignore[arg-type]
    check_pipes(several)
    return [find_example(each) for each in several]  # type: ignore[arg-type]


def count_frames(picture: Image.Image) -> int:
    """Frames of the animation, without a PNG's still picture for programs that cannot animate."""
    if picture.format not in ANIMATED:
        return 1
    return int(getattr(picture, "n_frames", 1)) - bool(picture.info.get("default_image"))


def save_exact(
    path: Path, array: np.ndarray, like: Image.Image, text: dict[str, str] | None = None
) -> list[str]:
    """Write an array like `Photo.exact`, with the colour profile of ``like``.

    ``text`` goes into PNG files. Returns what the format could not hold, as messages. Raises the
    same errors as `images.save_picture`.
    """
    is_deep = array.dtype == np.uint16 and array.ndim == 3
    is_large = array.shape[0] * array.shape[1] >= LARGE
    if (is_deep or is_large) and (parts := _in_parts(check_format(path), array, like, text)):
        _write_parts(path, parts)
        return []
    if is_deep:
        lost = [f"{path}: {check_format(path)} holds only 8 bits a colour here"]
        return lost + save_picture(path, from_array(depth.to_8_bits(array), like))
    return save_picture(path, from_array(array, like), text)


def _in_parts(
    format_: str, array: np.ndarray, like: Image.Image, text: dict[str, str] | None
) -> Iterator[bytes] | None:
    """The parts of a file made without Pillow's copy of the whole; None where there is no way."""
    profile = None if like.mode in ("CMYK", "LAB") else like.info.get("icc_profile")
    if format_ == "PNG":
        return png.encode_parts(array, profile, text)
    if format_ == "JPEG" and jpeg_parts.can_encode(array) and not like.info.get(FINE_KEY):
        return jpeg_parts.encode_parts(array, quality=JPEG_QUALITY, icc_profile=profile)
    return None


def _write_parts(path: Path, parts: Iterable[bytes]) -> None:
    def write(place: Path) -> None:
        with place.open("wb") as file:
            file.writelines(parts)

    write_atomically(path, write)


def kind_of(photo: Photo) -> Image.Image:
    """A photo's kind and colour profile, without its pixels: ``like`` of `save_exact`."""
    like = Image.new(photo.picture.mode, (1, 1))
    if photo.profile is not None:
        like.info["icc_profile"] = photo.profile
    return like


def _from_content(content: bytes, name: str) -> Photo:
    picture = open_header(io.BytesIO(content))
    turned = int(picture.getexif().get(ORIENTATION, 1))
    loss = depth.find_loss(picture, content)
    depth.mark_unsigned(picture)
    picture.load()
    deep = png.decode(content) if png.is_deep(content[:26]) else None
    array = None if deep is None else upright(deep, turned)
    loss = loss if array is None else None
    return Photo(name, ImageOps.exif_transpose(picture), turned, array, content, loss)


def _from_picture(picture: Image.Image) -> Photo:
    name = name_of(picture)
    with read_errors(name):
        picture.load()
        turned = int(picture.getexif().get(ORIENTATION, 1))
        return Photo(name, ImageOps.exif_transpose(picture), turned)


def _from_array(array: np.ndarray) -> Photo:
    shape = array.shape
    fits = len(shape) == 2 or (len(shape) == 3 and 1 <= shape[2] <= 4)
    if array.dtype not in (np.uint8, np.uint16) or not fits or not array.size:
        raise ImageError(
            f"an array of {array.dtype} {shape} is not a picture",
            hint="give uint8 (H, W, 3), or (H, W) for grey, (H, W, 4) with alpha",
        )
    if array.ndim == 3 and shape[2] == 1:
        array = array[..., 0]
    picture = Image.fromarray(np.ascontiguousarray(depth.to_8_bits(array)))
    return Photo(name_of(array), picture, array=array)


def is_pipe(source: object) -> TypeGuard[str | os.PathLike[str]]:
    """Whether a source is a path that can be read only once."""
    if not isinstance(source, str | os.PathLike):
        return False
    path = Path(source)
    return path.exists() and not path.is_file() and not path.is_dir()


def check_pipes(sources: Sequence[object]) -> None:
    """Raise `ConfigError` for a pipe that is named twice: reading it again would wait for ever."""
    pipes = [os.fspath(each) for each in sources if is_pipe(each)]
    if twice := next((each for each in pipes if pipes.count(each) > 1), None):
        raise ConfigError(f"{twice} is named twice, and a pipe can be read only once")


def read_bytes(source: str | os.PathLike[str] | bytes | BinaryIO) -> bytes:
    """The content of a picture's file, of any kind but an open picture or an array.

    Raises `OSError`, `ValueError` for more than 600 MB, `ImageError` for what is no source.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as file:
            check_bytes(os.fstat(file.fileno()).st_size)
            return _read(file)
    content = _read(source) if hasattr(source, "read") else None
    if not isinstance(content, bytes):
        kind = type(source).__name__
        hint = "give a path, bytes, a file opened as binary, a Pillow picture or an array"
        raise ImageError(f"this {kind} is not a picture", hint=hint)
    return content


def _read(file: BinaryIO) -> bytes:
    """All of a file, which may be a pipe. Raises `ValueError` if it is too large for a picture."""
    content = file.read(MOST_BYTES + 1)
    if isinstance(content, bytes):
        check_bytes(len(content))
    return content


def name_of(source: Source) -> str:
    """The name of a source in messages."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, np.ndarray):
        return "the array"
    named = getattr(source, "filename" if isinstance(source, Image.Image) else "name", None)
    return named if named and isinstance(named, str) else "the picture"
