"""Where on the user's machine the cache is."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from .errors import ConfigError, OutputError
from .files import check_folder

_HINT = "set NEURALID_CACHE_DIR to a folder that can be written to"


def cache_folder() -> Path:
    """``NEURALID_CACHE_DIR``, else the platform's user cache folder.

    Raises `ConfigError` for a user without a home folder, such as a system's service.
    """
    named = os.environ.get("NEURALID_CACHE_DIR")
    if named:
        return Path(named)
    try:
        folder = platformdirs.user_cache_path("neuralid", appauthor=False)
    except RuntimeError:
        folder = Path("~")
    if not folder.is_absolute():
        raise ConfigError("there is no home folder for the cache", hint=_HINT)
    return folder


def check_cache() -> None:
    """Raise `ConfigError` or `OutputError` now if nothing can be kept in the cache."""
    try:
        check_folder(cache_folder())
    except OutputError as error:
        error.hint = _HINT
        raise
