"""Settings: frozen dataclasses that check themselves. Standard library only.

The defaults of the command line are read from here, and the settings travel inside the files
they describe.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .errors import ConfigError

SIZES = (28, 56, 112)  # 14 pixels doubled one, two (the paper) or three times
LATENT_STD = 0.5  # the paper draws its latents from N(0, 0.5^2)


def check_range(name: str, value: float, low: float, high: float = float("inf")) -> None:
    """Raise `ConfigError` unless ``low <= value <= high`` (NaN never passes)."""
    if not low <= value <= high:
        bound = f"at least {low:g}" if high == float("inf") else f"from {low:g} to {high:g}"
        raise ConfigError(f"{name} must be {bound}, not {value:g}")


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


@dataclass(frozen=True)
class CropConfig:
    """The paper's four numbers (section 3.1), which frame every face in this program."""

    face_size: int | None = None  # side of the square cut out, pixels; None: chosen per picture
    delta_i: int = 0  # how far below the picture's centre the square's centre is, pixels
    delta_j: int = 0  # how far right of it, pixels
    rotation: float = 0.0  # degrees, anticlockwise, about the picture's centre, before the cut

    def __post_init__(self) -> None:
        if self.face_size is not None:
            check_range("face size", self.face_size, 8, 8192)
        check_range("delta i", self.delta_i, -(1 << 15), 1 << 15)
        check_range("delta j", self.delta_j, -(1 << 15), 1 << 15)
        check_range("rotation", self.rotation, -360, 360)


Point = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """Where framed faces have their eyes: (x, y), fractions of the square's side from its corner.

    The defaults are UTKFace's, as people would label its eyes.
    """

    left_eye: Point = (0.302, 0.296)  # the one on the picture's left
    right_eye: Point = (0.684, 0.296)

    def __post_init__(self) -> None:
        for place in (*self.left_eye, *self.right_eye):
            check_range("an eye's place", place, 0, 1)
        check_range("the distance between the eyes", self.right_eye[0] - self.left_eye[0], 0.05, 1)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Frame:
        return cls(*(tuple(map(float, values[eye])) for eye in ("left_eye", "right_eye")))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Recipe:
    """How the two networks are trained; see docs/training.md for what earned its place."""

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


@dataclass(frozen=True)
class TrainConfig:
    """One training run."""

    kimg: float = 1000.0  # thousands of real pictures shown to the discriminator
    batch: int = 64  # pictures a step, of all processes together
    micro_batch: int | None = None  # of them in one pass of the networks; None: all
    recipe: Recipe = field(default_factory=lambda: RECIPES["stable"])
    mirror: bool = True  # show half of the pictures flipped left to right
    snapshot: float = 20.0  # thousands of pictures between two snapshots
    seed: int = 0
    precision: str = "auto"  # auto, fp32 or bf16

    def __post_init__(self) -> None:
        check_range("kimg", self.kimg, 0.001, 1e6)
        check_range("batch", self.batch, 2, 1 << 16)
        if self.micro_batch is not None:
            check_range("micro batch", self.micro_batch, 2, self.batch)
            if self.batch % self.micro_batch:
                raise ConfigError(
                    f"--batch {self.batch} is not a multiple of --micro-batch {self.micro_batch}"
                )
        check_range("snapshot", self.snapshot, 0.001, 1e6)
        check_range("seed", self.seed, 0, (1 << 63) - 1)
        if self.precision not in ("auto", "fp32", "bf16"):
            raise ConfigError(f"precision must be auto, fp32 or bf16, not '{self.precision}'")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        return cls(**{**values, "recipe": Recipe(**values["recipe"])})


# Evaluations of the generator a face; the paper has 50 rounds of up to 20.
FIDELITIES = {"fast": 7, "balanced": 50, "high": 80}


@dataclass(frozen=True)
class InvertConfig:
    """How a face's latent is searched for."""

    fidelity: str = "balanced"  # "high" also tunes the generator to the faces
    steps: int | None = None  # evaluations a face; None: the fidelity's
    memory: int = 40  # steps L-BFGS remembers
    prior: float = 0.01  # weight of the latent's squared length; 0 is the paper's objective
    tuning: int = 60  # steps of the generator's own, at high fidelity

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
        """At most so many evaluations of the generator a face."""
        return self.steps or FIDELITIES[self.fidelity]

    @property
    def tunes(self) -> bool:
        return self.fidelity == "high"


# Ways of enlarging, with a line for the help and the documentation; `upscaling` has the functions.
METHODS = {
    "face": "a network trained on faces",
    "face-sharp": "the same, taught to look sharp",
    "cubic": "bicubic interpolation, the paper's choice",
    "lanczos": "Lanczos interpolation over 8x8 pixels",
    "linear": "bilinear interpolation",
    "nearest": "the nearest pixel",
    "area": "box sampling",
    "fourier": "the spectrum padded with zeros, borders mirrored",
    "dcci": "directional cubic convolution, along edges",
    "scale2x": "for drawings of few colours, by twos",
    "scale3x": "for drawings of few colours, by threes",
    "hqx": "for drawings, with soft edges; needs the package av",
}
# Of these, what runs on the device chosen; the others need the CPU only.
ACCELERATED = ("face", "face-sharp")
DEFAULT_METHOD = "face"
LARGEST_SCALE = 64


@dataclass(frozen=True)
class FilterInfo:
    """A filter after the enlargement: a line of help, its usual amount and its largest."""

    summary: str
    usual: float | None  # None: takes no amount
    most: float = 1.0


FILTERS = {
    "unsharp": FilterInfo("steeper edges, without halos", 0.5, 5.0),
    "bilateral": FilterInfo("smooths what differs little from its surroundings", 0.5),
    "denoise": FilterInfo("takes away the noise measured in the picture", 1.0),
    "edge": FilterInfo("smooths texture and keeps edges", 0.5),
    "contrast": FilterInfo("stretches the range from dark to light", 0.5),
    "auto": FilterInfo("picks from these what the picture needs, often nothing", None),
}


def recipe_named(name: str) -> Recipe:
    """The recipe called ``name``, or a `ConfigError` naming those there are."""
    if name not in RECIPES:
        raise ConfigError(f"no recipe '{name}'", hint=f"there are {', '.join(RECIPES)}")
    return RECIPES[name]


__all__ = [
    "ACCELERATED",
    "DEFAULT_METHOD",
    "FIDELITIES",
    "FILTERS",
    "LARGEST_SCALE",
    "LATENT_STD",
    "METHODS",
    "RECIPES",
    "SIZES",
    "CropConfig",
    "FilterInfo",
    "InvertConfig",
    "ModelConfig",
    "Recipe",
    "TrainConfig",
    "check_range",
    "recipe_named",
    "replace",
]
