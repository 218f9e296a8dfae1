"""The options of training: declared once, and the same wherever they are read."""

from __future__ import annotations

import inspect
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import typer
from conftest import QUICK_FLAGS, TINY, fails, run
from typer.main import get_command

import neuralid
from neuralid.cli import app
from neuralid.core.device import use_threads_of_others
from neuralid.core.errors import ConfigError
from neuralid.faces.config import CropConfig
from neuralid.models.architecture import REGISTERED, architecture
from neuralid.models.config import ModelConfig
from neuralid.training.config import TrainConfig
from neuralid.training.options import OPTIONS, TrainOptions
from neuralid.training.runs.folder import Run
from neuralid.training.runs.plan import new_plan, resumed_plan
from neuralid.training.session.session import Trained

ROOT = Path(__file__).parents[1]
COMMAND = get_command(app).commands["train"]  # type: ignore[attr-defined]
# A value for each option that is not its default.
OTHER: dict[str, Any] = {
    "data": Path("faces"),
    "out": Path("elsewhere"),
    "name": "ada",
    "licence": "CC0",
    "attributes": "utkface",
    "from_weights": "faces-56",
    "architecture": "other",
    "size": 28,
    "latent_size": 16,
    "kimg": 2.5,
    "batch": 32,
    "micro_batch": 8,
    "recipe": "paper",
    "face_size": 100,
    "delta_i": 3,
    "delta_j": -4,
    "rotation": 1.5,
    "align": True,
    "mirror": False,
    "resume": "latest",
    "snapshot": 0.5,
    "seed": 7,
    "workers": 3,
    "max_images": 99,
    "device": "cpu",
    "precision": "fp32",
    "compile": False,
    "tensorboard": True,
    "dry_run": True,
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[TrainOptions]:
    """The options training would begin with."""
    found: list[TrainOptions] = []

    def start(options: TrainOptions, callbacks: Any) -> Any:
        found.append(options)
        return Trained(None, None, 0)

    monkeypatch.setattr("neuralid.api._train.start_training", start)
    return found


def words(name: str, value: Any) -> list[str]:
    """How an option is written on the command line."""
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag if value else f"--no-{name}"]
    return [f"{flag}={value}"]


def test_every_option_goes_from_the_command_line_to_training(asked: list[TrainOptions]) -> None:
    assert OTHER.keys() == OPTIONS.keys()
    line = [word for name, value in OTHER.items() for word in words(name, value)]
    assert run("train", *line).exit_code == 0
    assert asked == [TrainOptions(**OTHER)]
    for name, value in OTHER.items():
        assert type(getattr(asked[0], name)) is type(value)


def test_what_was_not_said_is_not_passed_on(asked: list[TrainOptions]) -> None:
    assert run("train", "--kimg", TrainConfig.kimg, "-N").exit_code == 0
    assert asked == [TrainOptions(kimg=TrainConfig.kimg, dry_run=True)]
    assert asked[0].outcome() == {"kimg": TrainConfig.kimg}


def test_python_gives_them_by_keyword_as_an_object_or_both(asked: list[TrainOptions]) -> None:
    neuralid.train(**OTHER)
    neuralid.train(options=TrainOptions(**OTHER))
    neuralid.train("faces", options=TrainOptions(data="others", kimg=1, seed=2), kimg=3)
    assert asked[0] == asked[1] == TrainOptions(**OTHER)
    assert asked[2] == TrainOptions(data="faces", kimg=3, seed=2)
    train: Any = neuralid.train
    for wrong, named in (({"sizes": 3}, "sizes"), ({"options": TrainOptions(), "Kimg": 1}, "Kimg")):
        with pytest.raises(TypeError, match=rf"train\(\) .* unexpected keyword argument '{named}'"):
            train("faces", **wrong)
    with pytest.raises(TypeError):
        train("faces", "runs")
    assert len(asked) == 3


def test_pythons_help_names_every_option() -> None:
    parameters = inspect.signature(neuralid.train).parameters
    assert {*OPTIONS, "options", "on_step", "on_alone", "should_stop"} <= parameters.keys()
    assert "given" not in parameters
    assert parameters["data"].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert parameters["kimg"].annotation == float | None and parameters["kimg"].default is None
    assert parameters["device"].default == "auto"
    text = neuralid.train.__doc__ or ""
    assert all(f"\n- ``{name}``: " in text for name in OPTIONS)
    assert "- ``kimg``: Thousands of pictures to show. Default: 1000.\n" in text
    assert "- ``seed``: Seed of everything random. Default: 0.\n" in text


