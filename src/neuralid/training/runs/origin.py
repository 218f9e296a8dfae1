"""Where a new run may start: at the networks of weights, or of another run.

Weights hold only the generator. A finished run leaves its discriminator in a training file beside
them, which knows them by their id; for a run, its newest checkpoint has both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ...core.errors import NeuralidError, TrainingError
from ...core.files import write_atomically
from ...models.config import ModelConfig
from ...weights import file_id, find_weights, load_weights
from .checkpoint import load_checkpoint
from .folder import Run

SUFFIX = ".training.safetensors"
_ID = "weights_id"  # in the training file's metadata


@dataclass(frozen=True)
class Origin:
    """The networks a new run starts with, as state dicts on the CPU."""

    model: ModelConfig
    generator: dict[str, Tensor]  # the averaged one
    discriminator: dict[str, Tensor] | None  # None: not known


def find_origin(name: str | Path, out: Path) -> Path:
    """A run's folder, or else the path of weights, by path or name; ``out`` has the runs.

    Raises `WeightsError` or `TrainingError` if there is none.
    """
    for folder in (Path(name), out / name):
        if folder.is_dir():
            return Run.find(out, str(folder)).folder.resolve()
    return find_weights(name).resolve()


def read_origin(path: Path) -> Origin:
    """The networks that `find_origin` found. Raises `WeightsError` or `TrainingError`."""
    if path.is_dir():
        return _read_run(Run(path))
    loaded = load_weights(path)
    tensors = read_discriminator(path, loaded.id)
    return Origin(loaded.description.model, {**loaded.generator.state_dict()}, tensors)


def save_discriminator(weights: Path, tensors: Mapping[str, Tensor]) -> Path:
    """Write a discriminator, in half precision, beside the weights it was trained with.

    Raises `OutputError`.
    """
    halves = {
        name: tensor.detach().cpu().half().contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    path = _training_file(weights)
    write_atomically(path, save(halves, metadata={_ID: file_id(weights)}))
    return path


def read_discriminator(weights: Path, weights_id: str) -> dict[str, Tensor] | None:
    """The discriminator beside weights; None if there is none, or that of other weights."""
    try:
        with safe_open(_training_file(weights), framework="pt") as file:
            if (file.metadata() or {}).get(_ID) != weights_id:
                return None
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError):
        return None
    return {name: t.float() if t.is_floating_point() else t for name, t in found.items()}


def _training_file(weights: Path) -> Path:
    return weights.with_name(weights.name.removesuffix(".safetensors") + SUFFIX)


def _read_run(run: Run) -> Origin:
    found: list[Origin] = []
    try:
        model = ModelConfig(**run.read_options()["model"])
        there = load_checkpoint(
            run.folder,
            torch.device("cpu"),
            lambda values: found.append(Origin(model, values["average"], values["discriminator"])),
        )
    except (KeyError, TypeError, NeuralidError) as error:
        raise TrainingError(f"{run.folder} is not a run to start from: {error}") from error
    if not there:
        raise TrainingError(f"{run.folder} has no checkpoint yet", hint="start from weights")
    return found[0]
