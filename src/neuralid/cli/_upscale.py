"""``neuralid upscale``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import console
from ..upscaling.config import DEFAULT_METHOD, FILTERS, METHODS
from . import _progress as progress
from ._common import command
from ._options import AsJson, Device, OutDir, Overwrite
from ._piped import DASH, name_of, save_to_stdout, say, stem_of, suffix_of, with_stdin
from ._places import (
    ANIMATED_SUFFIXES,
    WRITABLE,
    Places,
    all_pictures,
    check_animation,
    check_not_inputs,
    check_picture,
)
from ._show import print_result, sides
from ._torch import import_torch

if TYPE_CHECKING:
    from ..api._upscale import Enlarger
    from ..api.results import Upscaled
    from ..pictures.photo import Photo, Source

METHOD_HELP = "; ".join(f"**{name}**, {info.summary}" for name, info in METHODS.items())
FILTER_HELP = "; ".join(
    f"**{name}**, {info.summary}"
    + ("" if info.usual is None else f" ({info.usual:g}, 0 to {info.most:g})")
    for name, info in FILTERS.items()
)


@command
def upscale(
    pictures: Annotated[
        list[Path],
        typer.Argument(
            metavar="PICTURE",
            help="Pictures to enlarge, folders of them, or - for stdin.",
            show_default=False,
            readable=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="File to write, for one picture; - for stdout.",
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
    json_: AsJson = False,
    device: Device = "auto",
) -> None:
    """Enlarge pictures.

    Without -o or --outdir, NAME_x4 with the same suffix is written to the current folder,
    under a name that is not taken.
    """
    import_torch()
    from ..api._upscale import enlarger

    pictures = all_pictures(pictures, output, outdir, json_)
    enlarge = enlarger(
        scale=scale,
        size=size,
        method=method,
        filters=filters or (),
        consistent=consistent,
        compare=compare,
        device=device,
        on_message=say,
    )
    failures = console.Failures()
    # With --skip-existing a taken name is the result to skip, so it gets no number.
    places = Places(Path() if skip_existing and outdir is None else outdir)
    inputs = [] if overwrite else pictures
    work = _Work(enlarge, places, output, skip_existing, inputs, json_)
    unit = "parts" if len(pictures) == 1 else "pictures"
    with progress.counting("enlarging", unit) as on_step:
        sources = with_stdin(pictures)
        if len(pictures) == 1:
            work.enlarge = replace(enlarge, on_part=on_step)
        for done, (path, source) in enumerate(zip(pictures, sources, strict=True), start=1):
            failures.attempt(name_of(path), lambda: work.do(path, source))  # noqa: B023
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
    as_json: bool
    skipped: int = 0

    def do(self, path: Path, source: Source) -> None:
        from ..pictures.photo import Photo

        photo = Photo.read(source) if self._must_read_first(path) else None
        place = self._place(path, photo)
        if self._is_there(place):
            return
        photo = photo or Photo.read(source)
        if self._is_animated(photo) and place.suffix.lower() not in ANIMATED_SUFFIXES:
            place = self._place(path, photo)  # another one, unless the user named it
            if self._is_there(place):
                return
            check_animation(place)
        if self.output != DASH:
            check_not_inputs([place], self.inputs, overwrite=False)
        self._write(self.enlarge(photo, place), place)

    def _is_there(self, place: Path) -> bool:
        """Whether there is nothing to do, which is counted."""
        there = self.skip_existing and self.output != DASH and place.exists()
        self.skipped += there
        return there

    def _write(self, large: Upscaled, place: Path) -> None:
        if self.output == DASH:
            save_to_stdout(large, place.suffix)
            return
        facts = {"picture": large.name, "scale": large.scale, **sides(large.image)}
        method = None if self.enlarge.compare else self.enlarge.method
        facts |= {"method": method, "filters": list(self.enlarge.filters)}
        print_result([large.save(place)], facts if self.as_json else None)

    def _must_read_first(self, path: Path) -> bool:
        """Whether the result's name depends on the picture's content."""
        if self.enlarge.compare:
            return False
        return self.output == DASH or (self.output is None and not _is_writable(path))

    def _place(self, path: Path, photo: Photo | None) -> Path:
        if self.output not in (None, DASH):
            check_picture(self.output)
            return self.output
        suffix = path.suffix
        if self.enlarge.compare:
            suffix = ".png"
        elif photo is not None:
            suffix = self._suffix(path, photo)
        if self.output == DASH:
            return Path(f"stdout{suffix}")
        return self.places.place(stem_of(path) + self.enlarge.suffix, suffix)

    def _suffix(self, path: Path, photo: Photo) -> str:
        """For a picture that is not what its suffix says: a film's by its format."""
        from ..pictures.animation import suffix_of as film_suffix

        is_unnamed = self.output == DASH or not path.suffix
        if not self._is_animated(photo):
            return suffix_of(photo.format) if is_unnamed else ".png"
        named = path.suffix.lower() in ANIMATED_SUFFIXES and not is_unnamed
        return path.suffix if named else film_suffix(photo)

    def _is_animated(self, photo: Photo) -> bool:
        return photo.frame_count > 1 and not self.enlarge.compare


def _is_writable(path: Path) -> bool:
    return path.suffix.lower() in WRITABLE