@pytest.mark.parametrize("setting", [ModelConfig, CropConfig, TrainConfig])
def test_the_help_shows_the_defaults_of_the_settings(setting: Any) -> None:
    shown = {param.name: param.default for param in COMMAND.params}
    for name, value in vars(setting()).items():
        if name in OPTIONS:
            wanted = value.name if name == "recipe" else value
            assert shown[name] == (False if OPTIONS[name].kind is bool and not wanted else wanted)


def test_the_help_shows_defaults_flags_and_words() -> None:
    helped = re.sub(r"[│\s]+", " ", run("train", "--help").stdout)
    for part in (
        "--size PX Side of a face: 28, 56 or 112; style also 224. [default: 56]",
        "--kimg X Thousands of pictures to show. [default: 1000]",
        "--mirror/--no-mirror Show half of the pictures flipped. [default: mirror]",
        "-N, --dry-run ",
        "Default: on CUDA, from 500 kimg. ",
        "--workers N Parallel picture readers. Default: one per core.",
    ):
        assert part in helped
    assert "--no-align" not in helped


def test_flags_are_spelled_out() -> None:
    # Typer 0.27.0 to 0.27.3 takes a metavar that is the parameter's name for the flag.
    parameters = inspect.signature(neuralid.cli._train.train).parameters
    for name in OPTIONS:
        (told,) = parameters[name].annotation.__metadata__
        assert isinstance(told, typer.models.OptionInfo)
        spelled = (told.default, *(told.param_decls or ()))
        assert any(str(flag).split("/")[0] == "--" + name.replace("_", "-") for flag in spelled)


def rows() -> dict[str, str]:
    """Flag -> default, of the table in the reference."""
    section = (
        (ROOT / "docs" / "reference" / "cli.md")
        .read_text()
        .split("\n## train\n")[1]
        .split("\n## ")[0]
    )
    found: dict[str, str] = {}
    for flags, default in re.findall(r"^\| (`--[^|]*) \| ([^|]*?) ?\|", section, re.MULTILINE):
        found |= {flag: default for flag in re.findall(r"`(--?[\w-]+)`", flags)}
    return found


def test_the_reference_has_every_option_and_its_default() -> None:
    table = rows()
    flags = {flag for option in OPTIONS.values() for f in option.flags for flag in f.split("/")}
    assert table.keys() == flags
    for name, option in OPTIONS.items():
        default = option.default
        if default is None or default is False:
            expected = option.unsaid
        elif default is True:
            expected = name
        else:
            expected = f"{default:g}" if isinstance(default, int | float) else f"`{default}`"
        assert table["--" + name.replace("_", "-")] == expected, name


def test_the_documentation_names_those_that_may_change_on_resume() -> None:
    text = " ".join((ROOT / "docs" / "how-to" / "resume-and-recover.md").read_text().split())
    (sentence,) = re.findall(r"On resume only (.*?) may change", text)
    named = {flag.removeprefix("--").replace("-", "_") for flag in re.findall("`(.*?)`", sentence)}
    assert named == {name for name, option in OPTIONS.items() if option.may_change}


@pytest.mark.parametrize("name", [n for n, o in OPTIONS.items() if o.place != "start"])
def test_each_option_has_its_place_in_the_plan_and_may_change_or_not(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REGISTERED, "other", replace(architecture("dcgan"), name="other"))
    old = TrainOptions(data="data")
    run = Run(tmp_path)
    run.write_options(new_plan(old).to_dict())
    new = TrainOptions(**{"data": "data", name: OTHER[name]})
    changed = new_plan(new).to_dict()
    assert json.loads(json.dumps(changed)) != run.read_options()
    same = {name: new_plan(old).to_dict()[name]} if name in ("name", "licence") else {}
    assert resumed_plan(run, TrainOptions(**same)).to_dict() == new_plan(old).to_dict()
    # A run's name is its data's unless it is said; on resume it stays.
    wanted = {**changed, "name": "data"} if name == "data" else changed
    if OPTIONS[name].may_change:
        assert resumed_plan(run, new).to_dict() == wanted
    else:
        with pytest.raises(ConfigError, match=f"^`{name}` differs from the run's own") as caught:
            resumed_plan(run, new)
        assert caught.value.hint == f"leave `{name}` out, or start a new run without `resume`"


