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

from .architecture import architecture
from .config import ModelConfig
from .drawing import Drawer
from .network import DiscriminatorNetwork, GeneratorNetwork, Network

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
    make = architecture(config.architecture).discriminator
    return initialise(empty(lambda: make(config, dropout)), rng)


def build_drawer(generator: GeneratorNetwork) -> Drawer:
    """The inference form of a trained generator, on its device; the generator is not changed."""
    drawer: Drawer = architecture(generator.config.architecture).drawer(generator)
    return drawer


def empty_generator(config: ModelConfig, dropout: float = 0.0) -> GeneratorNetwork:
    """The generator of ``config.architecture`` without weights, for `fill`."""
    make = architecture(config.architecture).generator
    return empty(lambda: make(config, dropout))


def empty(make: Callable[[], AnyModule]) -> AnyModule:
    """Call ``make()`` on the meta device: its tensors have shapes but hold no numbers."""
    with torch.device("meta"):
        return make()


def initialise(network: AnyNetwork, rng: torch.Generator) -> AnyNetwork:
    """Give an `empty` network its first weights, on the CPU."""
    network.to_empty(device="cpu").init_weights(rng)
    return network


def fill(network: AnyModule, tensors: Mapping[str, Tensor]) -> AnyModule:
    """Give an `empty` network copies of stored tensors, floats as float32.

    It is then ready to use: in evaluation mode, gradients off.
    """
    values = {
        name: tensor.to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)
        for name, tensor in tensors.items()
    }
    network.load_state_dict(values, assign=True)
    return network.eval().requires_grad_(False)
