"""Which networks: a frozen dataclass that checks itself. Standard library only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..core.checks import check_range
from ..core.errors import ConfigError

SIZES = (28, 56, 112)  # 14 pixels doubled one, two (the paper) or three times
LATENT_STD = 0.5  # the paper draws its latents from N(0, 0.5^2)


@dataclass(frozen=True)
class ModelConfig:
    """Shape of the two networks. The defaults are the paper's (section 3.2)."""

    size: int = 56  # side of a face, pixels
    latent_size: int = 400  # Z
    slope: float = 0.2  # of the leaky ReLUs; the paper does not give its own
    architecture: str = "dcgan"

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            near = sorted(SIZES, key=lambda size: abs(size - self.size))[:2]
            raise ConfigError(
                f"size {self.size} is not one of {', '.join(map(str, SIZES))}",
                hint=f"the nearest that work are {near[0]} and {near[1]}",
            )
        check_range("latent size", self.latent_size, 1, 1 << 16)
        check_range("slope", self.slope, 0, 1)

    @property
    def doublings(self) -> int:
        """How often the 14-pixel map is doubled to reach the size."""
        return SIZES.index(self.size) + 1

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
