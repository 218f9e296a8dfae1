"""The state of an Adam optimiser from a checkpoint, looked at before it is taken over.

Fused Adam walks through its moments by the parameter's size and layout in memory, whatever theirs
are. So they are copied into memory of its own, laid out like the parameter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from ..core.jsontext import fits
from ..models.stored import check_tensor

_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Adam:
    """An optimiser, and a sound state for it."""

    optimizer: torch.optim.Optimizer
    moments: dict[int, Mapping[str, Tensor]]  # by the parameter's place
    rates: list[float]  # of each group

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer, values: Any) -> Self:
        """From what the optimiser's `state_dict` gave. Raises `ValueError` if it cannot be its own.

        The learning rates are taken over; all else about the groups is the recipe's to say.
        """
        if not isinstance(values, Mapping) or not isinstance(values.get("state"), Mapping):
            raise ValueError("an optimiser's state is missing")
        groups = values.get("param_groups")
        if not isinstance(groups, list) or len(groups) != len(optimizer.param_groups):
            raise ValueError("an optimiser's groups differ")
        highest = float(optimizer.defaults["lr"])
        rates = [_rate(group, highest) for group in groups]
        moments = _check_moments(_parameters(optimizer), values["state"])
        return cls(optimizer, moments, rates)

    def load(self) -> None:
        """Copy the state into memory of the optimiser's own."""
        parameters = _parameters(self.optimizer)
        self.optimizer.state.clear()
        for place, found in self.moments.items():
            own = parameters[place]
            step = torch.zeros((), dtype=torch.float32, device=own.device)
            kept = {"step": step.copy_(found["step"])}
            for name in _MOMENTS:
                kept[name] = torch.zeros_like(own, memory_format=torch.preserve_format)
                kept[name].copy_(found[name])
            self.optimizer.state[own] = kept
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [each for group in optimizer.param_groups for each in group["params"]]


def _rate(group: Any, highest: float) -> float:
    rate: Any = group.get("lr") if isinstance(group, Mapping) else None
    if not fits(rate, float) or not 0 <= rate <= highest * (1 + 1e-6):
        raise ValueError("an optimiser's learning rate is out of range")
    return float(rate)


def _check_moments(parameters: list[Tensor], state: Mapping[Any, Any]) -> dict[int, Any]:
    """The moments of the parameters that have been trained."""
    if not set(state) <= set(range(len(parameters))):
        raise ValueError("an optimiser's state is of other parameters")
    for place, found in state.items():
        if not isinstance(found, Mapping) or set(found) != {"step", *_MOMENTS}:
            raise ValueError(f"the moments of parameter {place} differ")
        for name in _MOMENTS:
            check_tensor(f"'{name}' of parameter {place}", parameters[place], found[name])
        check_tensor("an optimiser's step", torch.zeros(()), found["step"])
        if float(found["step"]) < 0 or bool((found["exp_avg_sq"] < 0).any()):
            raise ValueError(f"the moments of parameter {place} are negative")
    return dict(state)
