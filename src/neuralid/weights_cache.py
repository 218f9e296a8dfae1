"""Where weights are, by path or name: those that ship, and the cache in which runs publish."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.resources import files as package_files
from pathlib import Path

from .core.errors import ConfigError, WeightsError
from .core.files import make_folder, remove_unfinished
from .core.home import cache_folder
from .core.locks import in_turn

SHIPPED = DEFAULT, PAPER = "faces-112", "faces-56"  # what the package brings along
HINT = "pass `model` a file or the name of a run you trained, or leave it out"


def find_weights(name: str | Path | None = None) -> Path:
    """The path of the weights called ``name``; None means those that ship with the package."""
    hint = HINT
    if name is None:
        path, hint = _asset(DEFAULT), "the installation is damaged: reinstall neuralid"
    else:
        path = Path(name)
        if not path.is_file() and (cached := _in_cache(str(name))) is not None:
            path = cached
        elif not path.exists() and str(name) in SHIPPED:
            path = _asset(str(name))
    if path.is_dir():
        raise WeightsError(f"{path} is a folder, not a weights file", hint=HINT)
    if not path.exists():
        raise WeightsError(f"no weights '{name or DEFAULT}' at {path}", hint=hint)
    return path


def _asset(name: str) -> Path:
    """Where weights are that ship with the package."""
    return Path(str(package_files("neuralid") / "assets" / f"{name}.safetensors"))


def _in_cache(name: str) -> Path | None:
    """The weights of that name in the cache; None if there are none, or no cache."""
    if Path(name).name != name:
        return None
    try:
        path = weights_folder() / f"{name}.safetensors"
        return path if path.is_file() else None
    except (ConfigError, OSError):  # there is no home folder, or it is somebody else's
        return None


def publish(name: str, save_to: Callable[[Path], None]) -> Path:
    """Have weights saved in the cache, where ``name`` finds them; returns the path.

    No other process publishes meanwhile, so ``save_to`` may write files beside the path, too.
    """
    folder = make_folder(weights_folder())
    path = folder / f"{name}.safetensors"
    with in_turn(folder / ".lock"):
        remove_unfinished(folder)
        save_to(path)
    return path


def is_published(name: str) -> bool:
    """Whether the cache has weights called ``name``."""
    return (weights_folder() / f"{name}.safetensors").exists()


def weights_folder() -> Path:
    return cache_folder() / "weights"


def file_id(path: Path) -> str:
    """First 16 hex digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
