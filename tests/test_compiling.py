"""Training with compiled networks; a stand-in compiles, since not every machine has a compiler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from test_recording import CASES, IMAGES, batches
from test_resume import assert_same
from torch import Tensor, nn

from neuralid.models.config import ModelConfig
from neuralid.training import compiling
from neuralid.training.batches import Batches, SentImages
from neuralid.training.config import TrainConfig
from neuralid.training.distributed.world import World
from neuralid.training.loop import Step, train_loop
from neuralid.training.state import TrainState
from neuralid.training.step import Engine

CPU = torch.device("cpu")


def train(model: ModelConfig, config: TrainConfig) -> tuple[TrainState, list[Step], list[str]]:
    state, heard, said = TrainState.fresh(model, config, CPU), list[Step](), list[str]()
    train_loop(
        state,
        batches(),
        config,
        "fp32",
        on_step=heard.append,
        on_snapshot=lambda state: None,
        go_back=lambda: None,
        should_stop=lambda: False,
        on_message=said.append,
    )
    return state, heard, said


@pytest.mark.parametrize(("model", "config"), CASES)
def test_a_run_is_the_same_compiled_and_not(
    model: ModelConfig, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rehearsal leaves no trace, and steps with R1 keep the plain discriminator."""
    calls: list[nn.Module] = []

    def compile_(network: nn.Module, **options: Any) -> Callable[..., Tensor]:
        def compiled(*args: Any) -> Tensor:
            calls.append(network)
            result: Tensor = network(*args)
            return result

        return compiled

    monkeypatch.setattr(torch, "compile", compile_)
    short = replace(config, kimg=0.048, snapshot=0.048)
    plain, told, _ = train(model, short)
    assert not calls
    state, heard, said = train(model, replace(short, compile=True))
    assert said == ["compiling the networks, which takes a minute or two"]
    assert_same(state.pack(), plain.pack())
    assert [replace(s, images_per_second=0) for s in heard] == [
        replace(s, images_per_second=0) for s in told
    ]
    steps, penalised = 6, len(range(0, 6, config.recipe.r1_interval)) if config.recipe.r1 else 0
    assert calls.count(state.generator) == 1 + steps
    assert calls.count(state.discriminator) == 2 + 2 * steps - penalised


@pytest.mark.parametrize("error", [RuntimeError("no kernel\nat line 3"), ImportError("")])
def test_training_goes_on_where_networks_cannot_be_compiled(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile_(network: nn.Module, **options: Any) -> Callable[..., Tensor]:
        def fails(*args: Any) -> Tensor:
            raise error

        return fails

    monkeypatch.setattr(torch, "compile", compile_)
    model, config = CASES[2]
    short = replace(config, kimg=0.016, snapshot=0.016)
    state, _, said = train(model, replace(short, compile=True))
    reason = str(error).partition("\n")[0] or "ImportError"
    assert said[1:] == [f"the networks cannot be compiled, and train more slowly: {reason}"]
    assert_same(state.pack(), train(model, short)[0].pack())


def test_what_is_compiled_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    model, config = CASES[1]
    state = TrainState.fresh(model, config, CPU)

    def wants(kind: str, size: int = 1, **changes: Any) -> bool:
        monkeypatch.setattr(compiling, "device_of", lambda network: torch.device(kind))
        changed = replace(config, **changes)
        engine = Engine(state.generator, state.discriminator, config.recipe, "fp32", World(0, size))
        return compiling.wants_compiling(state, changed, engine)

    assert wants("cuda", kimg=500) and not wants("cuda", kimg=499)
    assert not wants("cpu", kimg=1e6) and wants("cpu", kimg=1, compile=True)
    assert not wants("cuda", kimg=1e6, compile=False)
    assert not wants("cuda", size=2, kimg=1e6, compile=True)
    state.images = 400_000  # what is left counts, on resume
    assert not wants("cuda", kimg=800)


def test_pictures_that_are_sent_are_gathered_ahead_and_the_same() -> None:
    plain = Batches(IMAGES, np.arange(24), 0, mirror=True)
    asked: list[int] = []

    def gather(seen: int, batch: int) -> np.ndarray:
        asked.append(seen)
        return plain.gather(seen, batch)

    sent = SentImages(gather, CPU)
    for seen in (0, 8, 16, 24, 5, 13):  # a rollback, too
        assert sent.take(seen, 8).equal(plain.after(seen, 8))
    sent._pool.shutdown()
    # Each was gathered once, the two after the jump by nobody's foresight.
    assert [asked.count(seen) for seen in (0, 8, 16, 24)] == [1, 1, 1, 1]
    assert asked.count(32) == 1
