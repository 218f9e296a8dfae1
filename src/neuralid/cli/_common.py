"""What every command has: ``-q``, ``-v``, and a frame around its work."""

from __future__ import annotations

import functools
import inspect
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console, streams
from ..core.errors import ConfigError
from ..core.memory import peak_of_process_mb
from ..core.version import __version__

if TYPE_CHECKING:
    from ..api.studio import Studio

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show errors only.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show versions, weights, time and memory too.")
]
_OWN = {"quiet": Quiet, "verbose": Verbose}
_PACKAGES = ("torch", "numpy", "opencv-python", "pillow")


def command(do: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``-q`` and ``-v``, as its last options."""

    @functools.wraps(do)
    def run(*, quiet: bool, verbose: bool, **values: Any) -> None:
        if quiet and verbose:
            raise ConfigError("--quiet and --verbose exclude each other", hint="leave one out")
        streams.set_loudness(quiet, verbose)
        with _Told():
            do(**values)

    own = inspect.signature(do, eval_str=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in _OWN.items()
    ]
    run.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[*own.parameters.values(), *added]
    )
    return run


def detail(text: str) -> None:
    """Print a message that is for ``-v``."""
    if streams.is_verbose():
        console.say(text)


def open_weights(model: str | None, device: str, say: Callable[[str], None]) -> Studio:
    """Read the weights, and say, for ``-v``, which they are."""
    from ..api.studio import open_studio

    studio = open_studio(model, device=device, on_message=say)
    own, about = studio.weights, studio.weights.description
    detail(
        f"weights: {own.path} ({own.id}), {about.model.architecture}, {studio.size} pixels, "
        f"{about.images_seen / 1000:g} kimg"
    )
    return studio


class _Told:
    """Says, with ``-v``, what is about to work, and at the end what that took."""

    def __enter__(self) -> None:
        self.started = time.perf_counter()
        python = ".".join(map(str, sys.version_info[:3]))
        if streams.is_verbose():
            packages = ", ".join(filter(None, map(_name_version, _PACKAGES)))
            console.say(f"neuralid {__version__}, Python {python} on {sys.platform}, {packages}")

    def __exit__(self, *_: object) -> None:
        seconds, most = time.perf_counter() - self.started, peak_of_process_mb()
        detail(f"took {seconds:.1f} s" + (f", at most {most} MB of memory" if most else ""))


def _name_version(package: str) -> str:
    """A package with its version; nothing if another one has brought the module."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""
