"""Build networks without drawing from torch's global generator of random numbers.

PyTorch's layers draw random weights when they are created. Those are not wanted: weights are read
from a file or drawn from the caller's generator. So networks are created on the meta device, where
tensors hold no numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..core.errors import ConfigError
from .architecture import architecture
from .config import ModelConfig
from .drawing import Drawer
from .encoder import Encoder, LayerEncoder
from .network import DiscriminatorNetwork, GeneratorNetwork, Network, PerceptualNetwork

MOST_NUMBERS = 250_000_000  # in one network; ten times as many as the largest size has
AnyModule = TypeVar("AnyModule", bound=nn.Module)
AnyNetwork = TypeVar("AnyNetwork", bound=Network)


def build_generator(
    config: ModelConfig, rng: torch.Generator, dropout: float = 0.0
) -> GeneratorNetwork:
    """The generator of ``config.architecture``, its weights drawn from ``rng``."""
    return initialise(empty_generator(config, dropout), rng)


def build_discriminator(
    config: ModelConfig, rng: torch.Generator, dropout: float = 0.0
) -> DiscriminatorNetwork:
    """The discriminator of ``config.architecture``, its weights drawn from ``rng``."""
    return initialise(empty_discriminator(config, dropout), rng)


def build_drawer(generator: GeneratorNetwork) -> Drawer:
    """The inference form of a trained generator, on its device; the generator is not changed."""
    drawer: Drawer = architecture(generator.config.architecture).drawer(generator)
    return drawer


def empty_generator(config: ModelConfig, dropout: float = 0.0) -> GeneratorNetwork:
    """The generator of ``config.architecture`` without weights, for `fill`."""
    make = architecture(config.architecture).generator
    return empty(lambda: make(config, dropout))


def empty_discriminator(config: ModelConfig, dropout: float = 0.0) -> DiscriminatorNetwork:
    """The discriminator of ``config.architecture`` without weights."""
    make = architecture(config.architecture).discriminator
    return empty(lambda: make(config, dropout))


def check_size(config: ModelConfig) -> int:
    """How many numbers the two networks hold, found out without making them.

    Raises `ConfigError` for more than `MOST_NUMBERS` in one of them.
    """
    counts = []
    for network in (empty_generator(config), empty_discriminator(config)):
        counts.append(sum(tensor.numel() for tensor in network.state_dict().values()))
    if max(counts) > MOST_NUMBERS:
        raise ConfigError(
            f"a network of `latent_size` {config.latent_size} has {max(counts) / 1e6:.0f} million "
            f"numbers; the limit is {MOST_NUMBERS / 1e6:g} million",
            hint="choose a smaller `latent_size`",
        )
    return sum(counts)


def empty_perceptual(config: ModelConfig) -> PerceptualNetwork:
    """The perceptual network of ``config.architecture`` without weights, for `fill`.

    Raises `ConfigError` if the architecture has none.
    """
    make = architecture(config.architecture).perceptual
    if make is None:
        raise ConfigError(f"the architecture {config.architecture} has no perceptual network")
    return empty(lambda: make(config))


def build_perceptual(discriminator: DiscriminatorNetwork) -> PerceptualNetwork | None:
    """A copy of the perceptual network in a discriminator, on its device; None if it has none."""
    if architecture(discriminator.config.architecture).perceptual is None:
        return None
    bare = empty_perceptual(discriminator.config)
    tensors = discriminator.state_dict()
    return fill(bare, {name: tensors[name] for name in bare.state_dict()})


def empty_encoder(config: ModelConfig, shape: tuple[int, ...]) -> Encoder | LayerEncoder:
    """The encoder of ``config.architecture`` without weights; ``shape`` is that of a latent."""
    if not architecture(config.architecture).inverting.by_layer:
        return empty(lambda: Encoder(config.size, shape, config.slope))
    last = empty_perceptual(config).last
    return empty(lambda: LayerEncoder(last, shape, config.slope))


def empty(make: Callable[[], AnyModule]) -> AnyModule:
    """Call ``make()`` on the meta device: its tensors have shapes but hold no numbers."""
    with torch.device("meta"):
        return make()


def initialise(network: AnyNetwork, rng: torch.Generator) -> AnyNetwork:
    """Give an `empty` network its first weights, on the CPU."""
    network.to_empty(device="cpu").init_weights(rng)
    return network


def fill(network: AnyModule, tensors: Mapping[str, Tensor], *, copy: bool = True) -> AnyModule:
    """Give an `empty` network stored tensors, floats as float32; without ``copy`` the very tensors.

    It is then ready to use: in evaluation mode, gradients off.
    """
    values = {
        name: tensor.to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=copy)
        for name, tensor in tensors.items()
    }
    network.load_state_dict(values, assign=True)
    return network.eval().requires_grad_(False)
