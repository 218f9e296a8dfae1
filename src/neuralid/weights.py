"""Weights on disk: one safetensors file with its JSON description, verified."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .core.errors import ConfigError, WeightsError
from .core.jsontext import build, parse_object, take
from .core.tensors import digest, open_tensors, save_tensors
from .faces.config import Frame
from .latents.attributes import Direction
from .latents.coordinates import Coordinates
from .latents.whitening import Whitening
from .models.architecture import architecture
from .models.building import empty_encoder, empty_generator, empty_perceptual, fill
from .models.compact import compact_large, from_bytes, whole_shapes
from .models.config import ModelConfig
from .models.encoder import Encoder, LayerEncoder
from .models.network import GeneratorNetwork, PerceptualNetwork
from .models.stored import check_shapes, check_tensors
from .weights_cache import HINT, file_id, find_weights

FORMAT = 1
_METRIC = "latent_metric"  # name of the tensor
_GENERATOR = ""  # prefix of the generator's tensors
_ENCODER = "encoder."  # prefix of the encoder's tensors
_PERCEPTUAL = "perceptual."  # prefix of the perceptual network's
_DIRECTION = "direction."  # prefix of the directions' vectors
_KEY = "neuralid"  # of the JSON text in the file's metadata


@dataclass(frozen=True)
class Description:
    """What a weights file says about itself."""

    model: ModelConfig
    images_seen: int = 0  # real pictures shown in training
    dataset: str = ""  # name of the training data
    crop: dict[str, Any] = field(default_factory=dict)  # the paper's four numbers, as in training
    frame: Frame | None = None  # where the eyes are in its faces; None: not measured
    recipe: str = ""
    licence: str = ""  # terms the weights are offered under
    version: str = ""  # of the program that wrote the file
    directions: dict[str, Any] = field(default_factory=dict)  # facts about each, by attribute
    scores: dict[str, float] = field(default_factory=dict)  # see docs/explanation/metrics.md
    digest: str = ""  # SHA-256 of the tensors, which shows damage inside them
    format: int = FORMAT


@dataclass(frozen=True)
class Weights:
    """A generator read from a file, its description, and the id latents are checked against."""

    generator: GeneratorNetwork  # float32, in evaluation mode, gradients off
    description: Description
    id: str  # first 16 hex digits of the SHA-256 of the file's contents
    path: Path
    metric: Tensor | None = None  # (D, D), see latents.coordinates.latent_metric
    encoder: Encoder | LayerEncoder | None = None  # guesses inversion's start; None: the mean
    directions: dict[str, Direction] = field(default_factory=dict)  # by attribute
    perceptual: PerceptualNetwork | None = None  # what inversion compares faces in beside pixels

    @cached_property
    def coordinates(self) -> Coordinates | Whitening | None:
        """The coordinates inversion searches in: from the metric, None without one.

        Architectures that search by layer have whitened ones, computed when first needed.
        """
        if architecture(self.description.model.architecture).inverting.by_layer:
            return Whitening.of(self.generator)
        return None if self.metric is None else Coordinates.of(self.metric)


def save_weights(
    path: Path,
    generator: GeneratorNetwork,
    description: Description,
    metric: Tensor | None = None,
    encoder: Encoder | LayerEncoder | None = None,
    directions: dict[str, Direction] | None = None,
    perceptual: PerceptualNetwork | None = None,
    *,
    compact: bool = False,
) -> None:
    """Write the networks as safetensors, in half precision.

    In full are the metric and what the architecture says needs it. With ``compact``, large
    matrices are stored in 8 bits a number, with a scale for each row.
    """
    full = architecture(description.model.architecture).needs_full_precision
    tensors = {n: _stored(t, full(n)) for n, t in generator.state_dict().items()}
    if metric is not None:
        tensors[_METRIC] = metric
    for prefix, network in ((_ENCODER, encoder), (_PERCEPTUAL, perceptual)):
        if network is not None:
            tensors |= {prefix + name: _stored(t) for name, t in network.state_dict().items()}
    directions = directions or {}
    tensors |= {_DIRECTION + name: each.vector for name, each in directions.items()}
    facts = {name: each.facts() for name, each in directions.items()}
    if compact:
        tensors = compact_large(tensors)
    description = replace(description, digest=digest(tensors), directions=facts)
    text = json.dumps({**asdict(description), "model": description.model.to_dict()})
    save_tensors(path, tensors, {_KEY: text})


def load_weights(name: str | Path | None = None) -> Weights:
    """Read weights by path, by name in the cache, or the ones that ship (None).

    Raises `WeightsError` for a file that is missing, damaged, cut short, or from another
    program or architecture.
    """
    path = find_weights(name)
    try:
        with open_tensors(path) as file:
            description = describe(file.texts, path)
            networks = _networks(description.model, file.shapes, path)
            wanted = _wanted(networks, description, file.shapes)
            # Before anything is read: now all sizes are known, and are those of the file.
            _check(
                path,
                "does not match its architecture",
                check_shapes,
                wanted,
                whole_shapes(file.shapes),
            )
            tensors = file.read()
        if not file.is_sealed and description.digest not in ("", digest(tensors)):
            raise ValueError("its checksum does not match")
        tensors = from_bytes(tensors)
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{path} is damaged or not a safetensors file: {error}", hint=HINT
        ) from error
    _check(path, "is damaged", check_tensors, wanted, tensors, exact=False)
    for prefix, network in networks.items():
        own = {name: tensors[prefix + name] for name in network.state_dict()}
        fill(network, own, copy=False)
    return Weights(
        networks[_GENERATOR],
        description,
        file_id(path),
        path,
        metric=tensors[_METRIC].float() if _METRIC in tensors else None,
        encoder=networks.get(_ENCODER),
        directions=_directions(description, tensors),
        perceptual=networks.get(_PERCEPTUAL),
    )


def _stored(tensor: Tensor, full: bool = False) -> Tensor:
    full = full or not tensor.is_floating_point()
    return tensor.detach().cpu().contiguous().to(tensor.dtype if full else torch.float16)


def describe(texts: dict[str, str], path: Path) -> Description:
    """A file's metadata, read. Raises `WeightsError`."""
    if not (text := texts.get(_KEY)):
        raise WeightsError(f"{path} holds weights from another program", hint=HINT)
    try:
        values = parse_object(text)
        if take(values.get("format"), int, "'format'") > FORMAT:
            raise WeightsError(
                f"{path} was written by a newer neuralid ({values.get('version')})",
                hint="upgrade neuralid",
            )
        frame = take(values.get("frame"), dict[str, tuple[float, float]] | None, "'frame'")
        facts = take(values.get("directions", {}), dict[str, dict[str, Any]], "'directions'")
        ready = {
            "model": build(ModelConfig, values.get("model")),
            "frame": Frame.from_dict(frame) if frame else None,
            "directions": {name: _read_facts(each) for name, each in facts.items()},
            "scores": _figures(values.get("scores", {})),
        }
        return build(Description, values, **ready)
    except (ValueError, KeyError, ConfigError) as error:
        raise WeightsError(f"{path} describes an unknown model: {error}", hint=HINT) from error


