"""``--save-weights``: save weights tuned to photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import ConfigError
from ..core.files import check_writable
from ..latents.config import InvertConfig, first_to_tune

if TYPE_CHECKING:
    from ..api._model import Model


def check_tuned(model: Model, save_weights: Path | None, fidelity: str) -> None:
    """Raise now if there will be no tuned weights, or they cannot be written."""
    if save_weights is None:
        return
    if not InvertConfig(fidelity).effort(model.inverting).tuning:
        hint = f"add --fidelity {first_to_tune(model.inverting)}"
        raise ConfigError("--save-weights is for tuned weights", hint=hint)
    check_writable(save_weights)


def save_tuned(model: Model, path: Path) -> Model:
    """Write the weights; returns the model with the id of the file."""
    if not model.is_tuned:
        raise ConfigError(
            "no photo to tune the generator to, so --save-weights has nothing to save",
            hint="give at least one photo among the inputs",
        )
    return model.save(path)
