"""A run that stops, by whatever, goes on where it was."""

from __future__ import annotations

import json
import random
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import QUICK

import neuralid
from neuralid import console, weights
from neuralid.core.errors import ConfigError, TrainingError
from neuralid.faces.config import CropConfig
from neuralid.models.config import ModelConfig
from neuralid.models.recipe import Recipe
from neuralid.training.config import TrainConfig
from neuralid.training.loop import Step
from neuralid.training.runs.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from neuralid.training.runs.folder import Run
from neuralid.training.runs.plan import Plan
from neuralid.training.session import start
from neuralid.training.session.session import Trained
from neuralid.training.state import TrainState


@pytest.fixture(autouse=True, scope="module")
def small_snapshots() -> Iterator[None]:
    """Most of the time of these runs would go into pictures for people."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SHOWN", "MEASURED"):
            patch.setattr(f"neuralid.training.session.snapshots.{name}", 4)
        yield


def train(data: Path, out: Path, **options: Any) -> Trained:
    return neuralid.train(data, out=out, **{"kimg": 0.064, "name": "t", **QUICK, **options})


@pytest.fixture(scope="module")
def whole(face_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run that nothing disturbed."""
    return train_once(face_folder, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def begun(face_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of two steps, to be copied."""
    folder = tmp_path_factory.mktemp("begun")
    train_once(face_folder, folder / "runs", kimg=0.016)
    return folder / "runs"


def train_once(data: Path, out: Path, **options: Any) -> Trained:
    """Train with a cache of its own, for a fixture that outlives a test's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEURALID_CACHE_DIR", str(out / "cache"))
        return train(data, out, **options)


def last_state(result: Trained) -> dict[str, Any]:
    assert result.run is not None
    states: list[dict[str, Any]] = []
    load_checkpoint(result.run, states.append)
    return states[0]


def assert_same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list):
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, torch.Tensor):
        assert a.equal(b)
    else:
        assert a == b


STOPPING = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)]
ROUGH = Recipe(  # all that draws random numbers
    "rough", r1=0.1, r1_interval=3, augment="color,translation,cutout", ema=0.99, real_label=0.9
)


class Killed(Exception):
    """The end of a process, as far as the run's folder can tell."""


