"""Where results are written: the file policy of the command line."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import ConfigError
from ..core.files import check_writable, free_name, make_folder

WRITABLE = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".apng")  # kept in names
MOVING_SUFFIXES = (".gif", ".webp", ".png", ".apng")  # and of animations


def check_picture(path: Path | None) -> None:
    """Raise `OutputError` or `ImageError` now if a picture could not be written there later."""
    from ..pictures.images import check_format

    if path is not None:
        check_writable(path)
        check_format(path)


def check_film(path: Path) -> None:
    """Raise `OutputError` or `ConfigError` now if a film could not be written there later."""
    from ..pictures import animation

    animation.check_film(path)
    check_writable(path)


def check_looped(path: Path) -> None:
    """Raise `ConfigError` for a suffix no animated picture is written under."""
    from ..pictures import animation

    animation.check_looped(path)


def check_one(output: Path | None, outdir: Path | None, count: int = 1) -> None:
    """Raise `ConfigError` when -o and --outdir are both given, or -o is given for several."""
    if output is not None and outdir is not None:
        raise ConfigError("-o and --outdir exclude each other", hint="-o is for one file")
    if output is not None and count > 1:
        raise ConfigError(f"-o names one file, but there are {count} results", hint="use --outdir")


class Places:
    """Gives each result its place in a folder; none is given out twice.

    In the working folder, without ``outdir``, names that are taken get a number.
    """

    def __init__(self, outdir: Path | None) -> None:
        self.folder = make_folder(outdir or Path())
        self.keeps = outdir is None  # what is there already
        self.given: set[Path] = set()

    def place(self, stem: str, suffix: str, beside: str | None = None) -> Path:
        """``stem.suffix``, or with a number. Taken too if ``stem + beside``, its companion, is.

        Raises `OutputError` now if the file could not be written later.
        """

        def is_taken(path: Path) -> bool:
            both = [path] if beside is None else [path, sibling(path, suffix, beside)]
            return path in self.given or (self.keeps and any(p.exists() for p in both))

        path = free_name(self.folder, stem, suffix, is_taken)
        self.given.add(path)
        check_writable(path)
        return path


def sibling(path: Path, suffix: str, other: str) -> Path:
    """``NAME.other`` beside ``NAME.suffix``."""
    return path.with_name(path.name.removesuffix(suffix) + other)
