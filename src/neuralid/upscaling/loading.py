"""The functions that the tables name, and the optional packages some of them need."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np

from ..core.errors import ConfigError
from .config import METHODS, Requirement


def load_function(place: str) -> Callable[..., np.ndarray]:
    """The function at "module:function"; ".module" is one of this package."""
    module, _, name = place.partition(":")
    function: Callable[..., np.ndarray] = getattr(import_module(module, __package__), name)
    return function


def list_available() -> list[str]:
    """The names of the methods that can be used: all whose packages can be imported."""
    return [
        name
        for name, method in METHODS.items()
        if method.requires is None or import_error(method.requires) is None
    ]


def check_installed(method: str) -> None:
    """Raise `ConfigError` if a method needs a package that cannot be imported."""
    needed = METHODS[method].requires
    if needed is not None and (problem := import_error(needed)) is not None:
        raise ConfigError(
            f"the method {method} needs the package {needed.package}, which is not there or cannot "
            "be imported",
            hint=f"pip install 'neuralid[{needed.extra}]', or take {needed.instead}",
        ) from problem


def import_error(needed: Requirement) -> Exception | None:
    """What goes wrong when a package is imported; None if nothing does."""
    try:
        import_module(needed.module)
    except Exception as error:  # a broken package may raise anything
        return error
    return None
