"""What each way of enlarging is worth on faces, and how fast it is.

    python benchmarks/upscale.py [--celeba FOLDER] [--utkface FOLDER] [--faces 200] [--drawn 64]
        [--rounds 5] [--magick COMMAND]

Quality: PSNR and SSIM of the luma, in 8 bits, with 12 pixels of border cut. From each folder it
takes the first ``--faces`` pictures that `tools/train_upscaler.py` keeps out of training and that
have real detail by its rule; if there are fewer, also the first ones regardless of that rule. Each
is shrunk 2 and 4 times by four kernels and enlarged again.

Drawn faces, 56x56 from the default weights and enlarged 4 times, have no original. For them it
prints how well they come back when shrunk by box averaging, and how steep they are next to cubic's.

Speed: megapixels/s of a result of 2048x2048, in colour; medians of rounds that run each way once.
ImageMagick's time is that of the whole command, less that of only reading the picture.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

import neuralid
from neuralid.core.device import describe, pick_device
from neuralid.core.memory import keep_freed_memory
from neuralid.models.upscaler import FACTORS
from neuralid.pictures.quality import psnr, ssim
from neuralid.upscaling.enlarge import upscale_array
from neuralid.upscaling.loading import list_available

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from train_upscaler import KERNELS, has_detail, kept_out, luma, shrunk

BORDER = 12  # pixels cut


@dataclass(frozen=True)
class Way:
    """A method, and filters after it."""

    method: str
    filters: tuple[str, ...] = ()

    def __call__(self, image: np.ndarray, scale: float) -> np.ndarray:
        return upscale_array(image, scale, self.method, self.filters)

    def __str__(self) -> str:
        return " + ".join((self.method, *self.filters))


WAYS = (*map(Way, list_available()), Way("lanczos", ("unsharp",)), Way("cubic", ("unsharp",)))


def compared(found: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    """PSNR, dB, and SSIM of two uint8 ``(H, W)``, the border cut."""
    inner = slice(BORDER, -BORDER)
    a, b = (
        torch.from_numpy(x[inner, inner].astype(np.float32) / 255 - 0.5).expand(1, 3, -1, -1)
        for x in (found, wanted)
    )
    return float(psnr(a, b)), float(ssim(a, b))


def quality(name: str, pictures: list[np.ndarray]) -> None:
    """One table per factor: PSNR by kernel, then the means over kernels of PSNR and SSIM."""
    for factor in FACTORS:
        print(f"\n{name}, {len(pictures)} faces, x{factor}: PSNR, dB")
        print(f"{'':18}" + "".join(f"{kernel:>9}" for kernel in (*KERNELS, "mean", "SSIM")))
        scores = np.array([[_scores(p, factor, kernel) for p in pictures] for kernel in KERNELS])
        means = scores.mean(1)  # (kernels, ways, 2)
        for index, way in enumerate(WAYS):
            row = [*means[:, index, 0], means[:, index, 0].mean()]
            print(
                f"{way!s:18}"
                + "".join(f"{value:9.2f}" for value in row)
                + f"{means[:, index, 1].mean():9.4f}",
                flush=True,
            )
        gains = scores[..., WAYS.index(Way("face")), 0] - scores[..., WAYS.index(Way("cubic")), 0]
        worst = ", ".join(f"{k} {g:.2f}" for k, g in zip(KERNELS, gains.min(1), strict=True))
        print(f"face over cubic: {gains.mean():.2f} dB; its worst face by kernel: {worst}")


def _scores(large: np.ndarray, factor: int, kernel: str) -> list[tuple[float, float]]:
    small = shrunk(large, factor, kernel)
    return [compared(way(small, factor), large) for way in WAYS]


def drawn_faces(count: int, scale: int = 4) -> None:
    faces = neuralid.sample(count, seed=0).images
    n, h, w, c = faces.shape
    rows: dict[str, tuple[float, float]] = {}
    for way in WAYS:
        large = np.stack([way(face, scale) for face in faces])
        again = large.reshape(n, h, scale, w, scale, c).mean((2, 4))
        errors = np.square((again - faces) / 255).mean((1, 2, 3))
        back = -10 * np.log10(errors.clip(1e-10)).mean()
        light = [cv2.cvtColor(each, cv2.COLOR_RGB2GRAY).astype(np.float32) for each in large]
        rows[str(way)] = (
            back,
            float(np.mean([np.hypot(*np.gradient(each)).mean() for each in light])),
        )
    print(f"\n{count} drawn faces, x{scale}: shrunk again, dB; steepness next to cubic's")
    for name, (back, steep) in rows.items():
        print(f"{name:18}{back:9.2f}{steep / rows['cubic'][1]:9.2f}", flush=True)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def speed(rounds: int, magick: str | None) -> None:
    """Run every way in turn, ``rounds`` times."""
    face = neuralid.sample(1, seed=0).images[0]
    large = np.asarray(Image.fromarray(face).resize((512, 512), Image.Resampling.BICUBIC))
    work: dict[str, Callable[[], object]] = {
        str(way): lambda way=way: way(large, 4)  # type: ignore[misc]
        for way in WAYS
    }
    size = (2048, 2048)
    work["OpenCV's cubic"] = lambda: cv2.resize(large, size, interpolation=cv2.INTER_CUBIC)
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "large.ppm"
        Image.fromarray(large).save(picture)
        read = [magick or "", str(picture), "null:"]
        resize = [magick or "", str(picture), "-resize", "400%", "null:"]
        if magick and subprocess.run(read, capture_output=True).returncode == 0:
            work["-"] = lambda: subprocess.run(read, check=True)
            work["ImageMagick"] = lambda: subprocess.run(resize, check=True)
        work["small"] = lambda: upscale_array(face, 4, "face")
        times: dict[str, list[float]] = {name: [] for name in work}
        for index in range(rounds + 1):
            for name, each in work.items():
                elapsed = seconds(each)
                if index:  # the first is for warming up
                    times[name].append(elapsed)
    report({name: statistics.median(each) for name, each in times.items()})


def report(medians: dict[str, float]) -> None:
    reading = medians.pop("-", 0.0)
    small = medians.pop("small")
    print(f"\n{'':18}     MP/s  of OpenCV's cubic")
    cubic = medians["OpenCV's cubic"]
    for name, elapsed in medians.items():
        own = elapsed - reading if name == "ImageMagick" else elapsed
        print(f"{name:18}{2048 * 2048 / 1e6 / own:9.2f}{cubic / own:9.3f}")
    print(f"face, 56x56 to 224x224: {1e3 * small:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--celeba", type=Path)
    parser.add_argument("--utkface", type=Path)
    parser.add_argument("--faces", type=int, default=200)
    parser.add_argument("--drawn", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--magick", default=shutil.which("magick") or shutil.which("convert"))
    options = parser.parse_args()

    print(describe(pick_device("cpu")))
    keep_freed_memory()
    if options.rounds:
        speed(options.rounds, options.magick)
    if options.drawn:
        drawn_faces(options.drawn)
    for name in ("celeba", "utkface"):
        if (folder := getattr(options, name)) is not None:
            pictures = [luma(path) for path in kept_out(folder)[0]]
            detailed = [picture for picture in pictures if has_detail(picture)]
            quality(name, detailed[: options.faces])
            if len(detailed) < options.faces:
                quality(f"{name}, soft ones too", pictures[: options.faces])


if __name__ == "__main__":
    main()
