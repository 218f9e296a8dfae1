"""The networks: one file an architecture, found by name."""

from __future__ import annotations

from ..core.errors import ConfigError
from .config import ModelConfig
from .dcgan import Discriminator, Generator

ARCHITECTURES = {"dcgan": (Generator, Discriminator)}


def build_generator(config: ModelConfig, dropout: float = 0.0) -> Generator:
    """The generator of ``config.architecture``, freshly initialised."""
    return _architecture(config)[0](config, dropout)


def build_discriminator(config: ModelConfig, dropout: float = 0.0) -> Discriminator:
    """The discriminator of ``config.architecture``, freshly initialised."""
    return _architecture(config)[1](config, dropout)


def _architecture(config: ModelConfig) -> tuple[type[Generator], type[Discriminator]]:
    if config.architecture not in ARCHITECTURES:
        raise ConfigError(
            f"no architecture '{config.architecture}'", hint=f"there is {', '.join(ARCHITECTURES)}"
        )
    return ARCHITECTURES[config.architecture]
