"""How networks are trained: a frozen dataclass that checks itself. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.checks import check_range
from ..core.errors import ConfigError


@dataclass(frozen=True)
class Recipe:
    """How the two networks are trained; docs/evaluation/recipes.md says what earned its place."""

    name: str
    learning_rate_g: float = 2e-4
    learning_rate_d: float = 2e-4  # different from the generator's: TTUR (Heusel 2017)
    beta1: float = 0.5
    real_label: float = 1.0  # below 1: one-sided label smoothing (Salimans 2016)
    r1: float = 0.0  # weight of the gradient penalty on real pictures (Mescheder 2018)
    r1_interval: int = 16  # steps from one penalty, so many times as heavy, to the next
    augment: str = (
        ""  # policy of DiffAugment (Zhao 2020): "", "translation", "color,translation"...
    )
    ema: float = 0.0  # decay per step of the averaged generator; 0: no averaging
    dropout_g: float = 0.25  # the paper has the layers and does not give the rates
    dropout_d: float = 0.25

    def __post_init__(self) -> None:
        for rate in (self.learning_rate_g, self.learning_rate_d, self.r1):
            check_range("a recipe's rate or weight", rate, 0)
        for part in (self.beta1, self.real_label, self.ema, self.dropout_g, self.dropout_d):
            check_range("a recipe's share", part, 0, 1)
        check_range("r1 interval", self.r1_interval, 1)


RECIPES = {
    "paper": Recipe("paper"),
    "stable": Recipe("stable", ema=0.999, dropout_g=0.0, learning_rate_d=4e-4),
}


def recipe_named(name: str) -> Recipe:
    """The recipe called ``name``, or a `ConfigError` naming those there are."""
    if name not in RECIPES:
        raise ConfigError(f"no recipe '{name}'", hint=f"there are {', '.join(RECIPES)}")
    return RECIPES[name]
