"""Films of frames: GIF, WebP and animated PNG by Pillow, MP4 by OpenCV."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from ..core.errors import ConfigError, ImageError, OutputError
from ..core.files import write_atomically
from . import colour
from .formats import UNWRITABLE, check_size, is_half_clear, open_written, to_palette
from .images import open_header, read_errors
from .photo import Photo, count_frames

SUFFIXES = (".gif", ".webp", ".mp4")
# Formats of animated pictures, both read and written.
ANIMATED = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG", ".apng": "PNG"}
LONGEST_FRAME = {"GIF": 655_350, "WEBP": 16_777_215, "PNG": 65_535_000}  # milliseconds
# In byte 20 of an animated WebP. libwebp leaves it out where transparent pixels lie outside the
# rectangles that change, and then they are black.
WEBP_ALPHA = 0x10
MOST_LOOPS = 65_535  # GIF and WebP count no further


@dataclass(frozen=True)
class Film:
    """An animated picture: whole frames, uint8 ``(H, W, 3)`` or all ``(H, W, 4)``."""

    frames: list[np.ndarray]
    durations: list[float]  # of each frame, milliseconds
    loop: int | None  # times it plays, 0 for ever; None: once, and the file does not say so
    profile: bytes | None = None  # the ICC colour profile


def check_film(path: Path) -> None:
    """Raise `ConfigError` if films cannot be written under this suffix."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"{path.name}: this format does not support films",
            hint=f"name it with {', '.join(SUFFIXES[:-1])} or .mp4",
        )


def save_film(path: Path, frames: np.ndarray, rate: float) -> None:
    """Write frames, uint8 ``(N, H, W, 3)``, at ``rate`` frames/s, in the format of the suffix.

    GIF and WebP repeat for ever. Raises `ConfigError`, `ImageError` or `OutputError`.
    """
    check_film(path)
    check_size(path, frames.shape[2], frames.shape[1])
    if path.suffix.lower() == ".mp4":
        write_atomically(path, _encode_mp4(frames, rate))
        return
    # One palette for all frames, so that colours don't flicker.
    is_gif = path.suffix.lower() == ".gif"
    pictures = _quantise(frames) if is_gif else [Image.fromarray(frame) for frame in frames]
    options: dict[str, object] = {"optimize": False} if is_gif else {"quality": 85, "method": 4}
    durations = [round(1000 / rate)] * len(pictures)
    content = _encode(path, pictures, durations, {**options, "loop": 0})
    write_atomically(path, content)


