"""``train --dry-run``: what a run would take, and whether its faces are framed alike."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import EXAMPLES, QUICK, QUICK_FLAGS, fails, run
from PIL import Image

import neuralid
from neuralid import weights
from neuralid.data.dataset import Dataset
from neuralid.faces.align import Eyes, measure_eyes
from neuralid.faces.config import CropConfig, Frame
from neuralid.models.config import ModelConfig
from neuralid.training.config import TrainConfig
from neuralid.training.distributed.world import World
from neuralid.training.runs.plan import Plan
from neuralid.training.session import estimate
from neuralid.training.session.framing import tell_framing
from neuralid.training.state import TrainState

DCGAN = ("--size", 28, "--latent-size", 8, "--batch", 8)


def faces_at(places: np.ndarray, side: int) -> np.ndarray:
    """Drawn faces in grey pictures of 56 pixels, each with its corner at a place."""
    names = ("ada", "bruno")
    drawn = [Image.open(EXAMPLES / f"{name}.png").convert("RGB") for name in names]
    sheets = np.full((len(places), 56, 56, 3), 120, np.uint8)
    for index, (x, y) in enumerate(places):
        small = np.asarray(drawn[index % 2].resize((side, side), Image.Resampling.BOX))
        sheets[index, y : y + side, x : x + side] = small
    return sheets


def test_faces_in_one_place_are_framed_alike_and_scattered_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    alike = measure_eyes(faces_at(np.full((12, 2), 2), 52))
    assert alike.are_alike and alike.found == 1 and alike.spread < 0.03
    scattered = measure_eyes(faces_at(rng.integers(0, 32, (12, 2)), 24))
    assert not scattered.are_alike
    noise = measure_eyes(rng.integers(0, 255, (4, 56, 56, 3), np.uint8))
    assert (noise.frame, noise.are_alike, noise.found) == (None, False, 0.0)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough faces are looked at to tell how they are framed."""
    monkeypatch.setattr("neuralid.training.session.snapshots.MEASURED", 12)


def test_a_dry_run_tells_time_disk_and_framing_and_leaves_nothing(
    face_folder: Path, measured: None
) -> None:
    result = run("train", "--data", face_folder, *DCGAN, "--kimg", 300, "--dry-run")
    assert result.exit_code == 0 and result.stdout == ""
    for part in (
        "dry run: 300 kimg would be trained on",
        "time: about ",
        "images/s here)",
        "for the encoder",
        "disk: about ",
        "the faces are not framed alike",
        "train with --align",
    ):
        assert part in result.stderr
    assert not Path("runs").exists()


def test_the_estimate_in_json_grows_with_the_run(face_folder: Path) -> None:
    told = []
    for kimg in (20, 2000):
        words = ("--data", face_folder, *DCGAN, "--kimg", kimg, "--dry-run", "--json")
        told.append(json.loads(run("train", *words).stdout)["estimate"])
    few, many = told
    assert many["seconds"] > 20 * few["seconds"] > 0
    assert few["seconds"] == pytest.approx(20_000 / few["images_per_second"])
    assert many["encoder_seconds"] > 20 * few["encoder_seconds"] > 0
    assert many["bytes"] > few["bytes"] > 1_000_000


@pytest.mark.parametrize("model", [ModelConfig(28, 16), ModelConfig(28, 16, architecture="style")])
def test_the_encoders_first_steps_do_not_count(
    model: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrainConfig(kimg=20)
    state = TrainState.fresh(model, config, torch.device("cpu"))
    # Three steps on drawn faces and three on real ones: after the first of each, 1 and 3 s a step.
    clock = iter([9.0, 10.0, 11.0, 50.0, 53.0, 56.0])
    monkeypatch.setattr(estimate, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    pixels = np.zeros((40, 28, 28, 3), np.uint8)
    faces = Dataset(pixels, [f"{i}.png" for i in range(40)], {}, {"28": 40})
    assert estimate._measure_encoder(state, config, faces, "fp32", World()) == 4 * 8 / 8


def test_the_disk_is_about_what_a_run_leaves(face_folder: Path) -> None:
    made = neuralid.train(face_folder, kimg=0.1, snapshot=0.05, **QUICK)
    dry = neuralid.train(face_folder, kimg=0.1, snapshot=0.05, dry_run=True, **QUICK)
    assert made.run is not None and dry.estimate is not None
    checkpoints = sum(path.stat().st_size for path in made.run.glob("checkpoint-*"))
    left = sum(path.stat().st_size for path in made.run.iterdir() if path.suffix != ".html")
    # Of a finished run one checkpoint is left; while it runs there are up to four.
    assert 0.6 * left < dry.estimate.bytes < 1.4 * (left + 3 * checkpoints)


def test_too_little_room_is_told(face_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = shutil.disk_usage("/")._replace(free=1_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: room)
    said = run("train", "--data", face_folder, *DCGAN, "--dry-run").stderr
    assert "only 1 MB are free there: raise --snapshot, or choose another --out" in said


def test_faces_framed_otherwise_than_those_of_the_weights_are_told_of(
    tiny: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    loaded, own = weights.load_weights(tiny), tmp_path / "own.safetensors"
    theirs = replace(loaded.description, frame=Frame((0.3, 0.3), (0.7, 0.3)))
    weights.save_weights(own, loaded.generator, theirs)
    plan = Plan(
        tmp_path, ModelConfig(28, 16), CropConfig(), TrainConfig(), "run", from_weights=str(own)
    )
    for place in (0.34, 0.41):
        tell_framing(plan, Eyes(Frame((place, 0.3), (0.7, 0.3)), 1.0, 0.01), said.append)
    assert said == [
        "the faces are framed otherwise than those of own: their eyes are at (0.41, 0.30) "
        "and (0.70, 0.30) of a side, not (0.30, 0.30) and (0.70, 0.30); train with `align`"
    ]


def test_data_that_are_not_there_are_told_of_before_anything_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("neuralid.training.session.start._pick_device", None)
    fails(run("train", "--data", "nowhere", "--dry-run"), 1, "nowhere does not exist")


def test_a_real_run_warns_too_but_not_one_that_frames(
    face_folder: Path, tmp_path: Path, measured: None
) -> None:
    words = ("--data", face_folder, *QUICK_FLAGS, "--kimg", 0.01)
    assert "the faces are not framed alike" in run("train", *words).stderr
    folder = tmp_path / "ada"
    folder.mkdir()
    picture = Image.open(EXAMPLES / "ada.png").convert("RGB")
    for index in range(70):
        picture.resize((112, 112)).save(folder / f"{index}.png")
    framed = run("train", "--data", folder, *QUICK_FLAGS, "--kimg", 0.01, "--align", "--dry-run")
    assert framed.exit_code == 0, framed.stderr
    assert "framed alike" not in framed.stderr


def test_a_dry_run_still_refuses_what_cannot_be(face_folder: Path) -> None:
    fails(run("train", "--data", "nowhere", "--dry-run"), 1, "nowhere does not exist")
