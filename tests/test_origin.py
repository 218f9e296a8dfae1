"""Runs that start from the networks of other training."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import fails, run
from test_resume import assert_same, last_state, train
from torch import Tensor

import neuralid
from neuralid import weights
from neuralid.core.errors import ConfigError, TrainingError, WeightsError
from neuralid.models.building import build_discriminator
from neuralid.models.config import ModelConfig
from neuralid.models.recipe import RECIPES
from neuralid.training.runs.checkpoint import checkpoints
from neuralid.training.runs.origin import find_origin, read_origin, save_discriminator
from neuralid.training.session.session import Trained
from neuralid.training.state import TrainState
from neuralid.training.step import train_step

# One in which nothing learns.
STILL = replace(RECIPES["style"], name="still", learning_rate_g=0.0, learning_rate_d=0.0)
KEPT = "style.training.safetensors"


@pytest.fixture(scope="module", autouse=True)
def small_snapshots() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SHOWN", "MEASURED"):
            patch.setattr(f"neuralid.training.session.snapshots.{name}", 4)
        yield


@pytest.fixture(scope="module")
def made(face_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A finished run of the style architecture, with a name in a cache of its own."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEURALID_CACHE_DIR", str(folder / "cache"))
        return train(face_folder, folder, architecture="style", name="style", kimg=0.032)


@pytest.fixture
def published(made: Trained, tmp_path: Path) -> Path:
    """Its weights and their training file, in a folder of the test's."""
    assert made.weights is not None
    for name in ("style.safetensors", KEPT):
        shutil.copy(made.weights.with_name(name), tmp_path / name)
    return tmp_path / "style.safetensors"


def go_on(data: Path, out: Path, source: object, **options: Any) -> Trained:
    """A run of two steps from there; architecture, size and latent are not said."""
    told = {"recipe": STILL, "kimg": 0.016, "batch": 8, "name": "t", **options}
    return neuralid.train(data, out=out, from_weights=str(source), **told)


def as_halves(values: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.half().float() for name, value in values.items()}


def test_a_finished_run_leaves_both_networks_in_half_precision(made: Trained) -> None:
    assert made.weights is not None
    origin, state = read_origin(made.weights), last_state(made)
    assert origin.model == ModelConfig(28, 16, architecture="style")
    assert_same(origin.generator, as_halves({**state["average"]}))
    assert_same(origin.discriminator, as_halves({**state["discriminator"]}))


def test_a_new_run_starts_from_weights(face_folder: Path, tmp_path: Path, published: Path) -> None:
    said: list[str] = []
    result = go_on(face_folder, tmp_path, published, on_message=said.append)
    origin, state = read_origin(published), last_state(result)
    assert not any("without its discriminator" in line for line in said)
    for name, value in state["generator"].items():
        if name != "w_mean":  # a running statistic
            assert value.equal(origin.generator[name]), name
            torch.testing.assert_close(state["average"][name], value)
    assert_same({**state["discriminator"]}, origin.discriminator)
    assert result.weights is not None
    assert weights.load_weights(result.weights).description.images_seen == 16


def test_a_new_run_starts_from_a_run(face_folder: Path, tmp_path: Path, made: Trained) -> None:
    assert made.run is not None
    before = last_state(made)
    for source in (made.run, made.run.name):
        after = last_state(go_on(face_folder, made.run.parent, source))
        assert_same({**after["discriminator"]}, {**before["discriminator"]})
        assert after["generator"]["constant"].equal(before["average"]["constant"])


def test_the_papers_networks_are_gone_on_with_too(
    face_folder: Path, tmp_path: Path, tiny: Path
) -> None:
    still = replace(RECIPES["stable"], learning_rate_g=0.0, learning_rate_d=0.0)
    state = last_state(go_on(face_folder, tmp_path, tiny, recipe=still))
    kept = weights.load_weights(tiny).generator.get_parameter("to_rgb.weight")
    assert state["average"]["to_rgb.weight"].equal(kept)


