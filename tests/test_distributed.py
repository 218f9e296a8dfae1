"""Training by several processes: the same as by one, but for the order of additions."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import multiprocessing

from neuralid.config import ModelConfig, Recipe, TrainConfig
from neuralid.errors import DataError
from neuralid.training.batches import Batches
from neuralid.training.distributed import World, joined
from neuralid.training.loop import train_loop
from neuralid.training.state import TrainState

MODEL = ModelConfig(size=28, latent_size=16)
# Everything that draws random numbers or goes through a gradient twice.
EVERYTHING = Recipe("all", r1=0.1, r1_interval=1, augment="color,translation,cutout", ema=0.9)
# Adam's first step has its full length where a gradient is mere rounding; the generator's gradient
# goes through the discriminator, which therefore stays where it is.
STILL = replace(EVERYTHING, learning_rate_d=0.0)
ONE_STEP = TrainConfig(kimg=0.006, batch=6, recipe=STILL)
IN_PARTS = TrainConfig(kimg=0.008, batch=8, micro_batch=4, recipe=STILL)
THREE_STEPS = TrainConfig(kimg=0.024, batch=8, recipe=EVERYTHING)


def train(config: TrainConfig, world: World, precision: str = "fp32") -> dict[str, Any]:
    """The state after a few steps, and what was reported of them."""
    images = np.random.default_rng(0).integers(0, 256, (16, 28, 28, 3), np.uint8)
    state = TrainState.fresh(MODEL, config, torch.device("cpu"))
    told: list[list[float]] = []
    train_loop(
        state,
        Batches(images, np.arange(16), 0, mirror=True),
        config,
        precision,
        on_step=lambda s: told.append([s.loss_d, s.loss_g, s.d_real, s.d_fake]),
        on_snapshot=lambda state: None,
        go_back=lambda: None,
        should_stop=lambda: False,
        world=world,
    )
    return {**state.pack(), "told": torch.tensor(told)}


def work(rank: int, port: int, folder: Path) -> None:
    """What each of two processes does."""
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=2)
    with joined() as world:
        found: dict[str, Any] = {"one step": train(ONE_STEP, world)}
        found["in parts"] = train(IN_PARTS, world)
        found["three steps"] = train(THREE_STEPS, world)
        found["bf16"] = train(THREE_STEPS, world, "bf16")
        found["first"] = world.first(lambda: f"made by {rank}")
        found["alone"] = world.alone(lambda: rank)
        found["any"] = [world.any(rank == 1), world.any(False)]
        found["lowest"] = world.lowest(("bf16", "fp32")[rank])
        found["equal"] = world.equal({"x": torch.tensor([rank + 1.0]), "step": rank + 1})
        found["errors"] = [
            failure(lambda: world.first(lambda: fail(rank == 0))),
            failure(lambda: world.each(lambda: fail(rank == 1))),
            failure(lambda: world.in_turn(lambda: fail(rank == 0))),
        ]
        stopped = stop_after_one_step(world, wanted=rank == 1)
        found["stopped"] = stopped.images
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


def fail(really: bool) -> None:
    if really:
        raise DataError("no data", hint="get some")


def failure(make: Callable[[], object]) -> str:
    try:
        make()
    except DataError as error:
        return f"{error}; {error.hint}"
    return ""


def stop_after_one_step(world: World, wanted: bool) -> TrainState:
    """Only one of the processes hears of the wish to stop, and only after a step."""
    config = replace(THREE_STEPS, recipe=Recipe("paper"))
    state = TrainState.fresh(MODEL, config, torch.device("cpu"))
    images = np.zeros((16, 28, 28, 3), np.uint8)
    train_loop(
        state,
        Batches(images, np.arange(16), 0, mirror=False),
        config,
        "fp32",
        on_step=lambda step: None,
        on_snapshot=lambda state: None,
        go_back=lambda: None,
        should_stop=lambda: wanted and state.images > 0,
        world=world,
    )
    return state


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two processes found, by rank."""
    folder = tmp_path_factory.mktemp("pair")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(work, (port, folder), nprocs=2)  # type: ignore
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def moments(state: dict[str, Any], which: str) -> list[torch.Tensor]:
    """Adam's first moments after one step: half of the gradients."""
    return [values["exp_avg"] for values in state[which]["state"].values()]


def statistics(state: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {k: v.float() for k, v in state["generator"].items() if "running" in k}


@pytest.mark.parametrize("name", ["one step", "in parts"])
def test_gradients_and_statistics_of_two_processes_are_those_of_one(
    pair: list[dict[str, Any]], name: str
) -> None:
    config = ONE_STEP if name == "one step" else IN_PARTS
    alone = train(config, World())
    for state in (each[name] for each in pair):
        for which in ("optimizer_g", "optimizer_d"):
            pairs = list(zip(moments(alone, which), moments(state, which), strict=True))
            longest = max(float(one.norm()) for one, _ in pairs)
            for one, two in pairs:  # biases before a batch norm have no gradient to speak of
                assert float((one - two).norm()) <= 1e-4 * float(one.norm()) + 1e-6 * longest
        for key, value in statistics(alone).items():
            torch.testing.assert_close(statistics(state)[key], value, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(state["told"], alone["told"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "precision"), [("three steps", "fp32"), ("bf16", "bf16")])
def test_both_processes_hold_the_same_networks_and_go_where_one_goes(
    pair: list[dict[str, Any]], name: str, precision: str
) -> None:
    first, second = (each[name] for each in pair)
    for part in ("generator", "discriminator", "average"):
        for key, value in first[part].items():
            assert value.equal(second[part][key]), key
    alone = train(THREE_STEPS, World(), precision)
    tolerance = 1e-3 if precision == "fp32" else 0.05
    torch.testing.assert_close(first["told"], alone["told"], rtol=tolerance, atol=tolerance)


def test_processes_agree(pair: list[dict[str, Any]]) -> None:
    for found in pair:
        assert found["first"] == "made by 0"
        assert found["any"] == [True, False]
        assert found["lowest"] == "fp32"
        assert found["equal"] == {"x": torch.tensor([1.0]), "step": 1}
        assert found["stopped"] == 8
        assert found["errors"] == [
            "no data; get some",
            "no data (process 1); get some",
            "no data; get some",
        ]
    assert [found["alone"] for found in pair] == [0, None]
