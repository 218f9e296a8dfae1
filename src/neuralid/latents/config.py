"""How a latent is searched for: a frozen dataclass that checks itself. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.checks import check_range
from ..core.errors import ConfigError

# Evaluations of the generator per face; the paper has 50 rounds of up to 20.
FIDELITIES = {"fast": 7, "balanced": 50, "high": 80}


@dataclass(frozen=True)
class InvertConfig:
    """How a face's latent is searched for."""

    fidelity: str = "balanced"  # "high" also tunes the generator to the faces
    steps: int | None = None  # evaluations per face; None: the fidelity's
    memory: int = 40  # steps L-BFGS remembers
    prior: float = 0.01  # weight of the latent's squared length; 0 is the paper's objective
    tuning: int = 60  # steps in which the generator is tuned, at high fidelity

    def __post_init__(self) -> None:
        if self.fidelity not in FIDELITIES:
            raise ConfigError(
                f"no fidelity '{self.fidelity}'", hint=f"there are {', '.join(FIDELITIES)}"
            )
        if self.steps is not None:
            check_range("steps", self.steps, 1, 100_000)
        check_range("memory", self.memory, 1, 1000)
        check_range("prior", self.prior, 0, 1000)
        check_range("tuning", self.tuning, 1, 100_000)

    @property
    def evaluations(self) -> int:
        """The most evaluations of the generator per face."""
        return self.steps or FIDELITIES[self.fidelity]

    @property
    def tunes(self) -> bool:
        return self.fidelity == "high"
