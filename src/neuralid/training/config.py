"""One training run: a frozen dataclass that checks itself. Standard library only."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ..core.checks import check_precision, check_range
from ..core.errors import ConfigError
from ..core.jsontext import build, take
from ..models.recipe import RECIPES, Recipe


@dataclass(frozen=True)
class TrainConfig:
    """One training run. The ranges of its numbers are declared with the options."""

    kimg: float = 1000.0  # thousands of real pictures shown to the discriminator
    batch: int = 64  # pictures per step, of all processes together
    micro_batch: int | None = None  # of them in one pass of the networks; None: all
    recipe: Recipe = field(default_factory=lambda: RECIPES["stable"])
    mirror: bool = True  # show half of the pictures flipped left to right
    snapshot: float = 20.0  # thousands of pictures between two snapshots
    seed: int = 0
    precision: str = "auto"  # auto, fp32 or bf16
    compile: bool | None = None  # the networks, before training; None: where it pays

    def __post_init__(self) -> None:
        if self.micro_batch is not None:
            check_range("micro_batch", self.micro_batch, 2, self.batch)
            if self.batch % self.micro_batch:
                raise ConfigError(
                    f"`batch` {self.batch} is not a multiple of `micro_batch` {self.micro_batch}"
                )
        check_precision(self.precision)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> TrainConfig:
        """From what `to_dict` gave, or JSON holds. Raises `ValueError` or `ConfigError`."""
        given = take(values, dict[str, Any], "'train'")
        return build(cls, given, recipe=build(Recipe, given.get("recipe")))
