"""Files <-> uint8 RGB arrays <-> tensors: the only place that knows the pixel scale.

Arrays are uint8 ``(H, W, 3)``; tensors are float32 ``(N, 3, H, W)`` in ``[-0.5, 0.5]``, the
paper's scale (section 3.1).
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from ..core.checks import nearest
from ..core.errors import ImageError, NeuralidError
from ..core.files import write_atomically
from ..core.memory import is_out_of_memory
from . import colour, depth, jpeg
from .examples import EXAMPLES
from .formats import UNWRITABLE, check_format, check_written, fit, header_lock
from .phones import NotReadableError, prepare

if TYPE_CHECKING:  # torch takes a second to import; reading pictures does not need it
    from torch import Tensor

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".avif", ".heic", ".heif")
FORMATS = "use JPEG, PNG, WebP, BMP, AVIF or HEIC"  # a hint
# Bytes of a picture's file: more than Pillow's most pixels take with 16 bits a colour. Some formats
# are read whole before anything is known about the picture.
MOST_BYTES = 600_000_000
ORIENTATION = 0x0112  # the EXIF tag
LATENT_KEY = "neuralid-latent"  # PNG text: the latent a picture was made from
RECIPE_KEY = "neuralid-recipe"  # PNG text: how a picture was made
JPEG_QUALITY = 95
FINE_KEY = "neuralid-fine"  # in a picture's info: as JPEG, written so that it stays as it is


def open_picture(source: Path | BinaryIO, name: str = "") -> Image.Image:
    """Open a picture and decode it, upright (EXIF), in its own mode.

    Raises `ImageError` for a file that is missing, empty, truncated, not a picture, too large, or
    has more pixels than Pillow considers safe (89 million).
    """
    name = name or str(source)
    with (
        read_errors(name),
        source.open("rb") if isinstance(source, Path) else nullcontext(source) as file,
    ):
        if isinstance(source, Path):
            check_bytes(os.fstat(file.fileno()).st_size)
        picture = open_header(file)
        depth.mark_unsigned(picture)
        picture.load()
        return ImageOps.exif_transpose(picture)


def check_bytes(count: int) -> None:
    """Raise `ValueError` for a file too large to be a picture, before it is read."""
    if count > MOST_BYTES:
        raise ValueError(f"{count / 1e6:.0f} MB are too many; the limit is {MOST_BYTES / 1e6:.0f}")


def open_header(file: BinaryIO) -> Image.Image:
    """Open a picture without decoding it; too many pixels raise Pillow's warning as an error."""
    prepare(file)
    with header_lock, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(file)


def read_sides(path: Path) -> tuple[int, int]:
    """Width and height as stored, without decoding the picture. Raises `ImageError`."""
    with read_errors(str(path)), path.open("rb") as file:
        return open_header(file).size


@contextmanager
def read_errors(name: str) -> Iterator[None]:
    """Turn any error while the picture ``name`` is read into an `ImageError` with a hint.

    The one place that does. Decoders raise almost anything for a file that is damaged or of a kind
    they don't know, so no list of errors would be complete.
    """
    try:
        yield
    except NeuralidError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise ImageError(
            f"{name} has too many pixels", hint=f"the limit is {limit} megapixels; shrink it"
        ) from error
    except FileNotFoundError as error:
        hint = f"{nearest(name, EXAMPLES)}check the name and the folder"
        raise ImageError(f"{name} does not exist", hint=hint) from error
    except IsADirectoryError as error:
        raise ImageError(
            f"{name} is a folder", hint=f"name the pictures in it: {name}/*.jpg"
        ) from error
    except NotReadableError as error:
        raise ImageError(f"{name} {error}", hint=error.hint) from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is not a picture", hint=FORMATS) from error
    except Exception as error:
        if is_out_of_memory(error):
            raise ImageError(f"not enough memory to read {name}", hint="shrink it") from error
        raise ImageError(f"{name} cannot be read: {_reason(error)}", hint=_hint(error)) from error


