"""What decides the outcome of a run: made from options, kept in the run's options.json."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ...core.checks import check_range
from ...core.errors import ConfigError, NeuralidError, TrainingError
from ...faces.config import CropConfig
from ...models.architecture import architecture
from ...models.config import ModelConfig
from ...models.recipe import recipe_named
from ..config import TrainConfig
from .folder import Run

_NAME = re.compile(r"\w[\w .-]{0,99}")
MAY_CHANGE = (
    "kimg",
    "snapshot",
    "precision",
    "data",
    "licence",
    "attributes",
    "micro_batch",
)  # on resume; all else may not
_PARTS = {"model": ModelConfig, "crop": CropConfig, "train": TrainConfig}


@dataclass(frozen=True)
class Plan:
    """Everything a run is made of, apart from where and how fast it runs."""

    data: Path
    model: ModelConfig
    crop: CropConfig
    train: TrainConfig
    name: str
    licence: str = ""
    max_images: int | None = None
    align: bool = False  # find each picture's face and frame it
    attributes: str = ""  # where directions come from: a list's path, or "utkface"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"'{self.name}' is not a name for a run",
                hint="up to 100 letters, digits, spaces, dots and dashes, a letter or digit first",
            )
        if self.max_images is not None:
            check_range("max images", self.max_images, 1)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "data": str(self.data)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Plan:
        parts = {
            "data": Path(values["data"]),
            "model": ModelConfig(**values["model"]),
            "crop": CropConfig(**values["crop"]),
            "train": TrainConfig.from_dict(values["train"]),
        }
        return cls(**{**_of(cls, values), **parts})


def new_plan(options: dict[str, Any]) -> Plan:
    """A plan from options by name; what is None takes its default. Raises `ConfigError`."""
    given = _given(options)
    if "data" not in given:
        raise ConfigError("no data to train on", hint="give --data a folder or zip of faces")
    data = Path(given["data"]).resolve()
    name = str(given.get("name", data.stem))
    model = ModelConfig(**_of(ModelConfig, given))
    given.setdefault("recipe", recipe_named(architecture(model.architecture).recipe))
    parts = {part: kind(**_of(kind, given)) for part, kind in _PARTS.items()}
    rest = _of(Plan, {**given, "name": name})
    return Plan(**{**rest, **parts, "data": data})


def resumed_plan(run: Run, options: dict[str, Any]) -> Plan:
    """The run's own plan, with what may change taken from ``options``; what may not is named."""
    try:
        stored = Plan.from_dict(run.read_options()).to_dict()
    except (KeyError, TypeError, NeuralidError) as error:
        raise TrainingError(
            f"{run.folder}/options.json is damaged: {error}", hint="start a new run"
        ) from error
    given = _given(options)
    if "data" in given:
        given["data"] = str(Path(given["data"]).resolve())
    for option, value in given.items():
        place = next((stored[part] for part in _PARTS if option in stored[part]), stored)
        value = asdict(value) if option == "recipe" else value
        if option not in MAY_CHANGE and value != place[option]:
            _refuse(option, place[option])
        place[option] = value
    return Plan.from_dict(stored)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Options without those left out; a recipe by name as the recipe."""
    given = {name: value for name, value in options.items() if value is not None}
    if isinstance(given.get("recipe"), str):
        given["recipe"] = recipe_named(given["recipe"])
    return given


def _of(kind: Any, given: dict[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(kind)}
    return {name: value for name, value in given.items() if name in names}


def _refuse(option: str, stored: Any) -> None:
    flag = "--" + option.replace("_", "-")
    shown = stored["name"] if isinstance(stored, dict) else stored
    raise ConfigError(
        f"{flag} differs from the run's own ({shown})",
        hint=f"leave {flag} out, or start a new run without --resume",
    )
