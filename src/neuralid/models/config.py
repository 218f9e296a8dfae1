"""Which networks: a frozen dataclass that checks itself. Standard library only."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..core.checks import check_range
from ..core.errors import ConfigError
from .architecture import architecture


@dataclass(frozen=True)
class ModelConfig:
    """Shape of the two networks. The defaults are the paper's (section 3.2).

    Raises `ConfigError` for an unknown architecture, or a size that the architecture can't draw.
    """

    size: int = 56  # side of a face, pixels
    latent_size: int = 400  # Z: random numbers each face is drawn from
    slope: float = 0.2  # of the leaky ReLUs; the paper does not state its own
    architecture: str = "dcgan"

    def __post_init__(self) -> None:
        sizes = architecture(self.architecture).sizes
        if self.size not in sizes:
            near = sorted(sizes, key=lambda size: abs(size - self.size))[:2]
            nearest = "nearest that work are" if len(near) > 1 else "one that works is"
            raise ConfigError(
                f"`size` {self.size} is not one of {', '.join(map(str, sizes))}",
                hint=f"the {nearest} {' and '.join(map(str, near))}",
            )
        check_range("latent_size", self.latent_size, 1, 1 << 16)
        check_range("slope", self.slope, 0, 1)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
