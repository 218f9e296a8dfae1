"""What every setting's check is made of."""

from __future__ import annotations

from .errors import ConfigError


def check_range(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Raise `ConfigError` unless ``low <= value <= high`` (NaN never passes)."""
    if not low <= value <= high:
        bound = f"at least {low:g}" if high == float("inf") else f"from {low:g} to {high:g}"
        raise ConfigError(f"{name} must be {bound}, not {value:g}")
