"""Enlarging a photograph of 3 megapixels and 8 bits twice, by `cubic` and by `lanczos`."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from neuralid.upscaling.enlarge import upscale_array

from .timing import Effort, Report, Way, Work, compare

# Larger ones do not fit into the memory that Debian allows ImageMagick.
WIDTH, HEIGHT, SCALE = 2000, 1500, 2
OPENCV = {"cubic": cv2.INTER_CUBIC, "lanczos": cv2.INTER_LANCZOS4}
MAGICK = {"cubic": "Catrom", "lanczos": "Lanczos"}  # its filters nearest to those


def measure(effort: Effort) -> Report:
    report = Report()
    image = photograph(WIDTH, HEIGHT)
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "photograph.ppm"
        Image.fromarray(image).save(picture)
        magick = find_magick(picture)
        for method in OPENCV:
            megapixels = WIDTH * HEIGHT * SCALE**2 / 1e6
            name = f"`{method}`, {WIDTH}x{HEIGHT} twice as large"
            half = replace(effort, seconds=effort.seconds / 2)
            ways = _ways(method, image, magick)
            compare(report, Work(name, "megapixels", megapixels), ways, half)
    if not magick:
        report.notes["ImageMagick"] = "not installed"
    return report


def photograph(width: int, height: int) -> np.ndarray:
    """Smooth shapes with noise: ``(H, W, 3)``, uint8."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (height // 50, width // 50, 3), np.uint8)
    smooth = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    noise = rng.integers(-8, 9, smooth.shape, np.int16)
    return (smooth + noise).clip(0, 255).astype(np.uint8)


def find_magick(picture: Path) -> list[str]:
    """The command that has ImageMagick read a picture; nothing where there is none that can."""
    for name in ("magick", "convert"):
        command = shutil.which(name)
        if command is None:
            continue
        told = subprocess.run([command, "-version"], capture_output=True, text=True)
        if told.returncode == 0 and "ImageMagick" in told.stdout:
            return [command, str(picture)]
    return []


def _ways(method: str, image: np.ndarray, magick: list[str]) -> list[Way]:
    size = (image.shape[1] * SCALE, image.shape[0] * SCALE)
    ways = [
        Way("neuralid", lambda: upscale_array(image, SCALE, method), ours=True),
        Way("OpenCV", lambda: cv2.resize(image, size, interpolation=OPENCV[method])),
    ]
    if magick:
        sizes = ["-filter", MAGICK[method], "-resize", f"{100 * SCALE}%"]
        ways.append(Way("ImageMagick, reading included", _command([*magick, *sizes, "null:"])))
    return ways


def _command(words: list[str]) -> Callable[[], object]:
    return lambda: subprocess.run(words, check=True, capture_output=True)
