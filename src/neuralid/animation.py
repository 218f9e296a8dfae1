"""Films of frames: GIF and WebP by Pillow, MP4 by OpenCV."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from .errors import ConfigError, OutputError
from .files import write_atomically

SUFFIXES = (".gif", ".webp", ".mp4")


def check_film(path: Path) -> None:
    """Raise `ConfigError` for a suffix no film is written under."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"{path.name} is no film", hint=f"name it with {', '.join(SUFFIXES[:-1])} or .mp4"
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
