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
    r1_interval: int = 16  # steps from one penalty, N times as heavy, to the next
    augment: str = ""  # changes to all faces, comma-separated, see `neuralid.training.augment`
    ema: float = 0.0  # decay per step of the averaged generator; 0: no averaging
    dropout_g: float = 0.25  # the paper has the layers and does not give the rates
    dropout_d: float = 0.25
    beta2: float = 0.999
    lazy_rates: bool = False  # the discriminator's Adam makes up for R1's steps (Karras 2020)
    augment_p: float = 1.0  # probability of each change to each face; the highest, if adaptive
    augment_target: float = 0.0  # of the mean sign of D on real faces, by which it adapts; 0: fixed
    ema_half_life: float = 0.0  # of the averaged generator, kimg, instead of `ema`

    def __post_init__(self) -> None:
        for name in ("learning_rate_g", "learning_rate_d", "r1", "ema_half_life"):
            check_range(name, getattr(self, name), 0)
        for name in ("beta1", "beta2", "real_label", "ema", "dropout_g", "dropout_d"):
            check_range(name, getattr(self, name), 0, 1)
        for name in ("augment_p", "augment_target"):
            check_range(name, getattr(self, name), 0, 1)
        check_range("r1_interval", self.r1_interval, 1)
        if self.ema and self.ema_half_life:
            raise ConfigError("`ema` and `ema_half_life` exclude each other")

    @property
    def correction(self) -> float:
        """What the discriminator's learning rate and the logarithms of its betas are multiplied by.

        Of N + 1 updates that R1 would take by itself every N steps, N are made.
        """
        lazy = self.lazy_rates and self.r1 > 0
        return self.r1_interval / (self.r1_interval + 1) if lazy else 1.0

    @property
    def rates(self) -> tuple[float, float]:
        """The learning rates of Adam: the generator's, the discriminator's."""
        return self.learning_rate_g, self.learning_rate_d * self.correction


RECIPES = {
    "paper": Recipe("paper"),
    "stable": Recipe("stable", ema=0.999, dropout_g=0.0, learning_rate_d=4e-4),
    "style": Recipe(
        "style",
        learning_rate_g=2.5e-3,
        learning_rate_d=2.5e-3,
        beta1=0.0,
        beta2=0.99,
        r1=0.05,  # 0.2 for pixels in [-1, 1], where gradients are half as large
        lazy_rates=True,
        augment="brightness,contrast,saturation,shift",
        augment_p=0.4,
        augment_target=0.6,
        ema_half_life=10.0,
        dropout_g=0.0,
        dropout_d=0.0,
    ),
}


def recipe_named(name: str) -> Recipe:
    """The recipe called ``name``, or a `ConfigError` naming those there are."""
    if name not in RECIPES:
        raise ConfigError(f"no recipe '{name}'", hint=f"there are {', '.join(RECIPES)}")
    return RECIPES[name]
