"""``--save-weights``: weights tuned to photos, kept in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import ConfigError
from ..core.files import check_writable
from ..latents.config import InvertConfig

if TYPE_CHECKING:
    from ..api._model import Model


def check_tuned(save_weights: Path | None, fidelity: str) -> None:
    """Raise now if tuned weights could not be written later, or there will be none."""
    if save_weights is None:
        return
    if not InvertConfig(fidelity).tunes:
        raise ConfigError("--save-weights is for tuned weights", hint="add --fidelity high")
    check_writable(save_weights)


def save_tuned(model: Model, path: Path) -> Model:
    """Write the weights; the model then speaks of those in the file."""
    if not model.is_tuned:
        raise ConfigError(
            "no photo to tune the generator to, so --save-weights has nothing to keep",
            hint="give at least one photo among the inputs",
        )
    return model.save(path)