def test_a_run_stopped_and_resumed_is_bit_for_bit_the_run_in_one_go(
    face_folder: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {
        "kimg": 0.096,
        "snapshot": 0.04,
        "recipe": ROUGH,
        "max_images": 64,
        "architecture": "dcgan",
    }
    whole = train(face_folder, tmp_path / "whole", name="whole", **options)
    out = tmp_path / "parts"

    def stretch(steps: int, kill: bool, start: bool = False) -> int:
        """Train some steps, then stop or be killed; returns the pictures of the last checkpoint."""
        torch.manual_seed(steps), np.random.seed(steps), random.seed(steps)
        taken: list[Step] = []

        def on_step(step: Step) -> None:
            taken.append(step)
            if kill and len(taken) == steps:
                raise Killed

        more: dict[str, Any] = {"on_step": on_step, "should_stop": lambda: len(taken) >= steps}
        with suppress(Killed):
            if start:
                train(face_folder, out, name="parts", **options, **more)
            else:
                neuralid.train(out=out, resume="latest", **more)
        return max([int(path.stem[11:]) for path in checkpoints(out / "00000-parts")], default=0)

    assert stretch(2, kill=True, start=True) == 0  # before the first checkpoint
    assert stretch(5, kill=False) == 40  # right after a snapshot
    assert stretch(1, kill=False) == 48  # and the 64 faces are not all shown once
    assert stretch(5, kill=True) == 80  # in the second epoch, after the snapshot there
    assert stretch(1, kill=False) == 88  # between snapshots
    last = neuralid.train(out=out, resume="latest")

    assert last.images == whole.images == 96
    assert_same(last_state(whole), last_state(last))
    assert whole.weights is not None and last.weights is not None
    published = [weights.load_weights(each.weights) for each in (whole, last)]
    assert published[0].description.digest == published[1].description.digest


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_saves_the_run_and_ends_it_cleanly(
    number: signal.Signals, face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(step: Step) -> None:
        if step.images == 16:
            signal.raise_signal(number)
            if number not in (signal.SIGINT, signal.SIGTERM):  # a shell sends another one
                signal.raise_signal(number)

    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("the tests were started so that this signal is ignored, as by nohup")
    monkeypatch.setattr(console.stderr, "quiet", False)  # put back after a hangup
    before = signal.getsignal(number)
    with console.stop_signals() as should_stop:
        result = train(face_folder, tmp_path, on_step=interrupt, should_stop=should_stop)
    assert signal.getsignal(number) is before
    assert result.images == 16 and result.weights is None and not result.finished
    assert last_state(result)["images"] == 16


@pytest.mark.parametrize(
    ("option", "value"), [("batch", 16), ("size", 56), ("recipe", "paper"), ("seed", 3)]
)
def test_an_option_that_differs_on_resume_is_named(
    face_folder: Path, tmp_path: Path, begun: Path, option: str, value: Any
) -> None:
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    with pytest.raises(ConfigError, match=f"^`{option}` differs"):
        neuralid.train(face_folder, out=tmp_path, resume="latest", **{option: value})


@pytest.mark.parametrize("junk", [b"damaged", b"hi", b"text file", b"", b"PK\x03\x04"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, junk: bytes
) -> None:
    save_checkpoint(tmp_path, 100, {"images": 100})
    save_checkpoint(tmp_path, 200, {"images": 200}).write_bytes(junk)
    heard: list[Path] = []
    states: list[dict[str, Any]] = []
    load_checkpoint(tmp_path, states.append, heard.append)
    assert states == [{"images": 100}]
    assert [path.name for path in heard] == ["checkpoint-000000200.pt"]


@pytest.mark.parametrize("latent_size", [None, 12])
def test_a_foreign_newest_checkpoint_falls_back_too(
    tmp_path: Path, whole: Trained, begun: Path, latent_size: int | None
) -> None:
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    foreign: dict[str, Any] = {"something": torch.zeros(2)}
    if latent_size is not None:
        model = ModelConfig(size=28, latent_size=latent_size)
        foreign = TrainState.fresh(model, TrainConfig(), torch.device("cpu")).pack()
    run = tmp_path / "00000-t"
    save_checkpoint(run, 999, foreign)
    heard: list[str] = []
    resumed = neuralid.train(out=tmp_path, resume=str(run), kimg=0.064, on_message=heard.append)
    assert any("checkpoint-000000999.pt is damaged" in line for line in heard)
    assert not (run / "checkpoint-000000999.pt").exists()
    assert_same(last_state(resumed), last_state(whole))


def test_a_run_stopped_before_its_first_step_can_be_resumed(
    face_folder: Path, tmp_path: Path, whole: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert whole.run is not None  # with the faces in the cache there is nothing to stop before
    monkeypatch.setenv("NEURALID_CACHE_DIR", str(whole.run.parent / "cache"))
    stopped = train(face_folder, tmp_path, should_stop=lambda: True)
    assert stopped.images == 0 and not stopped.finished
    resumed = neuralid.train(out=tmp_path, resume="latest")
    assert_same(last_state(resumed), last_state(whole))


def test_moved_data_are_found_again_from_any_folder_and_other_ones_told_of(
    face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    others = "these are not the 96 pictures the run began with"
    moved = tmp_path / "moved"
    shutil.copytree(face_folder, moved)
    first = train(face_folder, tmp_path, kimg=0.016)
    monkeypatch.chdir(tmp_path)
    neuralid.train("moved", out=tmp_path, resume="latest", kimg=0.032, on_message=heard.append)
    assert others not in heard
    monkeypatch.chdir(face_folder.parent)
    (moved / "face000.png").unlink()
    resumed = neuralid.train(out=tmp_path, resume="latest", kimg=0.064, on_message=heard.append)
    assert resumed.images == 64 and others in heard
    assert first.run is not None
    options = json.loads((first.run / "options.json").read_text())
    assert options["data"] == str(moved.resolve()) and options["pictures"]["count"] == 95


@pytest.mark.parametrize(
    "options", ["[]", '{"data": 3}', "{", '{"data": "x", "name": "y"}', '"max_images"']
)
def test_damaged_options_are_one_line(tmp_path: Path, begun: Path, options: str) -> None:
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    (tmp_path / "00000-t" / "options.json").write_text(options)
    with pytest.raises(TrainingError, match=r"options\.json"):
        neuralid.train(out=tmp_path, resume="latest")


def test_a_folder_without_options_is_not_the_latest_run(tmp_path: Path, begun: Path) -> None:
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    (tmp_path / "00007-left").mkdir()
    assert neuralid.train(out=tmp_path, resume="latest", kimg=0.032).run == tmp_path / "00000-t"


def test_a_run_without_checkpoints_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no runs to resume"):
        neuralid.train(out=tmp_path, resume="latest")
    with pytest.raises(TrainingError, match="is not a training run"):
        neuralid.train(out=tmp_path, resume="nowhere")
    with pytest.raises(ConfigError, match="no data"):
        neuralid.train(out=tmp_path)


def test_networks_that_never_fitted_into_the_runs_checkpoints_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options that were changed afterwards would ask for memory first, and then fail."""
    monkeypatch.setattr(start, "SMALL", 0)
    plan = Plan(tmp_path, ModelConfig(28, 16), CropConfig(), TrainConfig(), "run")
    start._check_networks(plan, Run(tmp_path))  # it has no checkpoint yet
    (tmp_path / "checkpoint-000000016.pt").write_bytes(bytes(1000))
    with pytest.raises(TrainingError, match=r"take \d+ MB, and its checkpoints have 0 MB"):
        start._check_networks(plan, Run(tmp_path))
    monkeypatch.setattr(start, "size_of", lambda path: 10**12)
    start._check_networks(plan, Run(tmp_path))
