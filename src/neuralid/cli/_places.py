"""Where results are written: the command line's file policy."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..core.errors import ConfigError, OutputError
from ..core.files import check_writable, free_name, make_folder
from ..faces.config import CropConfig
from ._piped import DASH, check_stdout

# Suffixes that a result takes over from its picture, and those that an animation does.
WRITABLE = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".apng")
ANIMATED_SUFFIXES = (".gif", ".webp", ".png", ".apng")


def check_picture(path: Path | None) -> None:
    """Raise `OutputError` or `ImageError` now if a picture cannot be written there."""
    from ..pictures.formats import check_format

    if path is not None and path != DASH:
        check_writable(path)
        check_format(path)


def check_page(path: Path | None, picture: Path | None = None) -> None:
    """Raise an error now if a page, or a picture beside it, cannot be written there."""
    check_picture(picture)
    if path is None:
        return
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"{path} is not a name for a page", hint="end it in .html")
    check_writable(path)


def check_sides(path: Path, sides: tuple[int, int] | None, photo: Path | None) -> None:
    """Raise `ImageError` if the format has no pictures of these sides, in pixels.

    ``photo`` is looked at for sides that are None, unless it can be read only once.
    """
    from ..pictures.formats import check_size
    from ..pictures.images import read_sides

    if sides is None and photo is not None and photo.is_file():
        sides = read_sides(photo)
    if sides is not None:
        check_size(path, *sides)


def check_film(path: Path) -> None:
    """Raise `OutputError` or `ConfigError` now if a film cannot be written there."""
    from ..pictures import animation

    animation.check_film(path)
    check_writable(path)


def check_animation(path: Path) -> None:
    """Raise `ConfigError` if animated pictures cannot be written under this suffix."""
    from ..pictures import animation

    animation.check_animation(path)


def all_pictures(
    given: Sequence[Path], output: Path | None, outdir: Path | None, as_json: bool
) -> list[Path]:
    """The pictures given, those of folders too.

    Raises `ConfigError` if -o, --outdir and --json do not go together, or not with so many.
    """
    from ..api._folders import expand
    from ..pictures.photo import check_pipes

    pictures = expand(given)
    check_pipes(pictures)
    check_one(output, outdir, len(pictures))
    check_stdout(output, as_json)
    return pictures


def check_framing(
    numbers: tuple[int | None, int, int, float], align: bool, face: int | None
) -> None:
    """Raise `ConfigError` now if one of the four numbers, or of the face, cannot be."""
    from ..api._framing import Framing

    Framing(CropConfig(*numbers), align, face)


def check_one(output: Path | None, outdir: Path | None, count: int = 1) -> None:
    """Raise `ConfigError` if -o and --outdir are both given, or -o for several results."""
    if output is not None and outdir is not None:
        raise ConfigError("-o and --outdir exclude each other", hint="-o is for one file")
    if outdir == DASH:
        raise ConfigError("--outdir - is no folder", hint="-o - writes one picture to stdout")
    if output is not None and count > 1:
        raise ConfigError(f"-o names one file, but there are {count} results", hint="use --outdir")


def check_not_inputs(
    outputs: Iterable[Path | None], inputs: Iterable[Path | str | None], overwrite: bool
) -> None:
    """Raise `OutputError` for an output that is an input, unless inputs may be replaced.

    `ConfigError` for two outputs that are one file. The same file counts under any name: through
    links, and in another spelling.
    """
    given = [each for each in inputs if each is not None and each != DASH]
    known = {_identity(Path(each)): each for each in given}
    seen: dict[object, Path] = {}
    for path in outputs:
        if path is None or path == DASH:
            continue
        place = _identity(path)
        if place in known and not overwrite:
            same = "" if str(known[place]) == str(path) else f", as {known[place]}"
            raise OutputError(
                f"{path} is one of the inputs{same}",
                hint="choose another name, or replace it with `overwrite`",
            )
        if place in seen:
            raise ConfigError(f"two results would be written to {path}", hint="name two files")
        seen[place] = path


def _identity(path: Path) -> object:
    """What two names of one file have in common."""
    try:
        status = path.stat()
        return status.st_dev, status.st_ino
    except OSError:  # not there yet
        return os.path.normcase(os.path.realpath(path))


class Places:
    """Gives each result a path in a folder, and no path twice.

    Without ``outdir``, in the working folder, names that are taken get a number.
    """

    def __init__(self, outdir: Path | None) -> None:
        self.folder = make_folder(outdir or Path())
        self.keeps_existing = outdir is None
        self.given: set[Path] = set()

    def place(self, stem: str, suffix: str, beside: str | None = None) -> Path:
        """``stem.suffix``, with a number if that or its companion, ``stem + beside``, is taken.

        Raises `OutputError` now if the file cannot be written.
        """

        def is_taken(path: Path) -> bool:
            both = [path] if beside is None else [path, sibling(path, suffix, beside)]
            return path in self.given or (self.keeps_existing and any(map(os.path.lexists, both)))

        path = free_name(self.folder, stem, suffix, is_taken)
        self.given.add(path)
        check_writable(path)
        return path


def sibling(path: Path, suffix: str, other: str) -> Path:
    """``NAME.other`` beside ``NAME.suffix``."""
    return path.with_name(path.name.removesuffix(suffix) + other)
