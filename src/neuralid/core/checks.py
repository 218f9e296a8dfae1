"""What every setting's check is made of."""

from __future__ import annotations

from .errors import ConfigError


def check_range(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Raise `ConfigError` unless ``low <= value <= high`` (NaN never passes).

    ``name`` is the parameter's, or a few words for what is not one.
    """
    if not low <= value <= high:
        bound = f"at least {low:g}" if high == float("inf") else f"from {low:g} to {high:g}"
        shown = f"`{name}`" if name.isidentifier() else name
        raise ConfigError(f"{shown} must be {bound}, not {value:g}")
