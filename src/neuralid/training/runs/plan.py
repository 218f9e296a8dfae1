"""What decides the outcome of a run: made from options, kept in the run's options.json."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ...core.errors import ConfigError, NeuralidError, TrainingError
from ...core.jsontext import build, take
from ...data.dataset import BY_NAME, BY_PATH, SPLITS
from ...faces.config import CropConfig
from ...latents.attributes import UTKFACE
from ...models.architecture import architecture
from ...models.config import ModelConfig
from ...models.recipe import Recipe, recipe_named
from ..config import TrainConfig
from ..options import OPTIONS, SETTINGS, Place, TrainOptions, check_limits
from .folder import Run
from .origin import find_origin, read_origin

_NAME = re.compile(r"\w[\w .-]{0,99}")
_LONGEST = 100  # bytes of a name that is made of the data's, in UTF-8


@dataclass(frozen=True)
class Plan:
    """Everything that defines a run, apart from where and how fast it runs."""

    data: Path
    model: ModelConfig
    crop: CropConfig
    train: TrainConfig
    name: str
    licence: str = ""
    max_images: int | None = None
    align: bool = False  # find each picture's face and frame it
    attributes: str = ""  # where directions come from: a list's path, or "utkface"
    from_weights: str = ""  # path of the weights or the run that the networks started from
    split: str = BY_NAME  # how pictures for validation are chosen; new runs go by their paths

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"'{self.name}' is not a name for a run",
                hint="up to 100 letters, digits, spaces, dots and dashes, a letter or digit first",
            )
        check_limits({**_numbers(self, "plan"), **_numbers(self.train, "train")})
        if self.split not in SPLITS:
            raise ConfigError(f"no split '{self.split}'", hint=f"there are {', '.join(SPLITS)}")
        _check_architecture(self)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "data": str(self.data)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Plan:
        """From what `to_dict` gave; other keys are passed over.

        Raises `ValueError` for a missing key or a value of another type, and `ConfigError` for one
        out of range.
        """
        names = {f.name for f in fields(cls)}
        known = {name: value for name, value in values.items() if name in names}
        parts = {
            "data": Path(take(values.get("data"), str, "'data'")),
            "model": build(ModelConfig, values.get("model")),
            "crop": build(CropConfig, values.get("crop")),
            "train": TrainConfig.from_dict(values.get("train")),
        }
        return build(cls, known, **parts)


def new_plan(options: TrainOptions) -> Plan:
    """A plan from options; what is not given takes its default. Raises `ConfigError`."""
    given = _given(options)
    if "data" not in given:
        raise ConfigError("no data to train on", hint="give `data` a folder or zip of faces")
    model = _model(given)
    own = architecture(model.architecture).recipe  # unless another is given
    settings = {
        "model": model,
        "crop": CropConfig(**_of("crop", given)),
        "train": TrainConfig(**{"recipe": recipe_named(own), **_of("train", given)}),
    }
    name = fit_name(Path(given["data"]).stem)
    rest = {"name": name, "split": _split(given), **_of("plan", given)}
    return Plan(**{**rest, **settings, "data": Path(given["data"])})


def fit_name(text: str) -> str:
    """A name for a run, as near to ``text`` as a name can be: ``archive (1)`` -> ``archive-1``."""
    plain = re.sub(r"\s*[^\w .-]+\s*", "-", text).strip(" .-")
    short = plain.encode()[:_LONGEST].decode(errors="ignore").rstrip(" .-")
    return short or "faces"


def resumed_plan(run: Run, options: TrainOptions) -> Plan:
    """The run's own plan, changed by ``options``; `ConfigError` names one that may not change."""
    values = run.read_options()
    try:
        stored = Plan.from_dict(values).to_dict()
    except (ValueError, NeuralidError) as error:
        raise TrainingError(
            f"{run.folder}/options.json is damaged: {error}", hint="start a new run"
        ) from error
    for name, value in _given(options).items():
        option = OPTIONS[name]
        place = stored[option.place] if option.place in SETTINGS else stored
        value = asdict(value) if isinstance(value, Recipe) else value
        if not option.may_change and value != place[name]:
            _refuse(name, place[name])
        place[name] = value
    try:
        return Plan.from_dict(stored)
    except ValueError as error:  # an option of another type, from Python
        raise ConfigError(str(error)) from error


def _model(given: dict[str, Any]) -> ModelConfig:
    """The networks that were asked for; those started from say what was not."""
    said = _of("model", given)
    if "from_weights" not in given:
        return ModelConfig(**said)
    theirs = read_origin(Path(given["from_weights"])).model.to_dict()
    for name, value in said.items():
        if value != theirs[name]:
            raise ConfigError(
                f"`{name}` {value} differs from that of `from_weights` ({theirs[name]})",
                hint=f"leave `{name}` out, or start from other networks",
            )
    return ModelConfig(**theirs)


def _split(given: dict[str, Any]) -> str:
    """How pictures for validation are chosen: as in the run that is started from, if it is one.

    Networks must not be judged by pictures that they have seen.
    """
    origin = Path(given.get("from_weights", ""))
    if "from_weights" not in given or not origin.is_dir():
        return BY_PATH
    try:
        return Plan.from_dict(Run(origin).read_options()).split
    except ValueError as error:
        raise TrainingError(
            f"{origin}/options.json is damaged: {error}", hint="start from its weights"
        ) from error


def _check_architecture(plan: Plan) -> None:
    """Raise `ConfigError` for what the plan's architecture does not have."""
    own, recipe = architecture(plan.model.architecture), plan.train.recipe
    if not own.has_dropout and (recipe.dropout_g or recipe.dropout_d):
        raise ConfigError(
            f"`recipe` {recipe.name} has dropout, and the architecture {own.name} has none",
            hint=f"its own recipe is {own.recipe}",
        )


def _given(options: TrainOptions) -> dict[str, Any]:
    """What was given, as a plan holds it: absolute paths, to resume a run from anywhere."""
    given = options.outcome()
    if "data" in given:
        given["data"] = str(Path(given["data"]).resolve())
    if "attributes" in given and str(given["attributes"]) not in ("", UTKFACE):
        given["attributes"] = str(Path(given["attributes"]).resolve())
    if "from_weights" in given:
        given["from_weights"] = str(find_origin(given["from_weights"], Path(options.out)))
    if isinstance(given.get("recipe"), str):
        given["recipe"] = recipe_named(given["recipe"])
    return given


def _of(place: Place, given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if OPTIONS[name].place == place}


def _numbers(settings: Plan | TrainConfig, place: Place) -> dict[str, Any]:
    """The settings that have a range, by the option's name."""
    named = [each.name for each in OPTIONS.values() if each.place == place]
    return {name: vars(settings)[name] for name in named if OPTIONS[name].at_least is not None}


def _refuse(name: str, stored: Any) -> None:
    shown = stored["name"] if isinstance(stored, dict) else stored
    raise ConfigError(
        f"`{name}` differs from the run's own ({shown})",
        hint=f"leave `{name}` out, or start a new run without `resume`",
    )
