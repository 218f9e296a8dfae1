"""``upscale``: enlarge pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.checks import check_range
from ..core.device import describe, pick_device
from ..core.errors import ConfigError, ImageError
from ..core.memory import check_memory, memory_errors
from ..pictures.animation import check_fits, read_film
from ..pictures.colour import array_to_screen
from ..pictures.depth import to_8_bits
from ..pictures.formats import check_size
from ..pictures.photo import Photo, Source, as_list, is_single, kind_of
from ..upscaling import enlarge as methods
from ..upscaling.auto import resolve
from ..upscaling.compare import sheet
from ..upscaling.config import DEFAULT_METHOD, LARGEST_SCALE, METHODS, methods_on_device
from ..upscaling.loading import list_available
from ..upscaling.picture import to_planes
from ._framing import each_photo
from ._model import Failure, Report, Say, quiet
from .results import Upscaled

DEFAULT_SCALE = 4.0  # used if neither scale nor size is given
MOST_FILM_PIXELS = 400_000_000  # of all frames of an animation together

Size = int | str | tuple[int, int]


@dataclass(frozen=True)
class Enlarger:
    """Enlarges each picture it is called with. `enlarger` makes one, and checks the options."""

    scale: float | None  # None: as large as fits into `box`
    box: tuple[int, int]  # width and height, pixels
    method: str
    filters: tuple[str, ...]
    consistent: bool
    device: torch.device
    compare: bool
    say: Say = quiet
    on_part: Report | None = None  # told how far one picture is

    def __call__(self, source: Source, place: Path | None = None) -> Upscaled:
        """Enlarge a picture that may be going to be written to ``place``.

        Raises `ImageError`, also if the format of ``place`` cannot hold the result.
        """
        photo = Photo.read(source)
        if photo.frame_count > 1 and not self.compare:
            return self._enlarge_film(photo, place)
        if photo.loss is not None:
            self.say(f"{photo.name}: {photo.loss}")
        image = photo.exact
        factor = self._factor(photo.name, image.shape[0], image.shape[1], place)
        own = self._pick_filters(photo.name, image)
        with own._room_for(photo.name, image.shape, factor):
            if self.compare:
                return own._compare(photo, factor)
            large = own._enlarge(image, factor)
        return Upscaled(photo.name, large, factor, kind_of(photo), say=self.say)

    @property
    def suffix(self) -> str:
        """Appended to the picture's name to make the result's."""
        if self.compare:
            return "_compare"
        return f"_{self.box[0]}x{self.box[1]}" if self.scale is None else f"_x{self.scale:g}"

    def _compare(self, photo: Photo, factor: float) -> Upscaled:
        """A sheet of all methods, in sRGB."""
        image = photo.exact
        if photo.picture.mode not in ("CMYK", "LAB") and photo.profile:
            image = array_to_screen(to_8_bits(image), photo.profile)
        page = sheet(image, factor, self.filters, consistent=self.consistent, device=self.device)
        return Upscaled(photo.name, page, factor)

    def _factor(self, name: str, height: int, width: int, place: Path | None = None) -> float:
        """How many times to enlarge a picture. Raises `ImageError` if that is not possible."""
        factor = self._fit_scale(name, height, width) if self.scale is None else self.scale
        large = methods.target_size(height, width, factor, f"{name} enlarged")
        if place is not None and not self.compare:
            check_size(place, large[1], large[0])
        return factor

    def _fit_scale(self, name: str, height: int, width: int) -> float:
        """The largest scale that fits into the box. Raises `ImageError` unless it is 1 to 64."""
        factor = min(self.box[0] / width, self.box[1] / height)
        inside = f"{self.box[0]}x{self.box[1]}"
        if factor < 1:
            raise ImageError(
                f"{name} is {width}x{height}, larger than {inside}",
                hint="upscale only enlarges: choose a larger `size`",
            )
        if factor > LARGEST_SCALE:
            raise ImageError(
                f"{name} is {width}x{height}; fitting {inside} would enlarge it {factor:.0f} times",
                hint=f"at most {LARGEST_SCALE} times: choose a smaller `size`",
            )
        return factor

    @contextmanager
    def _room_for(
        self, name: str, shape: tuple[int, ...], factor: float, kept: float = 0.0
    ) -> Iterator[None]:
        """Raise `ImageError` if a result needs more memory than there is: now if that is known.

        ``kept`` are the bytes that its frames take, beside what one frame does.
        """
        used = [self.method] if not self.compare else list_available()
        needed = kept + max(
            methods.needed_memory(shape, factor, each, self.filters, consistent=self.consistent)
            for each in used
        )
        what, hint = f"{name} enlarged {factor:.3g} times", "a smaller result, or another method"
        check_memory(needed, what, hint, ImageError)
        with memory_errors(what, hint, needed):
            yield

    def _enlarge(self, image: np.ndarray, factor: float) -> np.ndarray:
        return methods.upscale_array(
            image,
            factor,
            self.method,
            self.filters,
            consistent=self.consistent,
            device=self.device,
            on_part=self.on_part,
        )

    def _enlarge_all(self, frames: Sequence[np.ndarray], factor: float) -> list[np.ndarray]:
        """Enlarge the frames of a film, which are its parts."""
        own, large = replace(self, on_part=None), []
        for frame in frames:
            large.append(own._enlarge(frame, factor))
            if self.on_part is not None:
                self.on_part(len(large), len(frames))
        return large

    def _enlarge_film(self, photo: Photo, place: Path | None) -> Upscaled:
        """Enlarge every frame, with the filters that the first one needs."""
        with self._room_for_film(photo):
            film = read_film(photo)
            first = film.frames[0]
            rows, columns = first.shape[:2]  # a later frame may be larger than the file's canvas
            factor = self._check_film(photo, rows, columns)
            if place is not None:
                height, width = methods.target_size(rows, columns, factor)
                check_fits(place, width, height, film.durations)
            own = self._pick_filters(photo.name, first)
            large = replace(film, frames=own._enlarge_all(film.frames, factor))
        return Upscaled(photo.name, large.frames[0], factor, kind_of(photo), large, self.say)

    def _room_for_film(self, photo: Photo) -> AbstractContextManager[None]:
        """As `_room_for`, for all frames, by what is known before they are read."""
        height, width = photo.picture.height, photo.picture.width
        factor = self._check_film(photo, height, width)
        rows, columns = methods.target_size(height, width, factor)
        kept = 4.0 * photo.frame_count * (height * width + rows * columns)
        return self._room_for(photo.name, (height, width, 4), factor, kept)

    def _check_film(self, photo: Photo, height: int, width: int) -> float:
        """How many times to enlarge a film. Raises `ImageError` if it would be too large."""
        factor = self._factor(photo.name, height, width)
        size = methods.target_size(height, width, factor)
        pixels = photo.frame_count * size[0] * size[1]
        if pixels > MOST_FILM_PIXELS:
            raise ImageError(
                f"{photo.name} enlarged would have {photo.frame_count} frames, "
                f"{pixels / 1e6:.0f} megapixels",
                hint=f"at most {MOST_FILM_PIXELS // 1_000_000} in total; make them smaller",
            )
        return factor

    def _pick_filters(self, name: str, image: np.ndarray) -> Enlarger:
        """Replace ``auto`` by the filters it picks for a picture, and report them."""
        if "auto" not in self.filters:
            return self
        filters = tuple(map(str, resolve(self.filters, to_planes(image))))
        self.say(f"{name}: {', '.join(filters) or 'needs no filter'}")
        return replace(self, filters=filters)


def enlarger(
    *,
    scale: float | None = None,
    size: Size | None = None,
    method: str | None = None,
    filters: str | Sequence[str] = (),
    consistent: bool = False,
    compare: bool = False,
    device: str | torch.device = "auto",
    on_message: Say = quiet,
) -> Enlarger:
    """Check the options before any picture is read; see `Studio.upscale`.

    Raises `ConfigError` or `DeviceError`.
    """
    if scale is not None and size is not None:
        raise ConfigError("`scale` and `size` exclude each other", hint="leave one out")
    if compare and method is not None:
        raise ConfigError("`compare` shows every method", hint="leave `method` out")
    chosen = DEFAULT_METHOD if method is None else method
    wanted = DEFAULT_SCALE if scale is None and size is None else scale
    named = (filters,) if isinstance(filters, str) else tuple(filters)
    methods.check(1 if wanted is None else wanted, chosen, named)
    box = (0, 0) if size is None else _parse_size(size)
    where = _choose_device(chosen, compare, device, on_message)
    return Enlarger(wanted, box, chosen, named, consistent, where, compare, on_message)


def upscale(
    pictures: Source | Sequence[Source],
    *,
    on_step: Report | None = None,
    on_failure: Failure | None = None,
    **options: Any,
) -> Upscaled | list[Upscaled]:
    """See `Studio.upscale`; the other options are those of `enlarger`."""
    enlarge = enlarger(**options)
    listed, failed = as_list(pictures), None if is_single(pictures) else on_failure
    results: list[Upscaled] = []
    if len(listed) == 1:
        enlarge = replace(enlarge, on_part=on_step)
    for done, picture in enumerate(listed, start=1):
        each_photo([picture], lambda photo: results.append(enlarge(photo)), failed)
        if on_step is not None:
            on_step(done, len(listed))
    return results[0] if is_single(pictures) else results


def _parse_size(size: Size) -> tuple[int, int]:
    """Width and height; "512" means 512x512."""
    if isinstance(size, tuple | list):
        if len(size) != 2 or not all(isinstance(side, int) for side in size):
            raise ConfigError(f"{size} is not a size", hint="give (width, height), in pixels")
        width, height = size
    else:
        parts = str(size).lower().split("x")
        if len(parts) > 2 or not all(part.isdecimal() for part in parts):
            raise ConfigError(f"'{size}' is not a size", hint="write 512 or 512x384, in pixels")
        width, height = int(parts[0]), int(parts[-1])
    check_range("the width in `size`", width, 1, methods.MOST_PIXELS)
    check_range("the height in `size`", height, 1, methods.MOST_PIXELS)
    return width, height


def _choose_device(
    method: str, compare: bool, device: str | torch.device, say: Say
) -> torch.device:
    """Where to compute. Methods that run on the CPU only refuse another device."""
    if isinstance(device, torch.device):  # from an open studio
        return device if compare or METHODS[method].on_device else torch.device("cpu")
    if compare or METHODS[method].on_device:
        where = pick_device(device)
        say(f"device: {describe(where)}")
        return where
    where = torch.device("cpu") if device == "auto" else pick_device(device)
    if where.type != "cpu":
        raise ConfigError(
            f"method '{method}' runs on the CPU only",
            hint=f"`device` is for {', '.join(methods_on_device())}",
        )
    return where
