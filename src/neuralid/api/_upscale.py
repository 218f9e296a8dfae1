"""``upscale``: pictures -> larger pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..core.checks import check_range
from ..core.device import describe, pick_device
from ..core.errors import ConfigError, ImageError, NeuralidError
from ..pictures import animation, images
from ..upscaling import enlarge as methods
from ..upscaling.auto import resolve
from ..upscaling.compare import sheet
from ..upscaling.config import DEFAULT_METHOD, LARGEST_SCALE, METHODS, methods_on_device
from ..upscaling.picture import to_planes
from ._studio import (
    Failure,
    one_of,
    place_for,
    quiet,
)

WRITABLE = (*images.SUFFIXES, ".tif", ".tiff", ".apng")
USUAL = 4.0  # times as large, if nobody says
MOST_FILM_PIXELS = 400_000_000  # of all frames together
Say = Callable[[str], None]


@dataclass(frozen=True)
class _Job:
    """What is done to each picture."""

    scale: float | None  # None: what makes it fit into `box`
    box: tuple[int, int]  # width and height, pixels
    method: str
    filters: tuple[str, ...]
    consistent: bool
    device: torch.device
    compare: bool

    @property
    def suffix(self) -> str:
        """What is added to a picture's name."""
        if self.compare:
            return "_compare"
        return f"_{self.box[0]}x{self.box[1]}" if self.scale is None else f"_x{self.scale:g}"

    def factor(self, path: Path, height: int, width: int) -> float:
        """How many times a picture is enlarged. Raises `ImageError` for one that cannot be."""
        factor = self.fitting(path, height, width) if self.scale is None else self.scale
        methods.target_size(height, width, factor, f"{path} enlarged")
        return factor

    def fitting(self, path: Path, height: int, width: int) -> float:
        """How many times as large fits into the box. Raises `ImageError` outside of 1 to 64."""
        factor = min(self.box[0] / width, self.box[1] / height)
        inside = f"{self.box[0]}x{self.box[1]}"
        if factor < 1:
            raise ImageError(
                f"{path} is {width}x{height}, larger than {inside}",
                hint="upscale only enlarges: choose a larger --size",
            )
        if factor > LARGEST_SCALE:
            raise ImageError(
                f"{path} is {width}x{height}: to {inside} it would be enlarged {factor:.0f} times",
                hint=f"at most {LARGEST_SCALE} times; choose a smaller --size",
            )
        return factor

    def enlarge(self, image: np.ndarray, factor: float) -> np.ndarray:
        return methods.upscale_array(
            image,
            factor,
            self.method,
            self.filters,
            consistent=self.consistent,
            device=self.device,
        )


def upscale(
    inputs: Sequence[str | Path],
    *,
    output: str | Path | None = None,
    outdir: str | Path | None = None,
    scale: float | None = None,
    size: int | str | tuple[int, int] | None = None,
    method: str | None = None,
    filters: Sequence[str] = (),
    consistent: bool = False,
    compare: bool = False,
    skip_existing: bool = False,
    device: str = "auto",
    on_message: Say = quiet,
    on_step: Callable[[int, int], None] | None = None,
    on_failure: Failure | None = None,
) -> list[Path]:
    """Enlarge pictures (paper, section 2.2); returns the paths written.

    Pictures get ``scale`` times as large (4), or as large as fits into ``size``: "512x384", (512,
    384), or one number for a square. ``method`` is one of `config.METHODS`; ``filters``, each
    ``NAME`` or ``NAME=AMOUNT`` of `config.FILTERS`, follow in their order. With ``consistent`` a
    result, shrunk by box averaging, gives its picture again to rounding. ``compare`` writes a sheet
    of all methods instead of a picture. ``skip_existing`` passes over results that are there.

    Greyscale stays grey, 16 bits stay 16 in PNG (grey ones in TIFF too), alpha and colour profiles
    come along, EXIF orientation is applied, animated GIF, WebP and PNG stay animated. Without
    ``output`` or ``outdir`` a picture goes to the working directory, under a name that is not
    taken.

    A picture that fails raises, or, with ``on_failure(picture, error)``, is passed over.
    Raises `ImageError`, `ConfigError`, `DeviceError` or `OutputError`.
    """
    paths = [Path(each) for each in inputs]
    one_of(output, outdir, len(paths))
    job = _job(scale, size, method, filters, consistent, compare, device, on_message)
    written: list[Path] = []
    taken: set[Path] = set()
    skipped = 0
    for done, path in enumerate(paths, start=1):
        try:
            place = _place(path, job, output, outdir, taken, skip_existing)
            if skip_existing and place.exists():
                skipped += 1
            else:
                written.append(_upscale_one(path, place, job, on_message))
        except NeuralidError as error:
            if on_failure is None:
                raise
            on_failure(path, error)
        if on_step is not None:
            on_step(done, len(paths))
    if skipped:
        on_message(f"skipped {skipped} of {len(paths)}, whose results are there")
    return written


