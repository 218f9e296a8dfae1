"""Recorded training steps: the bookkeeping on the CPU, where "recorded" work is done again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_resume import assert_same
from torch import Tensor

from neuralid.models.config import ModelConfig
from neuralid.models.recipe import RECIPES
from neuralid.training.batches import Batches, PlacedImages
from neuralid.training.config import TrainConfig
from neuralid.training.distributed.world import World
from neuralid.training.recording import WARM, Recorder
from neuralid.training.state import TrainState
from neuralid.training.step import Engine, passes, train_step

CPU = torch.device("cpu")
IMAGES = np.random.default_rng(0).integers(0, 256, (24, 28, 28, 3), np.uint8)
STYLE = ModelConfig(28, 16, architecture="style")
PAPER = ModelConfig(28, 16)
R1_OFTEN = replace(RECIPES["style"], r1_interval=3, augment_p=0.5, augment_target=0.0)
CASES = [
    (STYLE, TrainConfig(batch=8, recipe=R1_OFTEN)),
    (STYLE, TrainConfig(batch=8, recipe=RECIPES["style"])),
    (PAPER, TrainConfig(batch=8, recipe=RECIPES["stable"])),
]


class Again:
    """Stands in for CUDA's graphs: what was recorded is done again, with what it was given then."""

    def __init__(self, broken: bool = False) -> None:
        self.recorded, self.replayed, self.broken = 0, 0, broken
        self.inside = False

    @contextmanager
    def beside(self) -> Iterator[None]:
        self.inside = True
        yield
        self.inside = False

    def record(
        self, work: Callable[[], Tensor], generators: Sequence[torch.Generator]
    ) -> Callable[[], Tensor]:
        assert self.inside and len(generators) == 3
        if self.broken:
            raise RuntimeError("out of memory\nand much more")
        self.recorded += 1

        def replay() -> Tensor:
            self.replayed += 1
            return work()

        return replay


def batches() -> Batches:
    return Batches(IMAGES, np.arange(24), 0, mirror=True)


def run(
    model: ModelConfig, config: TrainConfig, steps: int, graphs: Again | None
) -> tuple[TrainState, list[Tensor], list[str]]:
    state = TrainState.fresh(model, config, CPU)
    said: list[str] = []
    recorder = Recorder(Engine.start(state, config, "fp32", World()), graphs, said.append)
    told = []
    for _ in range(steps):
        batch = list(passes(state, batches(), config, World()))
        told.append(recorder.train_step(state, batch))
        state.images += config.batch
        state.step += 1
    return state, told, said


@pytest.mark.parametrize(("model", "config"), CASES)
def test_recorded_steps_are_the_plain_ones(model: ModelConfig, config: TrainConfig) -> None:
    graphs = Again()
    plain, told_plainly, _ = run(model, config, 10, None)
    recorded, told, said = run(model, config, 10, graphs)
    assert_same(recorded.pack(), plain.pack())
    assert torch.stack(told).equal(torch.stack(told_plainly)) and not said
    kinds = 2 if config.recipe is R1_OFTEN else 1  # with R1 and without
    assert graphs.recorded == kinds
    assert graphs.replayed >= 10 - kinds * WARM - 1


def test_what_was_recorded_is_forgotten_when_the_state_is_replaced() -> None:
    config, graphs = CASES[1][1], Again()
    state = TrainState.fresh(STYLE, config, CPU)
    recorder = Recorder(Engine.start(state, config, "fp32", World()), graphs, print)
    for round_ in (1, 2):
        for state.step in range(1, WARM + 2):
            recorder.train_step(state, list(passes(state, batches(), config, World())))
        assert graphs.recorded == round_
        recorder.forget()
    assert not any(group["capturable"] for group in state.optimizer_g.param_groups)


def test_steps_go_on_where_they_cannot_be_recorded() -> None:
    config = CASES[1][1]
    plain, _, _ = run(STYLE, config, 6, None)
    state, _, said = run(STYLE, config, 6, Again(broken=True))
    assert_same(state.pack(), plain.pack())
    slower = "training steps cannot be recorded as CUDA graphs, and are slower"
    assert said == [f"{slower}: out of memory"]


def test_only_whole_steps_in_which_both_networks_learn_are_recorded() -> None:
    graphs = Again()
    config = TrainConfig(batch=8, micro_batch=4, recipe=RECIPES["style"])
    run(STYLE, config, 4, graphs)
    state = TrainState.fresh(STYLE, CASES[1][1], CPU)
    state.warmup = 1000
    recorder = Recorder(Engine.start(state, config, "fp32", World()), graphs, print)
    for state.step in range(1, WARM + 3):
        recorder.train_step(state, list(passes(state, batches(), CASES[1][1], World())))
    assert graphs.recorded == 0


def test_one_process_on_cuda_records() -> None:
    config = CASES[1][1]
    engine = Engine.start(TrainState.fresh(STYLE, config, CPU), config, "fp32", World())
    assert Recorder.start(engine, print).graphs is None


def test_placed_pictures_are_the_same_ones() -> None:
    own = batches()
    placed = batches()
    mapped = IMAGES.copy()
    mapped.setflags(write=False)  # as the cache's are
    placed._placed = PlacedImages(mapped, CPU)
    for seen in (0, 5, 21, 100):  # within an epoch, and from one to the next
        assert placed.after(seen, 8).equal(own.after(seen, 8))


def test_every_picture_comes_once_in_an_epoch_half_of_them_mirrored() -> None:
    images = np.zeros((40, 2, 2, 3), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 1, 0] = np.arange(40), 100
    shown = (Batches(images, np.arange(40), 3, True).after(40, 40) + 0.5).mul(255).round()
    left, right = shown[:, 0, 0, 0], shown[:, 0, 0, 1]
    mirrored = left == 100
    assert sorted(torch.where(mirrored, right, left).tolist()) == list(range(40))
    assert 8 < int(mirrored.sum()) < 32


def test_a_step_is_told_on_the_device_how_far_the_average_moves() -> None:
    config = CASES[1][1]
    states = [TrainState.fresh(STYLE, config, CPU) for _ in "ab"]
    for state, moved in zip(states, (None, torch.tensor(0.75)), strict=True):
        engine = replace(Engine.start(state, config, "fp32", World()), moved=moved)
        before = state.average.get_parameter("constant").clone()
        train_step(state, list(passes(state, batches(), config, World())), engine)
    after = [state.average.get_parameter("constant") for state in states]
    new = states[1].generator.get_parameter("constant")
    torch.testing.assert_close(after[1], before + 0.75 * (new - before))
    assert not after[0].equal(after[1])
