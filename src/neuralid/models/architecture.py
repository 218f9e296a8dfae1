"""An architecture is one object, registered by the module that defines it and found by its name.

Adding one is one file and one line of `BUILT_IN`; a program can also `register` its own. This file
imports neither torch nor an architecture before one is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from ..core.errors import ConfigError
from .inverting import Inverting

# Name -> module of this package, imported on first use.
BUILT_IN = {"dcgan": "dcgan", "style": "style"}
REGISTERED: dict[str, Architecture] = {}


@dataclass(frozen=True)
class Architecture:
    """What the program knows of a pair of networks; `network.py` says what they must offer.

    `building.py` makes the networks: on the meta device first, so that making them draws no random
    numbers.
    """

    name: str
    sizes: tuple[int, ...]  # sides of a face that it can draw, pixels, at least 14
    generator: Callable[[Any, float], Any]  # (ModelConfig, dropout) -> GeneratorNetwork
    discriminator: Callable[[Any, float], Any]  # (ModelConfig, dropout) -> DiscriminatorNetwork
    drawer: Callable[[Any], Any]  # a trained GeneratorNetwork -> Drawer; the network is left alone
    recipe: str = "stable"  # name of the recipe it is trained by, if nobody asks for another
    noise_std: float = 1.0  # standard deviation of the normal numbers that a seed gives
    truncation: float = 1.0  # of `sample`, if nobody asks for another
    blend: str = "rescaled"  # of `mix`, if nobody asks for another; see `latents.mixing`
    group: int = 1  # pictures the discriminator compares: a process's share is a multiple of it
    # How many of a latent's layers, from the first on, hold pose and shape; the later ones hold
    # colours and skin. 0: a latent has no layers, or they don't differ in that way.
    shape_layers: int = 0
    has_dropout: bool = True  # else its recipe must have none
    needs_full_precision: Callable[[str], bool] = lambda tensor: False  # by name, in a weights file
    inverting: Inverting = field(default_factory=Inverting)  # faces' latents are found so
    perceptual: Callable[[Any], Any] | None = None  # ModelConfig -> PerceptualNetwork
    purpose: str = ""  # what it is for, and what another is for; told at the end of a run


def register(new: Architecture) -> None:
    """Make an architecture known under its name, in place of one that has the name already."""
    REGISTERED[new.name] = new


def with_layers() -> list[str]:
    """The names of the architectures that keep shape and colours in layers of their own."""
    return [name for name in sorted({*BUILT_IN, *REGISTERED}) if architecture(name).shape_layers]


def architecture(name: str) -> Architecture:
    """The architecture called ``name``. Raises `ConfigError` if there is none."""
    if name not in REGISTERED and name in BUILT_IN:
        import_module(f".{BUILT_IN[name]}", __package__)
    if name not in REGISTERED:
        known = sorted({*BUILT_IN, *REGISTERED})
        there = "there is" if len(known) == 1 else "there are"
        raise ConfigError(f"no architecture '{name}'", hint=f"{there} {', '.join(known)}")
    return REGISTERED[name]
