"""``upscale``: pictures -> larger pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from .. import images
from .. import upscaling as methods
from ..errors import NeuralidError
from ._studio import Failure, one_of, place_for

WRITABLE = (*images.SUFFIXES, ".tif", ".tiff")


def upscale(
    inputs: Sequence[str | Path],
    *,
    output: str | Path | None = None,
    outdir: str | Path | None = None,
    scale: float = 4.0,
    method: str = methods.DEFAULT_METHOD,
    sharpen: float = 0.5,
    on_step: Callable[[int, int], None] | None = None,
    on_failure: Failure | None = None,
) -> list[Path]:
    """Enlarge pictures (paper, section 2.2); returns the paths written.

    Greyscale stays grey, with 16 bits if it has them (colours have 8), alpha and colour profiles
    come along, EXIF orientation is applied. Without ``output`` or ``outdir`` a picture goes to the
    working directory, under a name that is not taken. ``sharpen`` is the amount of an
    unsharp mask, 0 for none.

    A picture that fails raises, or, with ``on_failure(picture, error)``, is passed over.
    Raises `ImageError`, `ConfigError` or `OutputError`.
    """
    paths = [Path(each) for each in inputs]
    one_of(output, outdir, len(paths))
    methods.check(scale, method, sharpen)
    written: list[Path] = []
    taken: set[Path] = set()
    for done, path in enumerate(paths, start=1):
        try:
            written.append(_upscale_one(path, output, outdir, taken, scale, method, sharpen))
        except NeuralidError as error:
            if on_failure is None:
                raise
            on_failure(path, error)
        if on_step is not None:
            on_step(done, len(paths))
    return written


def _upscale_one(
    path: Path,
    output: str | Path | None,
    outdir: str | Path | None,
    taken: set[Path],
    scale: float,
    method: str,
    sharpen: float,
) -> Path:
    picture = images.open_picture(path)
    suffix = path.suffix if path.suffix.lower() in WRITABLE else ".png"
    place = place_for(output, outdir, f"{path.stem}_x{scale:g}", suffix, taken=taken)
    large = methods.upscale_array(images.to_array(picture), scale, method, sharpen)
    images.save_picture(place, images.from_array(large, picture))
    return place