def test_a_list_of_attributes_is_found_from_any_folder(tmp_path: Path) -> None:
    for given, kept in (("list.txt", str(Path("list.txt").resolve())), ("utkface", "utkface")):
        assert new_plan(TrainOptions(data="x", attributes=given)).attributes == kept
    run = Run(tmp_path)
    run.write_options(new_plan(TrainOptions(data="x", attributes="utkface")).to_dict())
    assert resumed_plan(run, TrainOptions()).attributes == "utkface"
    assert resumed_plan(run, TrainOptions(attributes="")).attributes == ""


def test_an_unknown_architecture_is_one_line_before_any_work() -> None:
    result = run("train", "--data", "nowhere", "--architecture", "biggan")
    fails(result, 2, "no architecture 'biggan'", "there are dcgan, style")


LIMITED = [name for name, option in OPTIONS.items() if option.at_least is not None]
LIMITS = [(n, end) for n in LIMITED for end in ("at_least", "at_most") if vars(OPTIONS[n])[end]]


@pytest.mark.parametrize(("name", "end"), LIMITS)
def test_a_number_out_of_its_range_is_refused_with_the_range(
    name: str, end: str, tmp_path: Path
) -> None:
    """On the command line, in Python, and in the options of a stranger's run."""
    limit, train = vars(OPTIONS[name])[end], cast(Any, neuralid.train)
    bad = type(limit)(limit / 2) if end == "at_least" else limit + 1
    flag = "--" + name.replace("_", "-")
    fails(run("train", "--data", "nowhere", flag, bad), 2, f"{flag} must be ", f"{limit:g}")
    with pytest.raises(ConfigError, match=f"`{name}` must be "):
        train("nowhere", **{name: bad})
    place = OPTIONS[name].place
    if place == "start":
        return
    stored = new_plan(TrainOptions(data="nowhere")).to_dict()
    (stored["train"] if place == "train" else stored)[name] = bad
    Run(tmp_path).write_options(stored)
    fails(run("train", "--resume", tmp_path), 1, f"options.json is damaged: {flag} must be ")


def test_every_number_that_asks_for_memory_or_work_has_a_limit() -> None:
    """Those of the networks and of the crop have theirs in their own settings."""
    numbers = {n for n, o in OPTIONS.items() if o.kind in (int, float)}
    elsewhere = {n for n in numbers if OPTIONS[n].place in ("model", "crop")}
    assert numbers - elsewhere == set(LIMITED)
    assert set(LIMITED) - {"max_images"} == {n for n, end in LIMITS if end == "at_most"}
    for name in elsewhere - {"size", "rotation"}:
        with pytest.raises(ConfigError, match=f"`{name}` must be "):
            new_plan(TrainOptions(**cast(Any, {"data": "nowhere", name: 1 << 40})))


def test_a_run_of_one_process_is_alone_all_along_and_no_thread_is_taken(
    tiny: Path, face_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny.parents[2] / "00000-tiny", tmp_path / "00000-tiny")
    threads, called = torch.get_num_threads(), list[bool]()
    options = TrainOptions(out=tmp_path, resume="latest", data=face_folder)
    neuralid.train(options=options, on_alone=lambda: called.append(True))
    assert not called and torch.get_num_threads() == threads


def test_the_command_line_takes_the_threads_of_processes_that_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[int] = []
    monkeypatch.setattr("torch.set_num_threads", taken.append)
    monkeypatch.setattr("torch.get_num_threads", lambda: 3)
    use_threads_of_others()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    use_threads_of_others()
    assert taken == [3, 12]


def test_a_short_run_by_the_declared_options(face_folder: Path, tmp_path: Path) -> None:
    options = TrainOptions(
        data=face_folder, out=tmp_path, kimg=0.008, recipe="paper", architecture="dcgan", **TINY
    )
    result = neuralid.train(options=options)
    assert result.run is not None and result.finished
    written = json.loads((result.run / "options.json").read_text())
    assert written["train"]["recipe"]["name"] == "paper"
    assert written["model"]["architecture"] == "dcgan"


def test_a_batch_that_would_not_fit_into_memory_is_refused_at_once(
    face_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuralid.core.memory.free_memory", lambda: 10**8)
    asked = ("train", "--data", face_folder, *QUICK_FLAGS, "--batch", 512, "--dry-run")
    said = "a pass of 512 pictures of 28 pixels would take about 301 MB of memory"
    fails(run(*asked), 2, said, "hint: choose a smaller --micro-batch, or a smaller --batch")
    assert run(*asked, "--micro-batch", 64).exit_code == 0
