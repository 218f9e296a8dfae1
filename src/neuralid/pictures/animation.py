"""Films of frames: GIF, WebP and animated PNG by Pillow, MP4 by OpenCV."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from ..core.errors import ConfigError, OutputError
from ..core.files import write_atomically
from .images import open_header, readable
from .photo import Photo, count_frames

SUFFIXES = (".gif", ".webp", ".mp4")
LOOPED = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG", ".apng": "PNG"}  # read and written
CLEAR = 255  # the place in a GIF's palette of what is transparent


@dataclass(frozen=True)
class Film:
    """An animated picture: whole frames, uint8 ``(H, W, 3)`` or all ``(H, W, 4)``."""

    frames: list[np.ndarray]
    durations: list[float]  # of each frame, milliseconds
    loop: int | None  # times it is shown, 0 for ever; None: once, and nothing says so
    profile: bytes | None = None  # of colours


def check_film(path: Path) -> None:
    """Raise `ConfigError` for a suffix no film is written under."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"{path.name}: this format does not hold films",
            hint=f"name it with {', '.join(SUFFIXES[:-1])} or .mp4",
        )


def save_film(path: Path, frames: np.ndarray, rate: float) -> None:
    """Write frames, uint8 ``(N, H, W, 3)``, at ``rate`` a second, in the suffix's format.

    GIF and WebP repeat for ever. Raises `ConfigError` or `OutputError`.
    """
    check_film(path)
    if path.suffix.lower() == ".mp4":
        write_atomically(path, _mp4(frames, rate))
        return
    # One palette for all frames, so that colours don't flicker.
    is_gif = path.suffix.lower() == ".gif"
    pictures = _quantised(frames) if is_gif else [Image.fromarray(frame) for frame in frames]
    options = {"optimize": False} if is_gif else {"quality": 85, "method": 4}
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        path.suffix[1:].upper(),
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 / rate),
        loop=0,
        **options,
    )
    write_atomically(path, buffer.getvalue())


def _quantised(frames: np.ndarray) -> list[Image.Image]:
    """Frames in 255 colours, the same for all of them."""
    few = frames[:: max(1, len(frames) // 8)]
    sheet = Image.fromarray(np.concatenate(list(few), axis=1))
    palette = sheet.quantize(255, Image.Quantize.MEDIANCUT)
    return [Image.fromarray(f).quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]


def _mp4(frames: np.ndarray, rate: float) -> bytes:
    """OpenCV writes to a file of its own only; even sides are what players expect."""
    height, width = (side - side % 2 for side in frames.shape[1:3])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        fourcc = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(path), fourcc, rate, (width, height))
        if not writer.isOpened():
            raise OutputError("this OpenCV writes no MP4", hint="name the film .gif or .webp")
        for frame in frames:
            writer.write(np.ascontiguousarray(frame[:height, :width, ::-1]))
        writer.release()
        return path.read_bytes()


def read_film(photo: Photo) -> Film:
    """All frames of an animated picture, each as it is seen, upright. Raises `ImageError`."""
    with readable(photo.name):
        picture = open_header(io.BytesIO(photo.content or b""))
        loop, profile = picture.info.get("loop"), picture.info.get("icc_profile")
        frames, durations = [], []
        for _ in _each_frame(picture):
            frames.append(np.asarray(ImageOps.exif_transpose(picture).convert("RGBA")))
            durations.append(float(picture.info.get("duration", 0)))
    if all((frame[..., 3] == 255).all() for frame in frames):
        frames = [frame[..., :3] for frame in frames]
    return Film(frames, durations, loop, profile)


def check_looped(path: Path) -> None:
    """Raise `ConfigError` for a suffix no animated picture is written under."""
    if path.suffix.lower() not in LOOPED:
        raise ConfigError(
            f"{path.name}: this format does not support animation",
            hint=f"name it with {', '.join(LOOPED)}",
        )


def write_film(path: Path, film: Film) -> None:
    """Write an animated picture in its suffix's format. A GIF gets 255 colours a frame, and
    what is less than half opaque in it is transparent. Raises `ConfigError` or `OutputError`.
    """
    check_looped(path)
    format_ = LOOPED[path.suffix.lower()]
    own: dict[str, object] = {"loop": 1 if film.loop is None else film.loop}
    if format_ == "GIF":
        # A frame that is clear in places must take the one before away.
        own = {"optimize": False, "disposal": 2 if film.frames[0].shape[2] == 4 else 1}
        own |= {} if film.loop is None else {"loop": film.loop}
    elif film.profile:
        own["icc_profile"] = film.profile
    if format_ == "WEBP":
        own |= {"quality": 90, "method": 4}
    pictures = [_indexed(f) if format_ == "GIF" else Image.fromarray(f) for f in film.frames]
    durations = [round(d) for d in film.durations]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, format_, save_all=True, append_images=pictures[1:], duration=durations, **own
    )
    write_atomically(path, buffer.getvalue())


def _each_frame(picture: Image.Image) -> Iterator[int]:
    first = int(bool(picture.info.get("default_image")))
    for index in range(first, first + count_frames(picture)):
        picture.seek(index)
        picture.load()
        yield index


def _indexed(frame: np.ndarray) -> Image.Image:
    """A frame in 255 colours of its own, and one place for what is transparent."""
    picture = Image.fromarray(frame[..., :3]).quantize(CLEAR, Image.Quantize.MEDIANCUT)
    if frame.shape[2] == 3:
        return picture
    places = np.asarray(picture).copy()
    places[frame[..., 3] < 128] = CLEAR
    clear = Image.fromarray(places, "P")
    colours = picture.getpalette() or []
    clear.putpalette(colours + [0] * (3 * (CLEAR + 1) - len(colours)))
    clear.info["transparency"] = CLEAR
    return clear
