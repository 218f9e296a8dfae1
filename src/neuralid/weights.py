"""Weights on disk: one safetensors file with its JSON description, verified, named and cached."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from .core.errors import ConfigError, NeuralidError, WeightsError
from .core.files import make_folder, remove_unfinished, write_atomically
from .core.home import cache_folder
from .core.locks import in_turn
from .faces.config import Frame
from .latents.attributes import Direction
from .latents.coordinates import Coordinates
from .latents.whitening import Whitening
from .models.architecture import architecture
from .models.building import AnyModule, empty_encoder, empty_generator, empty_perceptual, fill
from .models.compact import compact_large, from_bytes
from .models.config import ModelConfig
from .models.encoder import Encoder, LayerEncoder
from .models.network import GeneratorNetwork, PerceptualNetwork

FORMAT = 1
DEFAULT = "faces-56"  # ships with the package
_METRIC = "latent_metric"  # name of the tensor
_ENCODER = "encoder."  # prefix of the encoder's tensors
_PERCEPTUAL = "perceptual."  # prefix of the perceptual network's
_DIRECTION = "direction."  # prefix of the directions' vectors
_KEY = "neuralid"  # of the JSON text in the file's metadata
_HINT = "pass `model` a file or the name of a run you trained, or leave it out"


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
    description = replace(description, digest=_digest(tensors), directions=facts)
    text = json.dumps({**asdict(description), "model": description.model.to_dict()})
    write_atomically(path, save(tensors, metadata={_KEY: text}))


def load_weights(name: str | Path | None = None) -> Weights:
    """Read weights by path, by name in the cache, or the ones that ship (None).

    Raises `WeightsError` for a file that is missing, damaged, cut short, or from another
    program or architecture.
    """
    path = find_weights(name)
    tensors, text = _read(path)
    description = _describe(text, path)
    if description.digest and description.digest != _digest(tensors):
        raise WeightsError(f"{path} is damaged: its checksum does not match", hint=_HINT)
    tensors = _expand(tensors, path)
    model = description.model
    generator = empty_generator(model)
    shape = generator.latent_shape
    metric = tensors.pop(_METRIC, None)
    encoder = _take_network(tensors, _ENCODER, lambda: empty_encoder(model, shape), path)
    perceptual = _take_network(tensors, _PERCEPTUAL, lambda: empty_perceptual(model), path)
    directions = _take_directions(tensors, description, shape, path)
    _fill(generator, tensors, path)
    _check_metric(metric, math.prod(shape), path)
    own = file_id(path)
    return Weights(generator, description, own, path, metric, encoder, directions, perceptual)


def find_weights(name: str | Path | None = None) -> Path:
    """The path of the weights called ``name``; None means those that ship with the package."""
    shipped = Path(str(package_files("neuralid") / "assets" / f"{DEFAULT}.safetensors"))
    hint = _HINT
    if name is None:
        path, hint = shipped, "the installation is damaged: reinstall neuralid"
    else:
        path = Path(name)
        if not path.is_file() and (cached := _in_cache(str(name))) is not None:
            path = cached
        elif not path.exists() and str(name) == DEFAULT:
            path = shipped
    if path.is_dir():
        raise WeightsError(f"{path} is a folder, not a weights file", hint=_HINT)
    if not path.exists():
        raise WeightsError(f"no weights '{name or DEFAULT}' at {path}", hint=hint)
    return path


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


def _stored(tensor: Tensor, full: bool = False) -> Tensor:
    full = full or not tensor.is_floating_point()
    return tensor.detach().cpu().contiguous().to(tensor.dtype if full else torch.float16)


def _expand(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    try:
        return from_bytes(tensors)
    except ValueError as error:
        raise WeightsError(f"{path} is damaged: {error}", hint=_HINT) from error


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Tensor], str]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, (file.metadata() or {}).get(_KEY, "")
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path} is damaged or not a safetensors file: {error}", hint=_HINT
        ) from error


def _describe(text: str, path: Path) -> Description:
    if not text:
        raise WeightsError(f"{path} holds weights from another program", hint=_HINT)
    try:
        values = json.loads(text)
        if values["format"] > FORMAT:
            raise WeightsError(
                f"{path} was written by a newer neuralid ({values['version']})",
                hint="upgrade neuralid",
            )
        frame = Frame.from_dict(values["frame"]) if values.get("frame") else None
        model = ModelConfig(**values["model"])
        return Description(**{**values, "model": model, "frame": frame})
    except (ValueError, KeyError, TypeError, NeuralidError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path} describes an unknown model: {error}", hint=_HINT) from error


def _check_metric(metric: Tensor | None, size: int, path: Path) -> None:
    if metric is not None and (metric.shape != (size, size) or not bool(metric.isfinite().all())):
        raise WeightsError(f"{path} is damaged: '{_METRIC}' is not a finite matrix", hint=_HINT)


def _take_directions(
    tensors: dict[str, Tensor], description: Description, shape: tuple[int, ...], path: Path
) -> dict[str, Direction]:
    """Take the directions' vectors out of ``tensors``."""
    found = {}
    for name, facts in description.directions.items():
        vector = tensors.pop(_DIRECTION + name, None)
        if vector is None or vector.shape != shape or not bool(vector.isfinite().all()):
            raise WeightsError(f"{path} is damaged: no direction for '{name}'", hint=_HINT)
        found[name] = Direction(vector, facts["unit"], facts["accuracy"], facts["effects"])
    return found


def _take_network(
    tensors: dict[str, Tensor], prefix: str, make: Callable[[], AnyModule], path: Path
) -> AnyModule | None:
    """Take the tensors with a prefix out and fill a network with them; None if there are none."""
    names = [name for name in tensors if name.startswith(prefix)]
    if not names:
        return None
    network = make()
    _fill(network, {name.removeprefix(prefix): tensors.pop(name) for name in names}, path)
    return network


def _fill(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Give an empty network its tensors, and make it ready to use."""
    wanted = network.state_dict()
    wrong = sorted(
        name
        for name in wanted.keys() | tensors.keys()
        if name not in wanted or name not in tensors or wanted[name].shape != tensors[name].shape
    )
    if wrong:
        raise WeightsError(
            f"{path} does not match its architecture: '{wrong[0]}' differs", hint=_HINT
        )
    broken = [name for name, tensor in tensors.items() if not tensor.float().isfinite().all()]
    if broken:
        raise WeightsError(f"{path} is damaged: '{broken[0]}' is not finite", hint=_HINT)
    fill(network, tensors)