def _read_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """What is known about a direction: the fields of `Direction` but its vector."""
    unit = take(facts.get("unit"), float, "'unit'")
    accuracy = _figures({"accuracy": facts.get("accuracy")})
    return {"unit": unit, **accuracy, "effects": _figures(facts.get("effects"))}


def _figures(values: Any) -> dict[str, float]:
    """Numbers by name. They were measured, so some may be no finite numbers."""
    found = take(values, dict[str, Any], "a list of figures")
    for name, value in found.items():
        if type(value) not in (int, float):
            raise ValueError(f"'{name}' must be a number")
    return found


def _networks(model: ModelConfig, shapes: dict[str, tuple[int, ...]], path: Path) -> dict[str, Any]:
    """The networks in a file, by the prefix of their tensors' names; they hold no numbers yet."""
    generator = empty_generator(model)
    make: dict[str, Callable[[], nn.Module]] = {
        _ENCODER: lambda: empty_encoder(model, generator.latent_shape),
        _PERCEPTUAL: lambda: empty_perceptual(model),
    }
    there = [prefix for prefix in make if any(name.startswith(prefix) for name in shapes)]
    try:
        return {_GENERATOR: generator, **{prefix: make[prefix]() for prefix in there}}
    except ConfigError as error:
        raise WeightsError(f"{path} does not match its architecture: {error}", hint=HINT) from error


def _wanted(
    networks: dict[str, Any], description: Description, shapes: dict[str, tuple[int, ...]]
) -> dict[str, Tensor]:
    """All tensors that the file must have, without their numbers."""
    shape = networks[_GENERATOR].latent_shape
    wanted = {p + name: t for p, own in networks.items() for name, t in own.state_dict().items()}
    vector = torch.empty(shape, device="meta")
    wanted |= {_DIRECTION + name: vector for name in description.directions}
    if _METRIC in shapes:
        wanted[_METRIC] = torch.empty((vector.numel(),) * 2, device="meta")
    return wanted


def _directions(description: Description, tensors: dict[str, Tensor]) -> dict[str, Direction]:
    facts = description.directions.items()
    return {name: Direction(tensors[_DIRECTION + name].float(), **each) for name, each in facts}


def _check(path: Path, wrong: str, check: Callable[..., None], *what: Any, **how: Any) -> None:
    """Turn the `ValueError` of a check into a `WeightsError`."""
    try:
        check(*what, **how)
    except ValueError as error:
        raise WeightsError(f"{path} {wrong}: {error}", hint=HINT) from error
