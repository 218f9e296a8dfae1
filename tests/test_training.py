"""Training: losses, batches, recipes, and what a run leaves behind."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import draw_face
from hypothesis import given
from hypothesis import strategies as st
from test_resume import train

from neuralid import weights
from neuralid.core.errors import ConfigError, DataError, TrainingError
from neuralid.data.dataset import BY_NAME, is_held_out
from neuralid.models.architecture import architecture
from neuralid.models.config import ModelConfig
from neuralid.models.recipe import RECIPES, Recipe
from neuralid.training.augment import POLICIES, diff_augment
from neuralid.training.batches import Batches
from neuralid.training.config import TrainConfig
from neuralid.training.loop import Step
from neuralid.training.losses import discriminator_loss, generator_loss, r1_penalty
from neuralid.training.runs.checkpoint import checkpoints
from neuralid.training.runs.folder import labelled_kimg, snapshot_label
from neuralid.training.state import TrainState


@given(st.floats(-20, 20), st.floats(-20, 20))
def test_the_losses_are_the_papers_cross_entropies(real: float, fake: float) -> None:
    def log_sigmoid(x: float) -> float:
        return -math.log1p(math.exp(-x))

    d = discriminator_loss(torch.tensor([real]), torch.tensor([fake]))
    g = generator_loss(torch.tensor([fake]))
    assert float(d) == pytest.approx(-log_sigmoid(real) - log_sigmoid(-fake), rel=1e-4, abs=1e-6)
    assert float(g) == pytest.approx(-log_sigmoid(fake), rel=1e-4, abs=1e-6)


def test_label_smoothing_moves_the_best_logit() -> None:
    logits = torch.linspace(-5, 5, 1001)
    none = torch.tensor([-50.0])
    losses = torch.stack([discriminator_loss(x[None], none, 0.9) for x in logits])
    assert float(logits[losses.argmin()].sigmoid()) == pytest.approx(0.9, abs=0.01)


def test_r1_is_half_the_squared_gradient() -> None:
    real = torch.randn(3, 3, 4, 4, requires_grad=True)
    logits = (2 * real).flatten(1).sum(1)
    assert float(r1_penalty(logits, real)) == pytest.approx(4 * 48 / 2)


@pytest.mark.parametrize("policy", [*POLICIES, "color,translation,cutout"])
def test_augmentation_changes_faces_and_lets_gradients_through(policy: str) -> None:
    torch.manual_seed(0)
    x = torch.rand(8, 3, 16, 16, requires_grad=True)
    out = diff_augment(x, policy)
    assert out.shape == x.shape
    assert not out.equal(x)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert gradient.isfinite().all() and bool((gradient != 0).any())


def test_no_augmentation_is_the_identity_and_an_unknown_one_refused() -> None:
    x = torch.rand(2, 3, 8, 8)
    assert diff_augment(x, "").equal(x)
    with pytest.raises(ConfigError, match="no augmentation 'blur'"):
        diff_augment(x, "blur")


def batches(mirror: bool = False) -> Batches:
    images = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1).repeat(2, 1).repeat(2, 2)
    images = images.repeat(3, 3).copy()
    images[:, :, 1] += 100
    return Batches(images, np.arange(2, 10), seed=0, mirror=mirror)


def shown(batch: torch.Tensor) -> list[int]:
    pixels = ((batch + 0.5) * 255).round()
    return pixels.amin((1, 2, 3)).int().tolist()


def test_an_epoch_shows_every_picture_once_and_the_next_in_another_order() -> None:
    data = batches()
    first, second = shown(data.after(0, 8)), shown(data.after(8, 8))
    assert sorted(first) == sorted(second) == list(range(2, 10))
    assert first != second


def test_batches_depend_only_on_how_many_were_seen() -> None:
    data, other = batches(), batches()
    pieces = [name for start in range(0, 24, 3) for name in shown(data.after(start, 3))]
    assert pieces == shown(other.after(0, 24))


def test_half_of_the_pictures_are_mirrored_if_asked() -> None:
    flipped = sum(
        float(face[0, 0, 0]) > float(face[0, 0, 1]) for face in batches(True).after(0, 400)
    )
    assert 140 < flipped < 260
    assert not any(float(f[0, 0, 0]) > float(f[0, 0, 1]) for f in batches().after(0, 400))


def test_the_average_follows_the_generator_and_its_statistics() -> None:
    state = TrainState.fresh(
        ModelConfig(size=28, latent_size=4), TrainConfig(), torch.device("cpu")
    )
    mean = state.average.get_buffer("dense_norm.running_var")
    value = state.generator.get_buffer("dense_norm.running_var")
    state.step = 10_000
    value.fill_(3.0)
    state.update_average(0.25)
    torch.testing.assert_close(mean, torch.full_like(mean, 1.5))
    state.update_average(1.0)
    assert mean.equal(value)


def weights_of(path: Path) -> int:
    return weights.load_weights(path).description.images_seen


def test_what_a_run_leaves_behind(face_folder: Path, tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    result = train(face_folder, tmp_path, snapshot=0.016, kimg=0.064)
    assert torch.random.get_rng_state().equal(state)  # the caller's random numbers are untouched
    assert result.run == tmp_path / "00000-t"
    names = {path.name for path in result.run.iterdir()}
    assert {"options.json", "report.html"} <= names
    for images in (16, 32, 48, 64):  # every snapshot's, though they are of the same thousand
        assert f"fakes000000_0{images}.png" in names
        kept_as_best = weights_of(result.run / "weights-best.safetensors") == images
        assert (f"weights-000000_0{images}.safetensors" in names) is not kept_as_best
    assert [path.name for path in checkpoints(result.run)] == ["checkpoint-000000064.pt"]
    options = json.loads((result.run / "options.json").read_text())
    assert options["train"]["kimg"] == 0.064 and options["model"]["size"] == 28
    assert train(face_folder, tmp_path, kimg=0.01).run == tmp_path / "00001-t"


def test_the_log_has_a_line_each_tick(
    face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuralid.training.session.session.TICK", 20)
    result = train(face_folder, tmp_path, kimg=0.05, snapshot=5)
    assert result.run is not None
    lines = [json.loads(line) for line in (result.run / "log.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "loss_d" in line]
    assert [line["kimg"] for line in lines] == [0.024, 0.04, 0.056]
    for key in ("loss_d", "loss_g", "d_real", "d_fake", "images_per_second", "memory_mb"):
        assert lines[0][key] > 0
    assert lines[0]["device"] == "cpu"


def test_unreadable_files_are_skipped_counted_and_named(face_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for path in face_folder.rglob("*.png"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "broken.JPG").write_text("no picture")
    said: list[str] = []
    result = train(folder, tmp_path / "runs", kimg=0.02, on_message=said.append)
    assert any(line.startswith("data: 96 faces, ") for line in said)
    assert "skipped: 1 cannot be read: broken.JPG" in said
    assert "face size: 64 (96 pictures)" in said
    assert said[-1] == architecture("dcgan").purpose and "style draws better faces" in said[-1]
    assert result.run is not None
    assert "broken.JPG" in (result.run / "log.jsonl").read_text()


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    for index in range(63):
        draw_face(np.random.default_rng(index)).save(tmp_path / f"{index}.png")
    with pytest.raises(DataError, match="63 usable pictures; training needs 64"):
        train(tmp_path, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_writes_nothing(face_folder: Path, tmp_path: Path) -> None:
    result = train(face_folder, tmp_path / "runs", dry_run=True)
    assert result.run is None and result.weights is None
    assert not (tmp_path / "runs").exists()


def test_a_short_run_is_logged_too(face_folder: Path, tmp_path: Path) -> None:
    result = train(face_folder, tmp_path, kimg=0.032)
    assert result.run is not None
    lines = [json.loads(line) for line in (result.run / "log.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "loss_d" in line]
    assert [line["kimg"] for line in lines] == [0.032]
    assert lines[0]["memory_mb"] > 0 and lines[0]["images_per_second"] > 0


def test_weights_of_the_same_name_are_replaced_aloud(face_folder: Path, tmp_path: Path) -> None:
    heard: list[str] = []
    for _ in range(2):
        train(face_folder, tmp_path, kimg=0.016, on_message=heard.append)
    assert sum("replacing the weights 't'" in line for line in heard) == 1


def test_a_loss_that_is_not_finite_stops_the_run(face_folder: Path, tmp_path: Path) -> None:
    wild = Recipe("wild", learning_rate_g=1e30, learning_rate_d=1e30)
    with pytest.raises(TrainingError, match="not finite"):
        train(face_folder, tmp_path, recipe=wild)


@pytest.mark.parametrize("recipe", [*RECIPES.values(), Recipe("r1", r1=0.1, augment="color")])
def test_every_recipe_moves_both_networks(
    recipe: Recipe, face_folder: Path, tmp_path: Path
) -> None:
    steps: list[Step] = []
    train(face_folder, tmp_path, recipe=recipe, kimg=0.064, on_step=steps.append)
    assert len(steps) == 8
    assert len({step.loss_d for step in steps}) == len({step.loss_g for step in steps}) == 8


def test_r1_is_paid_every_so_many_steps_and_so_many_times(
    face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid: list[torch.Tensor] = []

    def counted(logits: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        paid.append(r1_penalty(logits, real))
        return paid[-1]

    monkeypatch.setattr("neuralid.training.step.r1_penalty", counted)
    train(face_folder, tmp_path, recipe=Recipe("r1", r1=0.1, r1_interval=3), kimg=0.064)
    assert len(paid) == 3  # of 8 steps: before the first, the fourth and the seventh


@pytest.mark.parametrize("wrong", [{"r1_interval": 0}, {"real_label": 1.5}, {"r1": -1.0}])
def test_a_recipe_checks_itself(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        Recipe("wrong", **wrong)


def test_a_twentieth_of_the_pictures_is_held_out_by_their_paths() -> None:
    names = [f"{i:06d}.jpg" for i in range(4000)]
    held = [is_held_out(name) for name in names]
    assert 150 < sum(held) < 250
    assert [is_held_out(name, BY_NAME) for name in names] == held  # in a flat folder
    assert [is_held_out(f"some/folder/{name}", BY_NAME) for name in names] == held
    assert 150 < sum(is_held_out(f"person{i}/14.png") for i in range(4000)) < 250


def test_every_snapshot_has_a_name_of_its_own_in_the_order_of_pictures() -> None:
    assert snapshot_label(20_032, 64) == "000020" and snapshot_label(20_512, 64) == "000020_512"
    assert snapshot_label(64, 64) == "000000_064" and snapshot_label(5_120, 2048) == "000005"
    labels = [snapshot_label(images, 64) for images in range(64, 40_000, 64)]
    files = [f"fakes{label}.png" for label in labels]
    assert len(set(files)) == len(files) and sorted(files) == files
    assert [labelled_kimg(name) for name in ("000020", "000020_512", "x")] == [20, 20.512, None]
