"""Everything a run needs to go on: the networks, their optimisers, how far it is."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from ..config import ModelConfig, TrainConfig
from ..models import build_discriminator, build_generator
from ..models.dcgan import Discriminator, Generator

Network = TypeVar("Network", bound=nn.Module)


@dataclass
class TrainState:
    """The state of one run; `pack` and `unpack` carry it through a checkpoint."""

    generator: Generator
    discriminator: Discriminator
    average: Generator  # moving average of the generator; what is published
    optimizer_g: torch.optim.Optimizer
    optimizer_d: torch.optim.Optimizer
    step: int = 0
    images: int = 0  # real pictures shown so far

    @classmethod
    def fresh(cls, model: ModelConfig, config: TrainConfig, device: torch.device) -> TrainState:
        """A new run: networks initialised from the run's seed."""
        recipe = config.recipe
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            generator = _place(build_generator(model, recipe.dropout_g), device)
            discriminator = _place(build_discriminator(model, recipe.dropout_d), device)
        average = copy.deepcopy(generator).eval().requires_grad_(False)
        return cls(
            generator,
            discriminator,
            average,
            _adam(generator, recipe.learning_rate_g, recipe.beta1),
            _adam(discriminator, recipe.learning_rate_d, recipe.beta1),
        )

    def pack(self) -> dict[str, Any]:
        """The state as plain values and tensors."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        return {**parts, "step": self.step, "images": self.images}

    def unpack(self, values: dict[str, Any]) -> None:
        """Take over the state `pack` gave."""
        for name, part in self._parts().items():
            part.load_state_dict(values[name])
        self.step, self.images = values["step"], values["images"]

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Move the average towards the generator, its batch-norm statistics too.

        The first steps are averaged over a shorter time (``(1 + n) / (10 + n)``), so that
        the initial weights do not linger.
        """
        decay = min(decay, (1 + self.step) / (10 + self.step))
        pairs = zip(
            self.average.state_dict().values(), self.generator.state_dict().values(), strict=True
        )
        for mean, value in pairs:
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    def _parts(self) -> dict[str, Any]:
        names = ("generator", "discriminator", "average", "optimizer_g", "optimizer_d")
        return {name: getattr(self, name) for name in names}


def _place(network: Network, device: torch.device) -> Network:
    network.to(device).train()
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def _adam(network: nn.Module, rate: float, beta1: float) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=rate, betas=(beta1, 0.999), fused=True)
