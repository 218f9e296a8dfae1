"""Where results are written: the command line's file policy."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import ConfigError
from ..core.files import check_writable, free_name, make_folder

# Suffixes that a result takes over from its picture, and those that an animation does.
WRITABLE = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".apng")
ANIMATED_SUFFIXES = (".gif", ".webp", ".png", ".apng")


def check_picture(path: Path | None) -> None:
    """Raise `OutputError` or `ImageError` now if a picture cannot be written there."""
    from ..pictures.formats import check_format

    if path is not None:
        check_writable(path)
        check_format(path)


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


def check_one(output: Path | None, outdir: Path | None, count: int = 1) -> None:
    """Raise `ConfigError` if -o and --outdir are both given, or -o for several results."""
    if output is not None and outdir is not None:
        raise ConfigError("-o and --outdir exclude each other", hint="-o is for one file")
    if output is not None and count > 1:
        raise ConfigError(f"-o names one file, but there are {count} results", hint="use --outdir")


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
            return path in self.given or (self.keeps_existing and any(p.exists() for p in both))

        path = free_name(self.folder, stem, suffix, is_taken)
        self.given.add(path)
        check_writable(path)
        return path


def sibling(path: Path, suffix: str, other: str) -> Path:
    """``NAME.other`` beside ``NAME.suffix``."""
    return path.with_name(path.name.removesuffix(suffix) + other)
