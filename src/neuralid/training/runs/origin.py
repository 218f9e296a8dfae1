"""Where a new run may start: at the networks of weights, or of another run.

Weights hold only the generator. A finished run leaves its discriminator in a training file beside
them, which knows them by their id; for a run, its newest checkpoint has both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ...core.errors import NeuralidError, TrainingError
from ...core.jsontext import build
from ...core.tensors import open_tensors, save_tensors
from ...models.building import check_size, empty_discriminator, empty_generator
from ...models.config import ModelConfig
from ...models.stored import check_shapes, check_tensors
from ...weights import load_weights
from ...weights_cache import file_id
from .checkpoint import load_checkpoint
from .folder import Run
from .known import TRAINING_SUFFIX, find_named

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
    return find_named(name, out).resolve()


def read_origin(path: Path) -> Origin:
    """The networks that `find_origin` found. Raises `WeightsError` or `TrainingError`."""
    if path.is_dir():
        return _read_run(Run(path))
    loaded = load_weights(path)
    model = loaded.description.model
    tensors = read_discriminator(path, loaded.id, model)
    return Origin(model, {**loaded.generator.state_dict()}, tensors)


def save_discriminator(weights: Path, tensors: Mapping[str, Tensor]) -> Path:
    """Write a discriminator, in half precision, beside the weights it was trained with.

    Raises `OutputError`.
    """
    halves = {
        name: tensor.detach().cpu().half().contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }
    path = _training_file(weights)
    save_tensors(path, halves, {_ID: file_id(weights)})
    return path


def read_discriminator(
    weights: Path, weights_id: str, model: ModelConfig
) -> dict[str, Tensor] | None:
    """The discriminator beside weights; None if there is none, or not theirs, or a damaged one."""
    wanted = empty_discriminator(model).state_dict()
    try:
        with open_tensors(_training_file(weights)) as file:
            if file.texts.get(_ID) != weights_id:
                return None
            check_shapes(wanted, file.shapes)
            found = file.read()
        check_tensors(wanted, found, exact=False)
    except (OSError, ValueError):
        return None
    return {name: t.float() if t.is_floating_point() else t for name, t in found.items()}


def _training_file(weights: Path) -> Path:
    return weights.with_name(weights.name.removesuffix(".safetensors") + TRAINING_SUFFIX)


def _read_run(run: Run) -> Origin:
    found: list[Origin] = []
    try:
        model = build(ModelConfig, run.read_options().get("model"))
        check_size(model)
        there = load_checkpoint(run.folder, lambda values: found.append(_origin(model, values)))
    except (ValueError, NeuralidError) as error:
        raise TrainingError(f"{run.folder} is not a run to start from: {error}") from error
    if not there:
        raise TrainingError(f"{run.folder} has no checkpoint yet", hint="start from weights")
    return found[0]


def _origin(model: ModelConfig, values: dict[str, Any]) -> Origin:
    """Copies of the networks in a checkpoint. Raises `ValueError` if they are not the model's."""
    networks = {"average": empty_generator(model), "discriminator": empty_discriminator(model)}
    for name, network in networks.items():
        check_tensors(network.state_dict(), values.get(name))
    copies = [{key: tensor.clone() for key, tensor in values[name].items()} for name in networks]
    return Origin(model, *copies)
