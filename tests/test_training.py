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
from torch import Tensor
from torch.nn import functional as F

from neuralid import weights
from neuralid.core.errors import ConfigError, DataError, TrainingError
from neuralid.data.dataset import BY_NAME, is_held_out
from neuralid.models.architecture import architecture
from neuralid.models.config import ModelConfig
from neuralid.models.recipe import RECIPES, Recipe
from neuralid.models.share import Share
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
def test_augmentation_changes_nearly_every_face_and_lets_gradients_through(policy: str) -> None:
    x = torch.rand(40, 3, 16, 16, generator=seeded(1)).requires_grad_(True)
    out = diff_augment(x, policy, Share(rng=seeded(0)))
    assert out.shape == x.shape
    assert int((out != x).flatten(1).any(1).sum()) >= 36  # a move may be by nothing
    (gradient,) = torch.autograd.grad(out.square().sum(), x)
    assert gradient.isfinite().all() and bool((gradient != 0).flatten(1).any(1).all())


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_colours_change_as_diffaugments_do_on_pixels_that_span_1() -> None:
    """Brightness by up to a quarter, saturation up to twofold, contrast by half (Zhao 2020)."""
    x = torch.rand(500, 3, 8, 8, generator=seeded(1)) - 0.5
    out = diff_augment(x, "color", Share(rng=seeded(0)))
    light, before = (y.mean((1, 2, 3)) for y in (out, x))
    moved = light - before
    assert -0.25 <= float(moved.min()) < -0.24 and 0.24 < float(moved.max()) <= 0.25
    greys = [y.mean(1, keepdim=True) for y in (out, x)]
    own = [(grey - grey.mean((2, 3), keepdim=True)).flatten(1).norm(dim=1) for grey in greys]
    contrast = own[0] / own[1]
    assert 0.5 <= float(contrast.min()) < 0.52 and 1.48 < float(contrast.max()) <= 1.501
    hues = [(y - grey).flatten(1).norm(dim=1) for y, grey in zip((out, x), greys, strict=True)]
    saturation = hues[0] / hues[1] / contrast
    assert 0 <= float(saturation.min()) < 0.03 and 1.97 < float(saturation.max()) <= 2.001


def places_in(padded: Tensor, moved: Tensor) -> set[tuple[int, int]]:
    """Where each face of 16 pixels was cut out of its padded one of 20: exactly one place each."""
    seen = set()
    for index, face in enumerate(moved):
        (place,) = (
            (down, right)
            for down in range(5)
            for right in range(5)
            if face.equal(padded[index, :, down : down + 16, right : right + 16])
        )
        seen.add(place)
    return seen


def test_moves_are_by_up_to_an_eighth_and_black_comes_in() -> None:
    x = torch.rand(300, 3, 16, 16, generator=seeded(1)) + 1
    out = diff_augment(x, "translation", Share(rng=seeded(0)))
    assert len(places_in(F.pad(x, (2, 2, 2, 2)), out)) == 25


def test_a_square_of_half_the_side_is_cut_out_at_any_place() -> None:
    x = torch.ones(400, 3, 16, 16)
    gone = diff_augment(x, "cutout", Share(rng=seeded(0))) == 0
    assert bool((gone == gone[:, :1]).all())
    rows, columns = gone[:, 0].any(2), gone[:, 0].any(1)
    assert bool((gone[:, 0] == rows[:, :, None] & columns[:, None]).all())
    # The middle is a pixel from 0 to 16; three pixels on each side of it go too.
    assert {int(n) for n in rows.sum(1)} == {3, 4, 5, 6, 7}
    for place in (rows, columns):
        share = place.float().mean(0)
        assert float(share[8]) == pytest.approx(7 / 17, abs=0.1)
        assert float(share[0]) == pytest.approx(4 / 17, abs=0.1)


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


def test_every_seed_has_an_order_of_its_own() -> None:
    orders = {
        tuple(shown(Batches(batches().images, np.arange(2, 10), seed, False).after(0, 8)))
        for seed in range(20)
    }
    assert len(orders) == 20


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
    result = train(
        folder, tmp_path / "runs", kimg=0.02, architecture="dcgan", on_message=said.append
    )
    assert any(line.startswith("data: 96 faces, ") for line in said)
    assert "skipped: 1 cannot be read: broken.JPG" in said
    assert "face size: 64 (96 pictures)" in said
    assert said[-1] == architecture("dcgan").purpose and "style draws better faces" in said[-1]
    assert result.run is not None
    text = (result.run / "log.jsonl").read_text()
    assert "broken.JPG" in text
    lines = [line for line in map(json.loads, text.splitlines()) if "loss_d" in line]
    assert [line["kimg"] for line in lines] == [0.024]  # a short run is logged too
    assert lines[0]["memory_mb"] > 0 and lines[0]["images_per_second"] > 0


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


def test_weights_of_the_same_name_are_replaced_aloud(face_folder: Path, tmp_path: Path) -> None:
    heard: list[str] = []
    for _ in range(2):
        train(face_folder, tmp_path, kimg=0.016, on_message=heard.append)
    assert sum("replacing the weights 't'" in line for line in heard) == 1


def test_a_loss_that_is_not_finite_stops_the_run(face_folder: Path, tmp_path: Path) -> None:
    wild = Recipe("wild", learning_rate_g=1e30, learning_rate_d=1e30, dropout_g=0, dropout_d=0)
    with pytest.raises(TrainingError, match="not finite"):
        train(face_folder, tmp_path, recipe=wild)


@pytest.mark.parametrize(
    ("name", "rates", "betas"),
    [
        ("paper", (2e-4, 2e-4), ((0.5, 0.999), (0.5, 0.999))),
        ("stable", (2e-4, 4e-4), ((0.5, 0.999), (0.5, 0.999))),
        ("style", (0.0025, 0.0025 * 16 / 17), ((0, 0.99), (0, 0.99 ** (16 / 17)))),
    ],
)
def test_each_optimiser_begins_with_its_own_rate_and_betas(
    name: str, rates: tuple[float, float], betas: tuple[tuple[float, float], ...]
) -> None:
    model = ModelConfig(28, 8, architecture="style" if name == "style" else "dcgan")
    state = TrainState.fresh(model, TrainConfig(recipe=RECIPES[name]), torch.device("cpu"))
    pairs = (state.optimizer_g, state.generator), (state.optimizer_d, state.discriminator)
    for (optimizer, network), rate, beta in zip(pairs, rates, betas, strict=True):
        (group,) = optimizer.param_groups
        assert group["lr"] == pytest.approx(rate) and group["betas"] == pytest.approx(beta)
        assert (group["eps"], group["weight_decay"], group["amsgrad"]) == (1e-8, 0, False)
        for one, other in zip(group["params"], network.parameters(), strict=True):
            assert one is other


def test_r1_is_paid_before_every_so_many_steps_of_a_run(
    face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid: list[int] = []
    steps: list[Step] = []

    def counted(logits: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        paid.append(len(steps))
        return r1_penalty(logits, real)

    monkeypatch.setattr("neuralid.training.step.r1_penalty", counted)
    recipe = Recipe("r1", r1=0.1, r1_interval=3, augment="color", dropout_g=0, dropout_d=0)
    train(face_folder, tmp_path, recipe=recipe, kimg=0.064, on_step=steps.append)
    assert paid == [0, 3, 6] and len(steps) == 8


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
