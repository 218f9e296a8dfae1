"""Latents: draw them from seeds, save, load, and check them against weights.

Letters in shapes: N latents, Z random numbers of a seed, L the latent's own shape, D numbers in a
latent.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.errors import ConfigError, LatentError
from ..core.jsontext import parse_object, take
from ..core.tensors import open_tensors, save_tensors
from ..models.architecture import architecture
from ..models.config import ModelConfig
from ..models.drawing import Drawer, map_noise

MOST_NUMBERS = 1 << 22  # in a latent; the largest networks take a quarter of them
LARGEST = 1e6  # of a latent's numbers; those of faces are below 10
_KEY = "neuralid-latent"  # of the JSON text in the file's metadata
_LATENT = "latent"  # name of the tensor
_HINT = "make one with `neuralid invert`"


def draw_noise(seeds: Sequence[int], config: ModelConfig) -> Tensor:
    """The normal numbers of each seed, with the architecture's spread (the paper's: N(0, 0.5^2)).

    Each seed has a counter-based generator of its own, so its numbers do not depend on the
    device, the batch or the order.

    Shape:
        - returns: ``(len(seeds), Z)``, float32

    >>> config = ModelConfig(latent_size=8)
    >>> draw_noise([3, 1], config)[1].equal(draw_noise([1], config)[0])
    True
    """
    rows = [_philox(seed).standard_normal(config.latent_size, dtype=np.float32) for seed in seeds]
    return torch.from_numpy(np.stack(rows)) * architecture(config.architecture).noise_std


def draw_noise_batch(n: int, config: ModelConfig, seed: int, step: int) -> Tensor:
    """The noise of one training step: ``(n, Z)``, a function of seed and step."""
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, step))))
    values = generator.standard_normal((n, config.latent_size), dtype=np.float32)
    return torch.from_numpy(values) * architecture(config.architecture).noise_std


def draw_noise_from(rng: torch.Generator, n: int, config: ModelConfig) -> Tensor:
    """The noise of ``n`` more faces from a generator on the CPU: ``(n, Z)``."""
    values = torch.randn(n, config.latent_size, generator=rng)
    return values * architecture(config.architecture).noise_std


def draw_latents(drawer: Drawer, seeds: Sequence[int], truncation: float = 1.0) -> Tensor:
    """The latent of each seed, moved towards their mean: ``(len(seeds), *L)``, on the CPU."""
    return drawer.truncate(map_noise(drawer, draw_noise(seeds, drawer.config)), truncation)


def parse_seeds(text: str) -> list[int]:
    """``"0,1,4-6"`` -> ``[0, 1, 4, 5, 6]``. Raises `ConfigError`.

    >>> parse_seeds("0,1,4-6")
    [0, 1, 4, 5, 6]
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ConfigError(f"'{text}' is not a list of seeds", hint="write it as 0,1,4-6")
        stop = int(last) if dash else int(first)
        if stop < int(first) or stop - int(first) >= 100_000:
            raise ConfigError(
                f"'{part}' is not a range of seeds", hint="from small to large, at most 100,000"
            )
        seeds += range(int(first), stop + 1)
    return seeds


def to_text(latent: Tensor, weights_id: str) -> str:
    """A latent ``(*L)`` and the weights it belongs to, as one line for PNG text."""
    values = latent.detach().cpu().numpy().astype("<f4").tobytes()
    return f"{weights_id}:{base64.b64encode(values).decode()}"


def from_text(text: str, name: str = "the picture") -> tuple[Tensor, str]:
    """Undo `to_text`: the latent's numbers ``(D,)``, without their shape, and the weights' id.

    Raises `LatentError`.
    """
    weights_id, _, values = text.partition(":")
    try:
        latent = np.frombuffer(base64.b64decode(values, validate=True), "<f4").astype(np.float32)
    except ValueError as error:
        raise LatentError(f"the latent in {name} is damaged", hint="sample it again") from error
    return torch.from_numpy(latent), weights_id


@dataclass(frozen=True)
class LatentFile:
    """A latent on disk, and what is known about it."""

    latent: Tensor  # (*L)
    weights_id: str  # of the weights it belongs to
    facts: dict[str, Any]  # source, PSNR, crop


def save_latent(path: Path, latent: Tensor, weights_id: str, facts: dict[str, Any]) -> None:
    """Write a latent ``(*L)`` as safetensors, with its facts as JSON in the metadata."""
    text = json.dumps({**facts, "weights_id": weights_id})
    save_tensors(path, {_LATENT: latent.detach().float()}, {_KEY: text})


def read_latent(content: bytes, name: str) -> LatentFile:
    """As `load_latent`, of the content of a file that came through a pipe. Raises `LatentError`."""
    with TemporaryDirectory(prefix="neuralid-") as folder:
        path = Path(folder) / "latent"
        path.write_bytes(content)
        return load_latent(path, name)


def looks_like_tensors(content: bytes) -> bool:
    """Whether the content of a file begins as safetensors do: a length, then that much JSON."""
    length = int.from_bytes(content[:8], "little")
    return content[8:9] == b"{" and length <= len(content) - 8


def load_latent(path: Path, name: str | None = None) -> LatentFile:
    """Read what `save_latent` wrote; ``name`` is for messages. Raises `LatentError`."""
    name = name or str(path)
    try:
        with open_tensors(path) as file:
            facts = parse_object(file.texts.get(_KEY, ""))
            weights_id = take(facts.pop("weights_id", None), str, "'weights_id'")
            _check_shape(file.shapes)
            latent = file.read()[_LATENT]
    except (OSError, ValueError) as error:
        raise LatentError(f"{name} is not a latent file: {error}", hint=_HINT) from error
    if not latent.is_floating_point() or not is_sound(latent):
        raise LatentError(f"{name} is damaged: it holds no vector of sound numbers", hint=_HINT)
    return LatentFile(latent.float(), weights_id, facts)


def _check_shape(shapes: dict[str, tuple[int, ...]]) -> None:
    """Raise `ValueError` unless a file holds one latent, which is not absurdly large."""
    if list(shapes) != [_LATENT] or not shapes[_LATENT]:
        raise ValueError("it must hold one vector, called 'latent'")
    if math.prod(shapes[_LATENT]) > MOST_NUMBERS:
        raise ValueError(f"it holds more than {MOST_NUMBERS} numbers")


def is_sound(latent: Tensor) -> bool:
    """Whether all numbers of a latent are finite, and none is absurdly large."""
    return bool((latent.abs() <= LARGEST).all())  # False for NaN


def check_belongs(weights_id: str, wanted: str, name: str) -> None:
    """Raise `LatentError` unless a latent belongs to the weights in use."""
    if weights_id != wanted:
        raise LatentError(
            f"{name} belongs to other weights ({weights_id}, not {wanted})",
            hint="pass the weights it was made with as `model`, or invert the photo again",
        )


def _philox(seed: int) -> np.random.Generator:
    if seed < 0:
        raise ConfigError(f"`seed` must be at least 0, not {seed}")
    return np.random.Generator(np.random.Philox(seed))