def test_a_new_discriminator_learns_alone_at_first(
    face_folder: Path, tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuralid.training.state.WARMUP", 16)
    monkeypatch.setattr("neuralid.training.session.finished.keep_newest", lambda folder: None)
    (tmp_path / KEPT).unlink()
    said: list[str] = []
    options: dict[str, Any] = {"recipe": "style", "snapshot": 0.008, "on_message": said.append}
    result = go_on(face_folder, tmp_path, published, kimg=0.024, **options)
    told = "style.safetensors comes without its discriminator: a new one learns alone for the first"
    assert sum(told in line for line in said) == 1
    assert result.run is not None
    first, second, third = (torch.load(p, weights_only=True) for p in checkpoints(result.run))
    name = "synthesis.0.weight"
    origin = read_origin(published).generator[name]
    assert first["generator"][name].equal(origin) and second["generator"][name].equal(origin)
    assert not third["generator"][name].equal(origin)
    assert not first["discriminator"]["out.weight"].equal(second["discriminator"]["out.weight"])
    assert third["warmup"] == 16


def test_a_run_from_weights_is_resumed_without_them(
    face_folder: Path, tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuralid.training.state.WARMUP", 16)
    (tmp_path / KEPT).unlink()
    whole = go_on(face_folder, tmp_path / "whole", published, kimg=0.032, recipe="style")
    go_on(face_folder, tmp_path / "two", published, kimg=0.008, recipe="style")
    published.unlink()
    resumed = neuralid.train(out=tmp_path / "two", resume="latest", kimg=0.032)
    assert_same(last_state(whole), last_state(resumed))


def test_a_run_that_diverges_at_once_goes_back_to_them(
    face_folder: Path, tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken: list[int] = []

    def poisoned(state: TrainState, *rest: Any) -> Tensor:
        values = train_step(state, *rest)
        if not broken:
            broken.append(state.images)
            with torch.no_grad():
                state.generator.get_parameter("constant").fill_(float("nan"))
            return values * float("nan")
        return values

    monkeypatch.setattr("neuralid.training.recording.train_step", poisoned)
    state = last_state(go_on(face_folder, tmp_path, published))
    assert state["rollbacks"] == 1
    assert state["generator"]["constant"].equal(read_origin(published).generator["constant"])


def test_a_discriminator_of_other_weights_is_passed_over(published: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    loaded = weights.load_weights(published)
    weights.save_weights(other, loaded.generator, replace(loaded.description, licence="x"))
    shutil.copy(tmp_path / KEPT, tmp_path / "other.training.safetensors")
    assert read_origin(other).discriminator is None
    save_discriminator(other, {"x": torch.ones(1)})
    assert read_origin(other).discriminator is None  # that of other networks
    rng = torch.Generator().manual_seed(0)
    own = build_discriminator(loaded.description.model, rng).state_dict()
    save_discriminator(other, own)
    found = read_origin(other).discriminator
    assert found is not None and found.keys() == own.keys()
    (tmp_path / "other.training.safetensors").write_bytes(b"damaged")
    assert read_origin(other).discriminator is None


def test_networks_that_differ_are_refused(face_folder: Path, tmp_path: Path, tiny: Path) -> None:
    with pytest.raises(ConfigError, match="`size` 56 differs from that of `from_weights` \\(28\\)"):
        go_on(face_folder, tmp_path, tiny, size=56)
    words = ["--data", face_folder, "--from", tiny, "--architecture", "style"]
    fails(
        run("train", *words), 2, "--architecture style differs from that of --from-weights (dcgan)"
    )


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights 'nobody'"):
        find_origin("nobody", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="is not a training run"):
        find_origin("empty", tmp_path)
    (tmp_path / "empty" / "options.json").write_text('{"model": {"size": 28}}')
    with pytest.raises(TrainingError, match="has no checkpoint yet"):
        read_origin(tmp_path / "empty")
