"""How a latent is searched for: a frozen dataclass that checks itself. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..core.checks import check_range
from ..core.errors import ConfigError
from ..models.inverting import Effort, Inverting

FIDELITIES = ("fast", "balanced", "high")  # what each spends is the architecture's to say


def first_to_tune(recipe: Inverting) -> str:
    """The least of the fidelities that tune the generator."""
    return next(name for name in FIDELITIES if InvertConfig(name).effort(recipe).tuning)


@dataclass(frozen=True)
class InvertConfig:
    """How a face's latent is searched for."""

    fidelity: str = "balanced"
    steps: int | None = None  # evaluations per face; None: the fidelity's
    memory: int = 40  # steps L-BFGS remembers
    prior: float = 0.01  # weight of the latent's squared length; 0 is the paper's objective
    to_mix: bool = False  # whether faces will be mixed, for which the search may be longer

    def __post_init__(self) -> None:
        if self.fidelity not in FIDELITIES:
            raise ConfigError(
                f"no fidelity '{self.fidelity}'", hint=f"there are {', '.join(FIDELITIES)}"
            )
        if self.steps is not None:
            check_range("steps", self.steps, 1, 100_000)
        check_range("memory", self.memory, 1, 1000)
        check_range("prior", self.prior, 0, 1000)

    def effort(self, recipe: Inverting) -> Effort:
        """What is spent on a face, by an architecture's recipe."""
        usual: Effort = getattr(recipe, self.fidelity)
        steps = usual.mixed if self.to_mix and usual.mixed else usual.steps
        return replace(usual, steps=self.steps or steps)