def _job(
    scale: float | None,
    size: int | str | tuple[int, int] | None,
    method: str | None,
    filters: Sequence[str],
    consistent: bool,
    compare: bool,
    device: str,
    say: Say,
) -> _Job:
    """Check what was asked for. Raises `ConfigError` or `DeviceError`."""
    if scale is not None and size is not None:
        raise ConfigError("--scale and --size exclude each other", hint="leave one out")
    if compare and method is not None:
        raise ConfigError("--compare shows every method", hint="leave --method out")
    chosen = DEFAULT_METHOD if method is None else method
    wanted = USUAL if scale is None and size is None else scale
    methods.check(1 if wanted is None else wanted, chosen, filters)
    box = (0, 0) if size is None else _box(size)
    where = _device(chosen, compare, device, say)
    return _Job(wanted, box, chosen, tuple(filters), consistent, where, compare)


def _box(size: int | str | tuple[int, int]) -> tuple[int, int]:
    """Width and height; "512" is 512 of both."""
    if isinstance(size, tuple):
        width, height = size
    else:
        parts = str(size).lower().split("x")
        if len(parts) > 2 or not all(part.isdecimal() for part in parts):
            raise ConfigError(f"'{size}' is no size", hint="write 512 or 512x384, in pixels")
        width, height = int(parts[0]), int(parts[-1])
    check_range("width", width, 1, methods.MOST_PIXELS)
    check_range("height", height, 1, methods.MOST_PIXELS)
    return width, height


def _device(method: str, compare: bool, name: str, say: Say) -> torch.device:
    """Where to compute; a method that needs the CPU only cannot be sent elsewhere."""
    if compare or METHODS[method].on_device:
        device = pick_device(name)
        say(f"device: {describe(device)}")
        return device
    device = torch.device("cpu") if name == "auto" else pick_device(name)
    if device.type != "cpu":
        raise ConfigError(
            f"method '{method}' runs on the CPU only",
            hint=f"--device is for {', '.join(methods_on_device())}",
        )
    return device


def _place(
    path: Path,
    job: _Job,
    output: str | Path | None,
    outdir: str | Path | None,
    taken: set[Path],
    skip_existing: bool,
) -> Path:
    """Where a picture's result goes."""
    suffix = path.suffix
    if job.compare:
        suffix = ".png"
    elif suffix.lower() not in WRITABLE:
        moves = suffix.lower() in animation.LOOPED and animation.film_shape(path) is not None
        suffix = suffix if moves else ".png"
    if skip_existing and output is None and outdir is None:
        outdir = "."  # the name that is taken is the one looked for
    return place_for(output, outdir, path.stem + job.suffix, suffix, taken=taken)


def _upscale_one(path: Path, place: Path, job: _Job, say: Say) -> Path:
    shape = None if job.compare else animation.film_shape(path)
    if shape is not None:
        _upscale_film(path, place, job, shape, say)
        return place
    image, like = images.read_exact(path)
    factor = job.factor(path, *image.shape[:2])
    own = _picked(path, image, job, say)
    if job.compare:
        page = sheet(image, factor, own.filters, consistent=job.consistent, device=job.device)
        images.save_picture(place, page)
    else:
        images.save_exact(place, own.enlarge(image, factor), like)
    return place


def _upscale_film(
    path: Path, place: Path, job: _Job, shape: tuple[int, int, int], say: Say
) -> None:
    """Every frame, by the filters that the first one needs."""
    animation.check_looped(place)
    count, height, width = shape
    factor = job.factor(path, height, width)
    rows, columns = methods.target_size(height, width, factor)
    pixels = count * rows * columns
    if pixels > MOST_FILM_PIXELS:
        raise ImageError(
            f"{path} enlarged would have {count} frames, {pixels / 1e6:.0f} megapixels",
            hint=f"at most {MOST_FILM_PIXELS // 1_000_000} together; make them smaller",
        )
    film = animation.read_film(path)
    own = _picked(path, film.frames[0], job, say)
    large = [own.enlarge(frame, factor) for frame in film.frames]
    animation.write_film(place, replace(film, frames=large))


def _picked(path: Path, image: np.ndarray, job: _Job, say: Say) -> _Job:
    """The job with ``auto`` replaced by the filters it picks for a picture, which are said."""
    if "auto" not in job.filters:
        return job
    filters = tuple(map(str, resolve(job.filters, to_planes(image))))
    say(f"{path.name}: {', '.join(filters) or 'needs no filter'}")
    return replace(job, filters=filters)
