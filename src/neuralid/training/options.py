"""The options of training, each declared once.

The command line, `neuralid.train`, a run's plan and a test of the documentation read them here.
Standard library only.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

from ..core.checks import check_range
from ..faces.config import CropConfig
from ..models.config import ModelConfig
from ..models.recipe import Recipe
from .config import TrainConfig

# What an option belongs to: one of a plan's settings, the plan itself, or only where and how a run
# is started.
Place = Literal["model", "crop", "train", "plan", "start"]
MOST_BATCH = 8192  # pictures in a step, of all processes together
MOST_WORKERS = 1024
SETTINGS = {"model": ModelConfig, "crop": CropConfig, "train": TrainConfig}


@dataclass(frozen=True)
class Option:
    """What is known about one option; the last three are filled in from `TrainOptions`."""

    place: Place
    help: str  # without the default
    metavar: str | None = None
    unsaid: str = ""  # the default in words, where it is not a single value
    flags: tuple[str, ...] = ()  # on the command line; none: ``--name``
    at_least: float | None = None
    at_most: float | None = None
    may_change: bool = False  # on resume
    name: str = ""
    type: Any = None  # in Python
    default: Any = None  # where it is not given; None: see ``unsaid``, or nothing

    @property
    def kind(self) -> Any:
        """The type on the command line: the first of a union."""
        return next(iter(get_args(self.type)), self.type)

    @property
    def full_help(self) -> str:
        """The help, with the default if that is given in words."""
        return f"{self.help} Default: {self.unsaid}." if self.unsaid else self.help


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """The options given to `neuralid.train` or the command line.

    None means not given: then the default of `ModelConfig`, `CropConfig`, `TrainConfig` or the plan
    applies, or on resume the run's own value. Raises `ConfigError` for a number out of range.
    """

    data: Annotated[
        Path | str | None,
        Option("plan", "Folder or zip of face pictures.", "DIR|ZIP", may_change=True),
    ] = None
    out: Annotated[Path | str, Option("start", "Folder in which runs are kept.", "DIR")] = "runs"
    name: Annotated[
        str | None,
        Option("plan", "Name of the run and its weights.", "NAME", unsaid="the data's"),
    ] = None
    licence: Annotated[
        str | None,
        Option("plan", "Terms of the data, kept with the weights.", "TEXT", may_change=True),
    ] = None
    attributes: Annotated[
        str | Path | None,
        Option(
            "plan",
            "Find directions, from a list like CelebA's or UTKFace's file names.",
            "FILE|utkface",
            may_change=True,
        ),
    ] = None
    from_weights: Annotated[
        str | None,
        Option(
            "plan",
            "Start from the networks of weights or a run.",
            "WEIGHTS|RUN",
            flags=("--from", "--from-weights"),
        ),
    ] = None
    architecture: Annotated[
        str | None, Option("model", "dcgan, the paper's, or style.", "NAME")
    ] = None
    size: Annotated[
        int | None, Option("model", "Side of a face: 28, 56 or 112; style also 224.", "PX")
    ] = None
    latent_size: Annotated[int | None, Option("model", "Numbers in a latent vector.", "N")] = None
    kimg: Annotated[
        float | None,
        Option(
            "train",
            "Thousands of pictures to show.",
            "X",
            at_least=0.001,
            at_most=1e6,
            may_change=True,
        ),
    ] = None
    batch: Annotated[
        int | None,
        Option("train", "Pictures per step.", "N", at_least=2, at_most=MOST_BATCH),
    ] = None
    micro_batch: Annotated[
        int | None,
        Option(
            "train",
            "Pictures per pass, to save memory.",
            "N",
            unsaid="the batch",
            at_least=2,
            at_most=MOST_BATCH,
            may_change=True,
        ),
    ] = None
    recipe: Annotated[
        str | Recipe | None,
        Option("train", "paper, stable, or style, the style architecture's.", "NAME"),
    ] = None
    face_size: Annotated[
        int | None,
        Option(
            "crop",
            "Side of the square cut out.",
            "PX",
            unsaid="the paper's for CelebA, else the largest",
        ),
    ] = None
    delta_i: Annotated[int | None, Option("crop", "Move the square down.", "PX")] = None
    delta_j: Annotated[int | None, Option("crop", "Move the square right.", "PX")] = None
    rotation: Annotated[
        float | None, Option("crop", "Turn the picture first, anticlockwise.", "DEG")
    ] = None
    align: Annotated[
        bool | None, Option("plan", "Find each picture's face and frame it by its eyes.")
    ] = None
    mirror: Annotated[
        bool | None,
        Option("train", "Show half of the pictures flipped.", flags=("--mirror/--no-mirror",)),
    ] = None
    resume: Annotated[str | None, Option("start", "Continue a run.", "RUN|latest")] = None
    snapshot: Annotated[
        float | None,
        Option(
            "train",
            "Thousands of pictures between snapshots.",
            "X",
            at_least=0.001,
            at_most=1e6,
            may_change=True,
        ),
    ] = None
    seed: Annotated[
        int | None,
        Option("train", "Seed of everything random.", "N", at_least=0, at_most=(1 << 63) - 1),
    ] = None
    workers: Annotated[
        int | None,
        Option(
            "start",
            "Parallel picture readers.",
            "N",
            unsaid="one per core",
            at_least=1,
            at_most=MOST_WORKERS,
        ),
    ] = None
    max_images: Annotated[
        int | None,
        Option("plan", "Use only the first N pictures.", "N", unsaid="all", at_least=1),
    ] = None
    device: Annotated[str, Option("start", "auto, cpu, cuda, cuda:N or mps.", "NAME")] = "auto"
    precision: Annotated[
        str | None, Option("train", "auto, fp32 or bf16.", "NAME", may_change=True)
    ] = None
    compile: Annotated[
        bool | None,
        Option(
            "train",
            "Compile the networks first, for speed.",
            unsaid="on CUDA, from 500 kimg",
            flags=("--compile/--no-compile",),
            may_change=True,
        ),
    ] = None
    tensorboard: Annotated[bool, Option("start", "Write TensorBoard event files into the run.")] = (
        False
    )
    dry_run: Annotated[
        bool,
        Option("start", "Check options and data, then stop.", flags=("--dry-run", "-N")),
    ] = False

    def __post_init__(self) -> None:
        check_limits(dict(self._said()))

    def outcome(self) -> dict[str, Any]:
        """Those that were given and decide the outcome of a run, by name."""
        return {name: v for name, v in self._said() if OPTIONS[name].place != "start"}

    def _said(self) -> Iterator[tuple[str, Any]]:
        values = ((name, getattr(self, name)) for name in OPTIONS)
        return ((name, value) for name, value in values if value is not None)


def _read_declarations() -> Iterator[Option]:
    """The options of `TrainOptions`, complete."""
    hints = get_type_hints(TrainOptions, include_extras=True)
    for declared in fields(TrainOptions):
        kind, option = get_args(hints[declared.name])
        flags = option.flags or ("--" + declared.name.replace("_", "-"),)
        default = declared.default
        if option.place in SETTINGS:
            default = _default_of(option.place, declared.name)
        yield replace(option, name=declared.name, type=kind, flags=flags, default=default)


def _default_of(place: Place, name: str) -> Any:
    """The default of a setting; a recipe's name for a recipe."""
    (setting,) = (each for each in fields(SETTINGS[place]) if each.name == name)
    value = setting.default
    if setting.default_factory is not MISSING:
        value = setting.default_factory()
    return value.name if isinstance(value, Recipe) else value


OPTIONS = {option.name: option for option in _read_declarations()}


def check_limits(values: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for a number out of its option's range; ``values`` are by option."""
    for name, value in values.items():
        low, high = OPTIONS[name].at_least, OPTIONS[name].at_most
        if value is not None and low is not None:
            check_range(name, value, low, float("inf") if high is None else high)


def as_parameters() -> list[inspect.Parameter]:
    """The options as parameters of a Python function: ``data`` by position, the others by name."""
    by_place, by_name = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(
            each.name,
            by_place if each.name == "data" else by_name,
            default=each.default,
            annotation=OPTIONS[each.name].type,
        )
        for each in fields(TrainOptions)
    ]


def as_text() -> str:
    """The options, one line each, for a docstring."""
    lines = []
    for option in OPTIONS.values():
        default = "" if option.default in (None, "") or option.default is False else option.default
        shown = f"{default:g}" if isinstance(default, float) else str(default)
        told = f" Default: {shown}." if shown else ""
        lines.append(f"- ``{option.name}``: {option.full_help}{told}")
    return "\n".join(lines)
