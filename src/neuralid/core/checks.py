"""Range checks for settings and parameters."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from .errors import ConfigError

PRECISIONS = ("auto", "fp32", "bf16")


def check_range(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Raise `ConfigError` unless ``low <= value <= high`` (NaN never passes).

    ``name`` is the parameter's name, or a short phrase where no parameter is meant.
    """
    if not low <= value <= high:
        bound = f"at least {low:g}" if high == float("inf") else f"from {low:g} to {high:g}"
        shown = f"`{name}`" if name.isidentifier() else name
        raise ConfigError(f"{shown} must be {bound}, not {value:g}")


def check_precision(name: str) -> None:
    """Raise `ConfigError` unless ``name`` is one that `device.pick_precision` takes."""
    if name not in PRECISIONS:
        raise ConfigError(f"`precision` must be auto, fp32 or bf16, not '{name}'")


def nearest(name: str, known: Iterable[str]) -> str:
    """For a hint about a mistyped name: the start of a sentence, empty if no name is near.

    >>> nearest("celbea", ["celeba", "faces-112"])
    "did you mean 'celeba'? "
    """
    found = get_close_matches(name, dict.fromkeys(known), n=2, cutoff=0.6)
    return f"did you mean {' or '.join(map(repr, found))}? " if found else ""
