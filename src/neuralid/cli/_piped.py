"""``-``: a picture that is read from stdin, and one that is written to stdout."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from .. import console, streams
from ..core.errors import ConfigError

if TYPE_CHECKING:
    from ..pictures.photo import Source

DASH = Path("-")
STDIN, STDOUT = "stdin", "stdout"  # their names in messages and results
# Where the shell puts the pipes of ``<(...)``, whose names are numbers.
_PIPES = (Path("/dev/fd"), Path("/proc/self/fd"))
# Suffixes of results whose picture's name has none.
_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}
_writing: list[str] = []  # the folder a result is in before it goes to stdout


class _Stdin:
    """What comes in on stdin. It is read once, however often it is named."""

    name = STDIN

    def __init__(self) -> None:
        self._content: bytes | None = None

    def read(self, size: int = -1) -> bytes:
        if self._content is None:
            self._content = sys.stdin.buffer.read(size)
        return self._content


def with_stdin(paths: Sequence[Path | None]) -> list[Any]:
    """The paths as sources of pictures: each ``-`` becomes one and the same open file.

    Raises `ConfigError` if stdin is a terminal, from which no picture comes.
    """
    if DASH in paths and sys.stdin.isatty():
        raise ConfigError(
            "- reads a picture from stdin, and nothing is piped in",
            hint="as in `cat a.jpg | neuralid upscale - -o big.png`",
        )
    stdin = cast("Source", _Stdin())
    return [stdin if path == DASH else path for path in paths]


def name_of(path: Path) -> str:
    """The name of an input in messages and in JSON."""
    return STDIN if path == DASH else str(path)


def stem_of(path: Path) -> str:
    """What the names of an input's results begin with."""
    if path == DASH:
        return STDIN
    return "pipe" if path.parent in _PIPES else path.stem


def suffix_of(format_: str | None) -> str:
    """The suffix for a result of a picture in one of Pillow's formats: its own if it has one."""
    return _SUFFIXES.get(format_ or "", ".png")


def check_stdout(output: Path | None, as_json: bool) -> bool:
    """Whether the picture itself goes to stdout. Raises `ConfigError` if it must not."""
    if output != DASH:
        return False
    if as_json:
        raise ConfigError("-o - and --json exclude each other", hint="both write to stdout")
    if streams.is_stdout_terminal():
        raise ConfigError(
            "-o - would show the bytes of a picture on the terminal",
            hint="pipe them on, as in `... -o - > out.png`, or name a file",
        )
    return True


def save_to_stdout(result: Any, suffix: str = ".png") -> None:
    """Write a result's picture or film to stdout, in the format of the suffix."""
    with TemporaryDirectory(prefix="neuralid-") as folder:
        _writing.append(folder)
        try:
            content = result.save(Path(folder) / f"{STDOUT}{suffix}").read_bytes()
        finally:
            _writing.pop()
    streams.write_bytes(content, console.show_error)


def say(text: str) -> None:
    """Print a message; a result on its way to stdout is called that."""
    for folder in _writing:
        text = text.replace(f"{Path(folder) / STDOUT}", STDOUT)
    console.say(text)