def _quantise(frames: np.ndarray) -> list[Image.Image]:
    """Reduce frames to 255 colours, the same for all of them."""
    few = frames[:: max(1, len(frames) // 8)]
    sheet = Image.fromarray(np.concatenate(list(few), axis=1))
    palette = sheet.quantize(255, Image.Quantize.MEDIANCUT)
    return [Image.fromarray(f).quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]


def _encode_mp4(frames: np.ndarray, rate: float) -> bytes:
    """Through a temporary file: OpenCV cannot write to memory. Players expect even sides."""
    height, width = (side - side % 2 for side in frames.shape[1:3])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        fourcc = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(path), fourcc, rate, (width, height))
        if not writer.isOpened():
            raise OutputError(
                "this OpenCV build cannot write MP4", hint="name the film .gif or .webp"
            )
        for frame in frames:
            writer.write(np.ascontiguousarray(frame[:height, :width, ::-1]))
        writer.release()
        written = cv2.VideoCapture(str(path))
        count = round(written.get(cv2.CAP_PROP_FRAME_COUNT))
        written.release()
        if count != len(frames):
            raise OutputError(f"OpenCV wrote {count} of {len(frames)} frames", hint="try .webp")
        return path.read_bytes()


def read_film(photo: Photo) -> Film:
    """All frames of an animated picture, each as shown, upright, all of the largest one's size.

    Frames may be of different sizes (a GIF may draw beyond its canvas): smaller ones get a
    transparent edge, right and below. Raises `ImageError`.
    """
    with read_errors(photo.name):
        picture = open_header(io.BytesIO(photo.content or b""))
        loop, profile = picture.info.get("loop"), picture.info.get("icc_profile")
        frames, durations = [], []
        for _ in _step_through(picture):
            frames.append(np.asarray(ImageOps.exif_transpose(picture).convert("RGBA")))
            durations.append(float(picture.info.get("duration", 0)))
    height, width = np.max([frame.shape[:2] for frame in frames], axis=0)
    frames = [_widen(frame, height, width) for frame in frames]
    if all((frame[..., 3] == 255).all() for frame in frames):
        frames = [frame[..., :3] for frame in frames]
    return Film(frames, durations, loop, profile)


def check_animation(path: Path) -> None:
    """Raise `ConfigError` if animated pictures cannot be written under this suffix."""
    if path.suffix.lower() not in ANIMATED:
        raise ConfigError(
            f"{path.name}: this format does not support animation",
            hint=f"name it with {', '.join(ANIMATED)}",
        )


def suffix_of(photo: Photo) -> str:
    """The suffix of an animated picture's own format."""
    return next(suffix for suffix, name in ANIMATED.items() if name == photo.format)


def check_fits(path: Path, width: int, height: int, durations: Sequence[float]) -> None:
    """Raise `ImageError` if the suffix's format has no frames of that size or so many ms."""
    check_animation(path)
    check_size(path, width, height)
    longest = LONGEST_FRAME[ANIMATED[path.suffix.lower()]]
    if max(durations) > longest:
        raise ImageError(
            f"{path.name} would have a frame of {max(durations) / 1000:g} s; "
            f"this format has at most {longest / 1000:g} s",
            hint="use .png" if longest < LONGEST_FRAME["PNG"] else "make it shorter",
        )


def write_film(path: Path, film: Film) -> list[str]:
    """Write an animated picture in the format of the suffix.

    A GIF gets 255 colours per frame; pixels that are less than half opaque become transparent.
    Returns what the format could not hold, as messages. Raises `ConfigError`, `ImageError` or
    `OutputError`.
    """
    height, width = film.frames[0].shape[:2]
    check_fits(path, width, height, film.durations)
    format_ = ANIMATED[path.suffix.lower()]
    lost = _find_losses(film, format_)
    frames = film.frames
    if format_ == "GIF":
        frames = [colour.array_to_screen(frame, film.profile) for frame in frames]
    pictures = [to_palette(f) if format_ == "GIF" else Image.fromarray(f) for f in frames]
    durations = [round(d) for d in film.durations]
    write_atomically(path, _encode(path, pictures, durations, _options(film, format_)))
    return [f"{path}: {each}" for each in lost]


def _options(film: Film, format_: str) -> dict[str, object]:
    """Pillow's options for a film."""
    loop = film.loop if film.loop is None or format_ == "PNG" else min(film.loop, MOST_LOOPS)
    own: dict[str, object] = {"loop": 1 if loop is None else loop}
    if format_ == "GIF":
        # A frame with transparent pixels must clear the previous one.
        own = {"optimize": False, "disposal": 2 if film.frames[0].shape[2] == 4 else 1}
        own |= {} if loop is None else {"loop": loop}
    elif film.profile:
        own["icc_profile"] = film.profile
    if format_ == "WEBP":
        own |= {"quality": 90, "method": 4}
    return own


def _find_losses(film: Film, format_: str) -> list[str]:
    if format_ != "GIF":
        return []
    losses = []
    first = film.frames[0]
    if colour.array_to_screen(first, film.profile) is not first:
        losses.append("GIF holds no colour profile; colours were converted to sRGB")
    if first.shape[2] == 4 and any(is_half_clear(frame[..., 3]) for frame in film.frames):
        losses.append("GIF holds no half transparency")
    return losses


def _encode(
    path: Path, pictures: list[Image.Image], durations: list[int], options: dict[str, object]
) -> bytes:
    """A film as the bytes of a file, which has been read again. Raises `ImageError`."""
    buffer = io.BytesIO()
    first, *others = pictures
    try:
        first.save(
            buffer,
            ANIMATED[path.suffix.lower()],
            save_all=True,
            append_images=others,
            duration=durations,
            **options,
        )
    except UNWRITABLE as error:
        raise ImageError(f"cannot write {path.name}: {error}", hint="try .webp") from error
    content = bytearray(buffer.getvalue())
    if content[12:16] == b"VP8X" and any(map(_is_clear, pictures)):
        content[20] |= WEBP_ALPHA
    _check_written(path, bytes(content), pictures, durations)
    return bytes(content)


def _check_written(
    path: Path, content: bytes, pictures: list[Image.Image], durations: list[int]
) -> None:
    """Raise `ImageError` unless a film can be read, and is as large and as long as it should be.

    The number of frames may differ: formats join those that look the same.
    """
    with read_errors(path.name):
        film = open_written(content)
        there, sizes, clear = 0.0, {film.size}, []
        for _ in _step_through(film):
            there += float(film.info.get("duration", 0))
            sizes.add(film.size)
            clear.append(_is_clear(film))
        count = count_frames(film)
    rounding = 10 * len(durations)  # a GIF counts in 10 ms
    is_whole = abs(there - sum(durations)) <= rounding and count > 1
    is_like = sizes == {pictures[0].size} and any(clear) == any(map(_is_clear, pictures))
    if not is_like or not (is_whole or (count == 1 and _is_still(pictures))):
        raise ImageError(
            f"cannot write {path.name}: Pillow wrote another film than it was given",
            hint="try .webp",
        )


def _is_clear(picture: Image.Image) -> bool:
    """Whether something of a picture is transparent."""
    if not picture.has_transparency_data:
        return False
    return bool(np.asarray(picture.convert("RGBA"))[..., 3].min() < 255)


def _is_still(pictures: list[Image.Image]) -> bool:
    """Whether all frames look the same."""
    seen = (np.asarray(picture.convert("RGBA")) for picture in pictures)
    visible = [frame * (frame[..., 3:] > 0) for frame in seen]
    return all(np.array_equal(frame, visible[0]) for frame in visible)


def _widen(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """The frame with a transparent edge, right and below."""
    missing = height - frame.shape[0], width - frame.shape[1]
    return np.pad(frame, ((0, missing[0]), (0, missing[1]), (0, 0))) if any(missing) else frame


def _step_through(picture: Image.Image) -> Iterator[int]:
    first = int(bool(picture.info.get("default_image")))
    for index in range(first, first + count_frames(picture)):
        picture.seek(index)
        picture.load()
        yield index
