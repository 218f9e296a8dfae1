"""``neuralid upscale``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import console
from ..upscaling.config import DEFAULT_METHOD, FILTERS, METHODS
from ._options import Device, OutDir, Overwrite
from ._places import (
    ANIMATED_SUFFIXES,
    WRITABLE,
    Places,
    check_animation,
    check_not_inputs,
    check_one,
    check_picture,
)
from ._show import print_paths
from ._torch import import_torch

if TYPE_CHECKING:
    from ..api._upscale import Enlarger
    from ..pictures.photo import Photo

METHOD_HELP = "; ".join(f"**{name}**, {info.summary}" for name, info in METHODS.items())
FILTER_HELP = "; ".join(
    f"**{name}**, {info.summary}"
    + ("" if info.usual is None else f" ({info.usual:g}, 0 to {info.most:g})")
    for name, info in FILTERS.items()
)


def upscale(
    pictures: Annotated[
        list[Path],
        typer.Argument(
            metavar="PICTURE", help="Pictures to enlarge.", show_default=False, readable=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="File to write, for one picture.",
            readable=False,
        ),
    ] = None,
    outdir: OutDir = None,
    scale: Annotated[
        float | None,
        typer.Option("-s", "--scale", metavar="X", help="Times as large, 1 to 64. Default: 4."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="WxH",
            help="Fit inside WxH pixels; 512 means 512x512. Not with -s.",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option("--method", metavar="NAME", help=f"Default: {DEFAULT_METHOD}. {METHOD_HELP}."),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="NAME[=X]",
            help="Applied to the result, in the order given (default and range in brackets): "
            f"{FILTER_HELP}.",
        ),
    ] = None,
    consistent: Annotated[
        bool,
        typer.Option("--consistent", help="Make the result average back down to the picture."),
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Write a sheet that compares all methods.")
    ] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Skip pictures whose result exists.")
    ] = False,
    overwrite: Overwrite = False,
    device: Device = "auto",
) -> None:
    """Enlarge pictures.

    Without -o or --outdir, NAME_x4 with the same suffix is written to the current folder,
    under a name that is not taken.
    """
    check_one(output, outdir, len(pictures))
    import_torch()
    from ..api._upscale import enlarger

    enlarge = enlarger(
        scale=scale,
        size=size,
        method=method,
        filters=filters or (),
        consistent=consistent,
        compare=compare,
        device=device,
        on_message=console.say,
    )
    failures = console.Failures()
    # With --skip-existing a taken name is the result to skip, so it gets no number.
    places = Places(Path() if skip_existing and outdir is None else outdir)
    work = _Work(enlarge, places, output, skip_existing, [] if overwrite else pictures)
    with console.counting("enlarging") as on_step:
        for done, path in enumerate(pictures, start=1):
            failures.attempt(str(path), lambda: work.do(path))  # noqa: B023
            on_step(done, len(pictures))
    if work.skipped:
        console.say(f"skipped {work.skipped} of {len(pictures)}, whose results exist")
    failures.exit_if_any(len(pictures))


@dataclass
class _Work:
    """Enlarges and writes pictures one at a time, so that only one is in memory."""

    enlarge: Enlarger
    places: Places
    output: Path | None
    skip_existing: bool
    inputs: list[Path]  # that must not be replaced
    skipped: int = 0

    def do(self, path: Path) -> None:
        from ..pictures.photo import Photo

        photo = Photo.read(path) if self._must_read_first(path) else None
        place = self._place(path, photo)
        if self.skip_existing and place.exists():
            self.skipped += 1
            return
        photo = photo or Photo.read(path)
        if self._is_animated(photo) and place.suffix.lower() not in ANIMATED_SUFFIXES:
            place = self._place(path, photo)  # another one, unless the user named it
            if self.skip_existing and place.exists():
                self.skipped += 1
                return
            check_animation(place)
        check_not_inputs([place], self.inputs, overwrite=False)
        print_paths([self.enlarge(photo, place).save(place)])

    def _must_read_first(self, path: Path) -> bool:
        """Whether the result's name depends on the picture's content."""
        return self.output is None and not self.enlarge.compare and not _is_writable(path)

    def _place(self, path: Path, photo: Photo | None) -> Path:
        if self.output is not None:
            check_picture(self.output)
            return self.output
        suffix = path.suffix
        if self.enlarge.compare:
            suffix = ".png"
        elif photo is not None:
            suffix = self._suffix(path, photo)
        return self.places.place(path.stem + self.enlarge.suffix, suffix)

    def _suffix(self, path: Path, photo: Photo) -> str:
        """For a picture that is not what its suffix says: a film's by its format."""
        from ..pictures.animation import suffix_of

        if not self._is_animated(photo):
            return ".png"
        return path.suffix if path.suffix.lower() in ANIMATED_SUFFIXES else suffix_of(photo)

    def _is_animated(self, photo: Photo) -> bool:
        return photo.frame_count > 1 and not self.enlarge.compare


def _is_writable(path: Path) -> bool:
    return path.suffix.lower() in WRITABLE
