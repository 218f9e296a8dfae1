"""Training by several processes: the same as by one, but for the order of additions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import QUICK, flags

from neuralid.cli import app
from neuralid.core.errors import ConfigError, DataError
from neuralid.latents.coordinates import Coordinates
from neuralid.latents.whitening import Whitening
from neuralid.models.building import build_drawer, build_perceptual
from neuralid.models.config import ModelConfig
from neuralid.models.recipe import RECIPES, Recipe
from neuralid.models.share import Share
from neuralid.training.batches import Batches
from neuralid.training.config import TrainConfig
from neuralid.training.distributed.world import World, check_shares, join_world
from neuralid.training.finish.encoding import train_encoder
from neuralid.training.loop import train_loop
from neuralid.training.runs.checkpoint import checkpoints
from neuralid.training.runs.folder import Run
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
STYLE = ModelConfig(size=28, latent_size=16, architecture="style")
CHANGED = replace(RECIPES["style"], augment_target=0.0, augment_p=0.5, learning_rate_d=0.0)
STYLE_STEP = TrainConfig(kimg=0.008, batch=8, recipe=CHANGED)
STYLE_STEPS = TrainConfig(kimg=0.024, batch=8, recipe=RECIPES["style"])


def train(
    config: TrainConfig, world: World, precision: str = "fp32", model: ModelConfig = MODEL
) -> dict[str, Any]:
    """The state after a few steps, and what was reported of them."""
    images = np.random.default_rng(0).integers(0, 256, (16, 28, 28, 3), np.uint8)
    state = TrainState.fresh(model, config, torch.device("cpu"))
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


def learn(world: World, model: ModelConfig, stop_at: int = 99) -> dict[str, torch.Tensor]:
    """An encoder of a new generator after a step on drawn faces and one on real ones."""
    images = np.random.default_rng(0).integers(0, 256, (16, 28, 28, 3), np.uint8)
    config = TrainConfig(kimg=0.064, batch=8)
    state = TrainState.fresh(model, config, torch.device("cpu"))
    drawer, perceptual = build_drawer(state.average), build_perceptual(state.discriminator)
    way = Coordinates.plain(16) if perceptual is None else Whitening.of(state.average)
    heard: list[int] = []
    encoder = train_encoder(
        drawer,
        way,
        Batches(images, np.arange(16), 0, mirror=False),
        config,
        "fp32",
        perceptual=perceptual,
        world=world,
        on_step=lambda done, total: heard.append(done),
        should_stop=lambda: world.rank == 0 and len(heard) >= stop_at,
    )
    return {"steps": torch.tensor(heard)} if encoder is None else encoder.state_dict()


def work(world: World) -> dict[str, Any]:
    """What each of two processes does."""
    found: dict[str, Any] = {"one step": train(ONE_STEP, world)}
    found["in parts"] = train(IN_PARTS, world)
    found["three steps"] = train(THREE_STEPS, world)
    found["bf16"] = train(ONE_STEP, world, "bf16")
    found["style"] = train(STYLE_STEP, world, model=STYLE)
    found["style steps"] = train(STYLE_STEPS, world, model=STYLE)
    found["encoder"] = learn(world, MODEL)
    found["encoder of layers"] = learn(world, STYLE)
    found["encoder stopped"] = learn(world, MODEL, stop_at=1)
    found["first"] = world.first(lambda: f"made by {world.rank}")
    found["alone"] = world.alone(lambda: world.rank)
    found["any"] = [world.any(world.rank == 1), world.any(False)]
    found["lowest"] = world.lowest(("bf16", "fp32")[world.rank])
    found["broadcast"] = world.broadcast(
        {"x": torch.tensor([world.rank + 1.0]), "step": world.rank + 1}
    )
    found["errors"] = [
        failure(lambda: world.first(lambda: fail(world.is_first))),
        failure(lambda: world.each(lambda: fail(world.rank == 1))),
        failure(lambda: world.in_turn(lambda: fail(world.is_first))),
    ]
    found["stopped"] = stop_after_one_step(world, wanted=world.rank == 1).images
    return found


def main(folder: Path, faces: str) -> None:
    """A process that torchrun starts: it does all that, then trains; the second is killed once."""
    out = folder / "runs"
    if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        with join_world() as world:
            torch.save(work(world), folder / f"{world.rank}.pt")
            if world.rank == 1:
                threading.Thread(target=die_after_a_checkpoint, args=(out,), daemon=True).start()
    options = {**QUICK, "kimg": 0.048, "snapshot": 0.016, "name": "pair"}
    try:
        app(["train", f"--data={faces}", f"--out={out}", *flags(options)])
    finally:
        (folder / f"threads{os.environ['RANK']}").write_text(str(torch.get_num_threads()))


def die_after_a_checkpoint(out: Path) -> None:
    while not list(out.glob("*/checkpoint-*.pt")):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


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


@dataclass(frozen=True)
class Pair:
    """What two processes found, by rank; what torchrun's run left and said."""

    found: list[dict[str, Any]]
    folder: Path
    ended: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def pair(face_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("pair")
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--max-restarts=1"]
    ended = subprocess.run(
        [sys.executable, *torchrun, __file__, str(folder), str(face_folder)],
        env={**os.environ, "NEURALID_CACHE_DIR": str(folder / "cache"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    found = [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]
    return Pair(found, folder, ended)


def moments(state: dict[str, Any], which: str) -> list[torch.Tensor]:
    """Adam's first moments after one step: half of the gradients."""
    return [values["exp_avg"] for values in state[which]["state"].values()]


def statistics(state: dict[str, Any]) -> dict[str, torch.Tensor]:
    kept = ("running", "w_mean")
    return {k: v.float() for k, v in state["generator"].items() if any(n in k for n in kept)}


@pytest.mark.parametrize(
    ("name", "config", "model"),
    [("one step", ONE_STEP, MODEL), ("in parts", IN_PARTS, MODEL), ("style", STYLE_STEP, STYLE)],
)
def test_gradients_and_statistics_of_two_processes_are_those_of_one(
    pair: Pair, name: str, config: TrainConfig, model: ModelConfig
) -> None:
    alone = train(config, World(), model=model)
    for state in (found[name] for found in pair.found):
        for which in ("optimizer_g", "optimizer_d"):
            assert_same_gradients(moments(alone, which), moments(state, which))
        for key, value in statistics(alone).items():
            torch.testing.assert_close(statistics(state)[key], value, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(state["told"], alone["told"], rtol=1e-5, atol=1e-5)


def assert_same_gradients(one: list[torch.Tensor], two: list[torch.Tensor]) -> None:
    """To rounding; biases before a batch norm have no gradient but that."""
    longest = max(float(gradient.norm()) for gradient in one)
    for a, b in zip(one, two, strict=True):
        assert float((a - b).norm()) <= 1e-4 * float(a.norm()) + 1e-6 * longest


@pytest.mark.parametrize(
    ("name", "config", "precision", "tolerance"),
    [("three steps", THREE_STEPS, "fp32", 1e-3), ("bf16", ONE_STEP, "bf16", 0.03)],
)
def test_both_processes_hold_the_same_networks_and_go_where_one_goes(
    pair: Pair, name: str, config: TrainConfig, precision: str, tolerance: float
) -> None:
    first, second = (found[name] for found in pair.found)
    for part in ("generator", "discriminator", "average"):
        for key, value in first[part].items():
            assert value.equal(second[part][key]), key
    alone = train(config, World(), precision)
    torch.testing.assert_close(first["told"], alone["told"], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("name", "model"), [("encoder", MODEL), ("encoder of layers", STYLE)])
def test_both_processes_train_the_encoder_that_one_would(
    pair: Pair, name: str, model: ModelConfig
) -> None:
    alone = learn(World(), model)
    first, second = (found[name] for found in pair.found)
    for key, value in alone.items():
        assert first[key].equal(second[key]), key
        torch.testing.assert_close(first[key], value, rtol=1e-3, atol=1e-5)


def test_the_encoder_stops_on_both_where_one_is_told_to(pair: Pair) -> None:
    assert [found["encoder stopped"]["steps"].tolist() for found in pair.found] == [[1], [1]]


def test_augmentation_adapts_to_the_faces_of_all_processes(pair: Pair) -> None:
    alone = train(STYLE_STEPS, World(), model=STYLE)["augmentation"]
    assert float(alone["sign"]) != 0
    for found in pair.found:
        assert {k: float(v) for k, v in found["style steps"]["augmentation"].items()} == {
            k: pytest.approx(float(v), abs=1e-6) for k, v in alone.items()
        }


def test_processes_agree(pair: Pair) -> None:
    for found in pair.found:
        assert found["first"] == "made by 0"
        assert found["any"] == [True, False]
        assert found["lowest"] == "fp32"
        assert found["broadcast"] == {"x": torch.tensor([1.0]), "step": 1}
        assert found["stopped"] == 8
        assert found["errors"] == [
            "no data; get some",
            "no data (process 1); get some",
            "no data; get some",
        ]
    assert [found["alone"] for found in pair.found] == [0, None]


def test_a_run_of_two_processes_goes_on_after_one_was_killed(pair: Pair) -> None:
    (run,) = (pair.folder / "runs").iterdir()
    last = torch.load(checkpoints(run)[-1], weights_only=True)
    assert last["images"] == 48 and last["step"] == 6
    said = pair.ended.stderr.splitlines()
    assert sum(line.startswith("run: ") for line in said) == 2  # one process talks
    assert sum(line.startswith("resumed after 0.0") for line in said) == 1
    assert not any("Warning" in line for line in said)
    weights = pair.folder / "cache" / "weights" / "pair.safetensors"
    assert pair.ended.stdout == f"{weights}\n" and weights.is_file()


def test_the_first_of_two_processes_takes_the_threads_of_both_in_the_end(pair: Pair) -> None:
    threads = [(pair.folder / f"threads{rank}").read_text() for rank in range(2)]
    assert threads == ["2", "1"]


@pytest.mark.parametrize("share", [Share(0, 2), Share(1, 2)])
def test_a_share_takes_its_rows_of_every_part(share: Share) -> None:
    whole = torch.arange(16).view(8, 2)
    start = 2 * share.rank
    assert replace(share, parts=2).of(whole)[:, 0].tolist() == [
        *(2 * i for i in range(start, start + 2)),
        *(2 * i for i in range(start + 4, start + 6)),
    ]
    assert share.of(whole)[:, 0].tolist() == [2 * i for i in range(2 * start, 2 * start + 4)]
    assert Share().of(whole) is whole


def test_a_batch_that_cannot_be_shared_out_is_refused() -> None:
    check_shares(TrainConfig(batch=9), 3)
    with pytest.raises(ConfigError, match="`batch` 64 cannot be divided evenly among 3") as e:
        check_shares(TrainConfig(batch=64), 3)
    assert e.value.hint is not None and "multiple of 3" in e.value.hint
    with pytest.raises(ConfigError, match="`micro_batch` 3 cannot"):
        check_shares(TrainConfig(batch=6, micro_batch=3), 2)


@pytest.mark.parametrize("batch, size", [(8, 1), (8, 2), (3, 1), (2, 1), (4, 1)])
def test_shares_are_whole_groups(batch: int, size: int) -> None:
    check_shares(TrainConfig(batch=batch), size, group=4)


@pytest.mark.parametrize("batch, size", [(6, 1), (8, 4), (12, 2), (2, 2)])
def test_shares_that_are_not_whole_groups_are_refused(batch: int, size: int) -> None:
    told = f"`batch` {batch} gives each process {batch // size} pictures, which are not groups of 4"
    with pytest.raises(ConfigError, match=told) as caught:
        check_shares(TrainConfig(batch=batch), size, group=4)
    assert caught.value.hint == f"use a multiple of {4 * size}"


def test_only_a_run_of_the_same_start_of_torchrun_is_gone_on_with(tmp_path: Path) -> None:
    runs = [Run.create(tmp_path, name) for name in ("theirs", "ours", "without")]
    runs[0].write_options({"size": 56, "launch": {"name": "job", "time": 50.0}})
    runs[1].write_options({"size": 28, "launch": {"name": "job", "time": 150.0}})
    runs[2].write_options({"size": 28})
    (tmp_path / "00007-damaged").mkdir()

    def found(name: str, since: float, size: int) -> Path | None:
        run = Run.launched_by(tmp_path, name, since, {"size": size})
        return run.folder if run else None

    assert found("job", 100.0, 28) == runs[1].folder
    assert found("job", 0.0, 56) == runs[0].folder
    assert found("job", 100.0, 56) is None  # other options: another run of the same program
    assert found("job", 200.0, 28) is None  # a new start, of the same name
    assert found("another", 0.0, 28) is None


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    second = World(1, 2, 1)
    assert [second.device(name) for name in ("auto", "cuda", "cpu")] == ["cuda:1", "cuda:1", "cpu"]
    assert World().device("cuda:3") == "cuda:3"
    with pytest.raises(ConfigError, match="cuda:0 is one device for 2 processes"):
        second.device("cuda:0")
    with pytest.raises(ConfigError, match="2 processes can train on cpu or cuda, not on mps"):
        second.device("mps")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
