"""Everything a run needs to go on: the networks, their optimisers, how far it is."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ..models.building import build_discriminator, build_generator
from ..models.config import ModelConfig
from ..models.network import DiscriminatorNetwork, GeneratorNetwork
from ..models.recipe import Recipe
from ..models.stored import check_tensors
from .adam import Adam
from .augment import Augmentation
from .config import TrainConfig

# Of each count the largest that is believed.
COUNTS = {"step": 1 << 40, "images": 1 << 40, "rollbacks": 64, "warmup": 1 << 40}
NETWORKS = ("generator", "discriminator", "average")
OPTIMIZERS = ("optimizer_g", "optimizer_d")
WARMUP = 5000  # pictures in which a new discriminator catches up with a trained generator
Network = TypeVar("Network", bound=nn.Module)


@dataclass
class TrainState:
    """The state of one run; `pack` and `unpack` carry it through a checkpoint."""

    generator: GeneratorNetwork
    discriminator: DiscriminatorNetwork
    average: GeneratorNetwork  # moving average of the generator; what is published
    optimizer_g: torch.optim.Optimizer
    optimizer_d: torch.optim.Optimizer
    augmentation: Augmentation
    step: int = 0
    images: int = 0  # real pictures shown so far
    rollbacks: int = 0  # how often the run diverged and went back
    warmup: int = 0  # pictures shown before the generator begins to learn

    @classmethod
    def fresh(cls, model: ModelConfig, config: TrainConfig, device: torch.device) -> TrainState:
        """A new run: networks initialised from the run's seed."""
        recipe, rng = config.recipe, torch.Generator().manual_seed(config.seed)
        generator = _place(build_generator(model, rng, recipe.dropout_g), device)
        discriminator = _place(build_discriminator(model, rng, recipe.dropout_d), device)
        average = copy.deepcopy(generator).eval().requires_grad_(False)
        return cls(
            generator,
            discriminator,
            average,
            _adam(generator, recipe.rates[0], recipe),
            _adam(discriminator, recipe.rates[1], recipe, recipe.correction),
            Augmentation(recipe, device),
        )

    def start_from(
        self, generator: Mapping[str, Tensor], discriminator: Mapping[str, Tensor] | None
    ) -> None:
        """Take over networks of other training; without a discriminator its own is warmed up."""
        for network in (self.generator, self.average):
            network.load_state_dict(generator)
        if discriminator is None:
            self.warmup = WARMUP
        else:
            self.discriminator.load_state_dict(discriminator)

    def pack(self) -> dict[str, Any]:
        """The state as plain values and tensors, none of which is there twice.

        Without averaging, the average is the generator: then both are the same tensors.
        """
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        own, average = parts["generator"], parts["average"]
        if all(torch.equal(own[name], mean) for name, mean in average.items()):
            parts["average"] = dict(own)
        return {**parts, **{name: getattr(self, name) for name in COUNTS}}

    def unpack(self, values: dict[str, Any]) -> None:
        """Copy the state that `pack` gave, from anywhere, once all of it was looked at.

        Raises `ValueError`, and changes nothing, unless all is of this state's shapes and types,
        and its numbers are in range.
        """
        counts = {name: _count(name, values) for name in COUNTS}
        networks = {name: getattr(self, name) for name in NETWORKS}
        for name, network in networks.items():
            check_tensors(network.state_dict(), values.get(name))
        adams = {name: Adam.of(getattr(self, name), values.get(name)) for name in OPTIMIZERS}
        changes = values.get("augmentation")  # which checkpoints had not always
        if changes is not None:
            self.augmentation.check(changes)

        # From here on nothing can fail.
        for name, network in networks.items():
            network.load_state_dict(values[name])
        for adam in adams.values():
            adam.load()
        if changes is not None:
            self.augmentation.load_state_dict(changes)
        vars(self).update(counts)

    def is_finite(self) -> bool:
        """Whether every number in it is; waits for the device."""
        parts = [part.state_dict() for part in self._parts().values()]
        looks = [x.isfinite().all() for x in _tensors(parts)]
        places = {look.device for look in looks}
        return all(
            bool(torch.stack([look for look in looks if look.device == place]).all())
            for place in places
        )

    def lower_rates(self, rollbacks: int, recipe: Recipe) -> None:
        """Halve the recipe's learning rates ``rollbacks`` times; checkpoints keep them."""
        self.rollbacks = rollbacks
        optimizers = (self.optimizer_g, self.optimizer_d)
        for optimizer, rate in zip(optimizers, recipe.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate / 2**rollbacks

    def average_decay(self, recipe: Recipe, batch: int) -> float:
        """How much of the average stays at this step.

        The first steps are averaged over a shorter time, so that the initial weights do not
        linger: ``(1 + n) / (10 + n)``, or a half-life of a twentieth of the pictures shown.
        """
        if recipe.ema_half_life > 0:
            half_life = min(recipe.ema_half_life * 1000, (self.images + batch) / 20)
            return 0.5 ** (batch / half_life)
        return min(recipe.ema, (1 + self.step) / (10 + self.step))

    @property
    def both_learn(self) -> bool:
        """Whether the generator learns, too: a new discriminator learns alone at first."""
        return self.images >= self.warmup

    @torch.no_grad()
    def update_average(self, part: float | Tensor) -> None:
        """Move the average part of the way to the generator, its running statistics too.

        ``part`` is a number from 0 to 1, or such a tensor ``()`` on the device.
        """
        pairs = list(
            zip(
                self.average.state_dict().values(),
                self.generator.state_dict().values(),
                strict=True,
            )
        )
        means, values = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        if isinstance(part, float):
            torch._foreach_lerp_(means, values, part)
        else:
            for mean, value in zip(means, values, strict=True):
                mean.lerp_(value, part)
        for mean, value in pairs:
            if not mean.is_floating_point():
                mean.copy_(value)

    def _parts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in (*NETWORKS, *OPTIMIZERS, "augmentation")}


def _place(network: Network, device: torch.device) -> Network:
    network.to(device).train()
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def _adam(
    network: nn.Module, rate: float, recipe: Recipe, correction: float = 1.0
) -> torch.optim.Adam:
    betas = recipe.beta1**correction, recipe.beta2**correction
    return torch.optim.Adam(network.parameters(), lr=rate, betas=betas, fused=True)


def _count(name: str, values: dict[str, Any]) -> int:
    """One of the `COUNTS`; the last two were not always there."""
    count = values.get(name, 0 if name in ("rollbacks", "warmup") else None)
    if type(count) is not int or not 0 <= count <= COUNTS[name]:
        raise ValueError(f"'{name}' is not a count")
    return count


def _tensors(values: Any) -> Iterator[Tensor]:
    """All tensors of nested dictionaries and lists."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict | list):
        for value in values.values() if isinstance(values, dict) else values:
            yield from _tensors(value)
