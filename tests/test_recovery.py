"""A run that diverges goes back; one that collapses says so; a large batch in parts is the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_resume import assert_same, last_state, train

import neuralid
from neuralid.core import device
from neuralid.core.device import pick_precision
from neuralid.core.errors import ConfigError, TrainingError
from neuralid.models.config import ModelConfig
from neuralid.models.recipe import Recipe
from neuralid.training.batches import Batches
from neuralid.training.config import TrainConfig
from neuralid.training.distributed.world import World
from neuralid.training.health import has_collapsed
from neuralid.training.loop import LOOKS, Step
from neuralid.training.runs.checkpoint import checkpoints
from neuralid.training.runs.history import History
from neuralid.training.runs.records import Event
from neuralid.training.state import TrainState
from neuralid.training.step import Engine, passes, train_step

Poison = Callable[[TrainState, torch.Tensor], torch.Tensor]


def events(run: Path | None, name: str) -> list[Event]:
    assert run is not None
    history = History.read(run / "log.jsonl")
    return [event for event in history.events if event.name == name]


def poison(
    monkeypatch: pytest.MonkeyPatch, when: Callable[[TrainState], bool], how: Poison
) -> None:
    """Let steps go wrong."""

    def step(state: TrainState, *rest: Any) -> torch.Tensor:
        wrong = when(state)
        values = train_step(state, *rest)
        return how(state, values) if wrong else values

    monkeypatch.setattr("neuralid.training.recording.train_step", step)


def not_finite(state: TrainState, values: torch.Tensor) -> torch.Tensor:
    return values * float("nan")


def bad_weights(state: TrainState, values: torch.Tensor) -> torch.Tensor:
    """The losses of the step that ruins the weights are still finite."""
    with torch.no_grad():
        state.generator.get_parameter("mapping.0.weight")[0, 0] = float("inf")
    return values


def all_finite(values: Any) -> bool:
    if isinstance(values, dict):
        return all(all_finite(value) for value in values.values())
    return not isinstance(values, torch.Tensor) or bool(values.isfinite().all())


@pytest.mark.parametrize("how", [not_finite, bad_weights])
def test_a_run_that_diverges_goes_on_from_the_last_good_state_at_half_the_rates(
    how: Poison, face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Before the second snapshot, at 32 pictures; the last good state is the first, at 16.
    poison(monkeypatch, lambda state: state.step == 3 and state.rollbacks == 0, how)
    said: list[str] = []
    result = train(face_folder, tmp_path, snapshot=0.016, kimg=0.04, on_message=said.append)
    (event,) = events(result.run, "rollback")
    assert event.kimg == 0.032
    assert event.facts == {"back_to": 0.016, "learning_rates": "1/2", "rollbacks": 1}
    assert sum("back to 0.0 kimg, with 1/2 of the learning rates (1 of at" in s for s in said) == 1
    state = last_state(result)
    assert state["images"] == 40 and state["rollbacks"] == 1 and all_finite(state)
    rates = [state[f"optimizer_{which}"]["param_groups"][0]["lr"] for which in "gd"]
    assert rates == pytest.approx([0.0025 / 2, 0.0025 * 16 / 17 / 2])
    assert result.run is not None
    for path in result.run.glob("weights-*.safetensors"):
        assert all_finite(load_file(path))


def test_a_run_stopped_after_a_rollback_goes_on_as_if_it_had_not_been(
    face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, lambda state: state.step == 3 and state.rollbacks == 0, not_finite)
    whole = train(face_folder, tmp_path / "whole", kimg=0.048)  # back to its very start
    steps: list[int] = []
    first = train(
        face_folder,
        tmp_path / "parts",
        kimg=0.048,
        on_step=lambda step: steps.append(step.images),
        should_stop=lambda: len(steps) == 5,
    )
    assert steps == [8, 16, 24, 8, 16] and first.images == 16
    second = neuralid.train(out=tmp_path / "parts", resume="latest")
    assert_same(last_state(whole), last_state(second))


def test_a_run_that_diverges_again_and_again_stops_and_leaves_only_sound_files(
    face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, lambda state: state.step >= 2, bad_weights)
    with pytest.raises(TrainingError, match=r"diverged .* not finite") as error:
        train(face_folder, tmp_path, snapshot=0.016)
    assert error.value.exit_code == 1 and "checkpoint is sound" in str(error.value.hint)
    (run,) = tmp_path.glob("0*")
    assert [event.facts["rollbacks"] for event in events(run, "rollback")] == [1, 2, 3]
    for path in checkpoints(run):
        assert all_finite(torch.load(path, weights_only=True))
    assert len(checkpoints(run)) == 1


def test_rare_looks_at_the_losses_miss_nothing(
    face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LOOKS, "cpu", 4)  # as on a GPU, where each one waits
    poison(monkeypatch, lambda state: state.step == 6 and state.rollbacks == 0, not_finite)
    steps: list[Step] = []
    run = train(face_folder, tmp_path, snapshot=0.024, kimg=0.072, on_step=steps.append).run
    seen = [(step.images, step.new) for step in steps]
    assert seen == [(24, 24), (32, 8), (48, 16), (64, 16), (72, 8)]
    (event,) = events(run, "rollback")
    assert (event.kimg, event.facts["back_to"]) == (0.064, 0.048)


def test_a_collapsed_generator_is_told_of_once(
    face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Fresh weights that are not trained draw the same grey for every latent.
    still = Recipe("still", learning_rate_g=0.0)
    options: dict[str, Any] = {"recipe": still, "snapshot": 0.008, "architecture": "dcgan"}
    assert not has_collapsed(0.0, 1.0, 199) and has_collapsed(0.24, 1.0, 200)
    assert not has_collapsed(0.26, 1.0, 200)
    monkeypatch.setattr("neuralid.training.health.SOONEST", 2)
    said: list[str] = []
    first = train(face_folder, tmp_path, kimg=0.024, on_message=said.append, **options)
    neuralid.train(out=tmp_path, resume="latest", kimg=0.032, on_message=said.append)
    (event,) = events(first.run, "collapsed")
    assert event.kimg == 0.016 and event.facts["share_of_real_spread"] < 0.05
    assert sum("the generator has collapsed" in line for line in said) == 1


def one_step(micro_batch: int | None) -> tuple[TrainState, torch.Tensor]:
    """A step in which nothing depends on which pictures go together."""
    recipe = Recipe("plain", r1=0.1, dropout_g=0.0, dropout_d=0.0, learning_rate_d=0.0)
    config = TrainConfig(batch=12, recipe=recipe, micro_batch=micro_batch)
    images = np.random.default_rng(0).integers(0, 256, (16, 28, 28, 3), np.uint8)
    model, cpu = ModelConfig(size=28, latent_size=8), torch.device("cpu")
    state = TrainState.fresh(model, config, cpu)
    state.generator.eval()  # batch norm by its running statistics
    batch = list(passes(state, Batches(images, np.arange(16), 0, True), config, World()))
    return state, train_step(state, batch, Engine.start(state, config, "fp32", World()))


@pytest.mark.parametrize("micro_batch", [2, 4])
def test_a_batch_in_parts_gives_the_gradients_of_the_whole(micro_batch: int) -> None:
    (whole, told), (parts, also_told) = one_step(None), one_step(micro_batch)
    torch.testing.assert_close(told, also_told, rtol=1e-5, atol=1e-5)
    for one, two in (
        (whole.optimizer_g, parts.optimizer_g),
        (whole.optimizer_d, parts.optimizer_d),
    ):
        for a, b in zip(one.state.values(), two.state.values(), strict=True):
            error = float((a["exp_avg"] - b["exp_avg"]).norm())
            assert error <= 2e-3 * float(a["exp_avg"].norm()) + 1e-7


def test_a_run_in_parts_can_change_the_parts_on_resume(face_folder: Path, tmp_path: Path) -> None:
    first = train(face_folder, tmp_path, kimg=0.016, micro_batch=4)
    assert first.run is not None
    before = last_state(first)
    options = json.loads((first.run / "options.json").read_text())
    assert options["train"]["micro_batch"] == 4
    resumed = neuralid.train(out=tmp_path, resume="latest", kimg=0.024, micro_batch=2)
    after = last_state(resumed)
    assert (before["step"], after["step"], after["images"]) == (2, 3, 24)  # a step of all 8
    for which in ("generator", "discriminator"):
        for moments in after[f"optimizer_{which[0]}"]["state"].values():
            assert float(moments["step"]) == 3
        names = [name for name in after[which] if name.endswith("weight")]
        assert not any(after[which][name].equal(before[which][name]) for name in names)


@pytest.mark.parametrize(
    ("micro_batch", "told"), [(3, "not a multiple"), (1, "micro_batch.? must")]
)
def test_parts_have_to_fit(micro_batch: int, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        replace(TrainConfig(batch=8), micro_batch=micro_batch)


@pytest.mark.parametrize(
    ("flags", "picked"),
    [
        ("flags\t: sse avx512f avx512_bf16", "fp32"),
        ("flags\t: avx512f amx_bf16 amx_tile", "bf16"),
        ("flags\t: sse avx2 avx512f", "fp32"),
        (None, "fp32"),
    ],
)
def test_a_cpu_gets_bfloat16_where_it_is_faster(
    flags: str | None, picked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path) -> str:
        if flags is None:
            raise FileNotFoundError
        return flags

    monkeypatch.setattr(Path, "read_text", read)
    monkeypatch.setattr(device, "has_matrix_units", device.has_matrix_units.__wrapped__)
    cpu = torch.device("cpu")
    assert pick_precision("auto", cpu) == picked
    assert pick_precision("bf16", cpu) == "bf16" and pick_precision("fp32", cpu) == "fp32"


@pytest.mark.parametrize(("native", "picked"), [(True, "bf16"), (False, "fp32")])
def test_a_gpu_gets_bfloat16_where_it_is_more_than_emulated(
    native: bool, picked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "torch.cuda.is_bf16_supported",
        lambda including_emulation=True: including_emulation or native,
    )
    assert pick_precision("auto", torch.device("cuda")) == picked
    assert pick_precision("auto", torch.device("mps")) == "fp32"