def _reason(error: Exception) -> str:
    """What an error says; with its type where the text alone would say little."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    said = str(error)
    plain = isinstance(error, OSError | SyntaxError | ValueError) and said
    return said if plain else f"{type(error).__name__} {said}".strip()


def _hint(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "check who may read it"
    unknown = isinstance(error, NotImplementedError)  # Pillow knows the format, but not this kind
    return FORMATS if unknown else "is it complete?"


def load_rgb(source: Path | BinaryIO, name: str = "") -> np.ndarray:
    """Read a picture as sRGB, uint8 ``(H, W, 3)``, upright; transparency is blended with white."""
    picture = open_picture(source, name)
    with read_errors(name or str(source)):
        return to_rgb(picture)


def to_rgb(picture: Image.Image) -> np.ndarray:
    """A Pillow picture of any mode, with or without a profile, as sRGB on white: see `load_rgb`."""
    if depth.is_deep(picture):
        grey = Image.fromarray(depth.to_8_bits(depth.to_16_bits(picture)))
        grey.info["icc_profile"] = picture.info.get("icc_profile")
        picture = grey
    return on_white(colour.to_screen(picture))


def on_white(picture: Image.Image) -> np.ndarray:
    """A picture of 8 bits a colour as RGB ``(H, W, 3)``, transparency blended with white."""
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return np.asarray(picture.convert("RGB"))


def to_array(picture: Image.Image) -> np.ndarray:
    """A Pillow picture as integers, keeping grey, alpha and 16 bits, in its own colours.

    More than 16 bits become 16; CMYK and Lab become sRGB.

    Shape: uint8 or uint16 ``(H, W)`` for grey; ``(H, W, C)``, C 2 to 4, else, alpha last.
    """
    if depth.is_deep(picture):
        return depth.to_16_bits(picture)
    if picture.mode in ("CMYK", "LAB"):
        return np.asarray(colour.to_screen(picture))
    mode = "L" if picture.mode in colour.GREY else "RGB"
    return np.asarray(picture.convert(mode + ("A" if picture.has_transparency_data else "")))


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turn ``(H, W, C)`` according to its EXIF orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        array = array.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def from_array(array: np.ndarray, like: Image.Image) -> Image.Image:
    """Undo `to_array`; the colour profile of ``like`` is kept."""
    picture = Image.fromarray(array)
    if like.mode not in ("CMYK", "LAB"):  # whose profiles do not fit RGB
        known = ("icc_profile", FINE_KEY)
        picture.info |= {key: like.info[key] for key in known if like.info.get(key)}
    return picture


def to_tensor(images: np.ndarray) -> Tensor:
    """uint8 ``(N, H, W, 3)`` -> float32 ``(N, 3, H, W)`` in ``[-0.5, 0.5]``, the paper's scale."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255 - 0.5


def to_uint8(faces: Tensor) -> np.ndarray:
    """float ``(N, 3, H, W)`` in ``[-0.5, 0.5]`` -> uint8 ``(N, H, W, 3)``, rounded and clipped."""
    import torch

    pixels = (faces.detach().float() + 0.5).mul(255).round().clamp(0, 255)
    return pixels.permute(0, 2, 3, 1).to("cpu", torch.uint8).numpy()


def grid(images: np.ndarray, columns: int | None = None, gap: int = 0) -> np.ndarray:
    """Lay out uint8 pictures ``(N, H, W, 3)`` in rows, left to right, on white.

    ``columns`` defaults to the side of the smallest square that holds them all.
    """
    n, h, w, _ = images.shape
    columns = columns or int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    sheet = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * (h + gap), index % columns * (w + gap)
        sheet[top : top + h, left : left + w] = image
    return sheet


def save_picture(
    path: Path, picture: np.ndarray | Image.Image, text: dict[str, str] | None = None
) -> list[str]:
    """Write a picture in the format of its suffix; ``text`` goes into PNG files.

    Returns what the format could not hold, as messages. Raises `ImageError` for an unknown suffix
    or a picture that the format cannot hold at all, `OutputError` if the file cannot be written.
    """
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    format_ = check_format(path)
    try:
        fitting, lost = fit(picture, format_)
        content = encode(fitting, format_, text)
    except UNWRITABLE as error:
        raise ImageError(
            f"cannot write {path.name}: {error}", hint="use .png, which can store any picture"
        ) from error
    check_written(path, content, picture.size)
    write_atomically(path, content)
    return [f"{path}: {each}" for each in lost]


def encode(picture: Image.Image, format_: str = "PNG", text: dict[str, str] | None = None) -> bytes:
    """A picture as the bytes of a file in one of Pillow's formats; ``text`` goes into PNG files."""
    if format_ == "JPEG" and picture.mode == "RGB" and picture.info.get(FINE_KEY):
        return jpeg.encode(picture, picture.info.get("icc_profile"))
    buffer = io.BytesIO()
    picture.save(buffer, format_, **_save_options(picture, format_, text or {}))
    return buffer.getvalue()


def compress(picture: np.ndarray, quality: int = 80) -> bytes:
    """A uint8 picture ``(H, W, 3)`` as a small WebP file, for a page that shows many."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()


def _save_options(picture: Image.Image, format_: str, text: dict[str, str]) -> dict[str, object]:
    options: dict[str, object] = {}
    if profile := picture.info.get("icc_profile"):
        options["icc_profile"] = profile
    if format_ == "JPEG":
        options["quality"] = JPEG_QUALITY
    if format_ == "PNG" and text:
        chunk = PngImagePlugin.PngInfo()
        for key, value in text.items():
            chunk.add_text(key, value)
        options["pnginfo"] = chunk
    return options


def hstack(images: Sequence[np.ndarray], gap: int = 0) -> np.ndarray:
    """Put pictures of one size side by side: ``N x (H, W, 3) -> (H, N*W + gaps, 3)``."""
    return grid(np.stack(images), columns=len(images), gap=gap)


def vstack(images: Sequence[np.ndarray]) -> np.ndarray:
    """Stack pictures, on black: ``N x (H, W, 3) -> (sum of H, widest W, 3)``."""
    width = max(image.shape[1] for image in images)
    return np.concatenate(
        [np.pad(each, ((0, 0), (0, width - each.shape[1]), (0, 0))) for each in images]
    )
