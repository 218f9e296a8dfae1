"""On a GPU, NVIDIA's or Apple's; and what Apple's cannot do, found without one."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY
from test_resume import ROUGH
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import neuralid
from neuralid import weights
from neuralid.latents.coordinates import Coordinates
from neuralid.latents.inversion import invert
from neuralid.latents.tuning import tune
from neuralid.models.building import build_drawer
from neuralid.models.config import ModelConfig
from neuralid.models.dropout import Dropout, random_bytes
from neuralid.models.encoder import Encoder
from neuralid.models.recipe import RECIPES, Recipe
from neuralid.models.share import Share
from neuralid.training.augment import POLICIES, diff_augment
from neuralid.training.batches import Batches
from neuralid.training.compiling import compile_networks
from neuralid.training.config import TrainConfig
from neuralid.training.distributed.world import World
from neuralid.training.finish.encoding import train_encoder
from neuralid.training.loop import Step, train_loop
from neuralid.training.recording import CudaGraphs, Recorder
from neuralid.training.state import TrainState
from neuralid.training.step import Engine, Pass, passes, train_step
from neuralid.upscaling.face import enlarge_light

THERE = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
MODEL = ModelConfig(size=28, latent_size=16)
STYLE = ModelConfig(size=28, latent_size=16, architecture="style")
STYLE_CONFIG = TrainConfig(kimg=0.016, batch=8, recipe=RECIPES["style"])
PLAIN = Recipe("plain", learning_rate_d=0.0, dropout_g=0.0, dropout_d=0.0, ema=0.9)
CONFIG = TrainConfig(kimg=0.032, batch=8, recipe=ROUGH, snapshot=0.032)


@pytest.fixture(params=THERE)
def gpu(request: pytest.FixtureRequest) -> torch.device:
    if not THERE[request.param]:
        pytest.skip(f"this machine has no {request.param}")
    return torch.device(request.param)


def faces(count: int = 16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28, 3), np.uint8)


def batches() -> Batches:
    return Batches(faces(), np.arange(16), 0, mirror=True)


def test_masks_are_a_function_of_their_generator(gpu: torch.device) -> None:
    first, again = (random_bytes(8 * 10_000, gpu, seeded(gpu, 1)).cpu() for _ in "ab")
    assert first.equal(again) and not first.equal(random_bytes(80_000, gpu, seeded(gpu, 2)).cpu())
    counts = torch.bincount(first.int(), minlength=256)
    assert len(counts) == 256 and int(counts.min()) > 200 and int(counts.max()) < 430  # mean 312
    dropped = Dropout(0.25).train()(torch.ones(4, 8, 50, 50, device=gpu), Share(rng=seeded(gpu, 1)))
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.01)


def seeded(device: torch.device, seed: int) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def test_masks_on_cuda_are_those_of_its_global_generator() -> None:
    if not THERE["cuda"]:
        pytest.skip("this machine has no cuda")
    device = torch.device("cuda")
    torch.cuda.manual_seed(5)
    words = torch.empty(100, dtype=torch.int64, device=device).random_(-(1 << 63), None)
    colours = torch.rand(3, 8, 1, 1, 1, device=device)
    own = seeded(device, 5)
    assert random_bytes(800, device, own).equal(words.view(torch.uint8))
    assert torch.rand(3, 8, generator=own, device=device).view(colours.shape).equal(colours)


@pytest.mark.parametrize("policy", POLICIES)
def test_augmentation_lets_gradients_through(policy: str, gpu: torch.device) -> None:
    x = torch.rand(8, 3, 16, 16, device=gpu, requires_grad=True)
    share = Share(rng=seeded(gpu, 0))
    out = diff_augment(x, policy, share)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert (
        not out.equal(x) and bool((gradient.cpu() != 0).any()) and gradient.cpu().isfinite().all()
    )


@pytest.mark.parametrize(("model", "recipe"), [(MODEL, PLAIN), (STYLE, RECIPES["style"])])
def test_a_first_step_is_that_of_the_cpu(
    model: ModelConfig, recipe: Recipe, gpu: torch.device
) -> None:
    """With no random numbers but those of the seed, which are drawn on the CPU."""
    config = TrainConfig(kimg=0.008, batch=8, recipe=replace(recipe, learning_rate_d=0.0))
    told: list[Tensor] = []
    for device in (torch.device("cpu"), gpu):
        state = TrainState.fresh(model, config, device)
        engine = Engine.start(state, config, "fp32", World())
        told.append(
            train_step(state, list(passes(state, batches(), config, World())), engine).cpu()
        )
    torch.testing.assert_close(told[1], told[0], rtol=1e-3, atol=1e-4)


def test_a_run_from_photos_to_an_upscaled_mix(
    gpu: torch.device, face_folder: Path, photo: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {**TINY, "kimg": 0.064, "recipe": ROUGH, "name": "gpu"}
    result = neuralid.train(face_folder, out=tmp_path, device=gpu.type, **options)
    assert result.weights is not None and result.finished
    loaded = weights.load_weights(result.weights)
    assert loaded.encoder is not None and loaded.metric is not None
    there, here = (
        neuralid.sample(4, seed=1, model=result.weights, device=device).images.astype(int)
        for device in (gpu.type, "cpu")
    )
    assert np.abs(there - here).max() <= 2
    own: dict[str, Any] = {"model": result.weights, "device": gpu.type}
    for fidelity in ("fast", "high"):
        (found,) = neuralid.invert([photo], align=False, fidelity=fidelity, **own)
        assert bool(found.latent.isfinite().all()) and found.psnr > 8
    mixed = neuralid.mix([photo, photo], align=False, scale=2, **own)
    assert mixed.image.shape == (56, 56, 3) and mixed.image.std() > 1


def test_inversion_finds_what_it_finds_on_the_cpu(
    gpu: torch.device, trained: weights.Weights
) -> None:
    drawer = build_drawer(trained.generator)
    noise = torch.randn(3, 16, generator=torch.Generator().manual_seed(0)) / 2
    with torch.no_grad():
        targets = drawer(noise)
    way, encoder = trained.coordinates, copy.deepcopy(trained.encoder)
    here = invert(drawer, targets, coordinates=way, encoder=encoder)
    there = invert(drawer.to(gpu), targets, coordinates=way, encoder=encoder)
    assert float(here.psnr.min()) > 35 and float(there.psnr.min()) > 30


def test_the_upscaler_draws_what_it_draws_on_the_cpu(gpu: torch.device) -> None:
    light = np.random.default_rng(0).random((20, 30), np.float32)
    here, there = (enlarge_light(light, 2, device) for device in ("cpu", gpu.type))
    apart = np.abs(here - there)  # one may be in bfloat16
    assert there.shape == (40, 60) and apart.mean() < 0.01 and apart.max() < 0.1


class NoFloat64(TorchDispatchMode):
    """Apple's GPUs have no float64: raise where an operation off the CPU gives it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and leaf.device.type != "cpu":
                assert leaf.dtype not in (torch.float64, torch.complex128), func
        return out


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """A device that every machine has and that is not the CPU: shapes and types, no numbers."""
    adam = torch.optim.Adam
    monkeypatch.setattr(
        torch.optim, "Adam", lambda *args, fused=False, **options: adam(*args, **options)
    )
    monkeypatch.setattr(Pass, "rng", lambda self, use: None)  # it has no generators
    with NoFloat64():  # type: ignore[no-untyped-call]
        yield torch.device("meta")


def test_the_check_for_float64_finds_it(stand_in: torch.device) -> None:
    torch.zeros(2).double()
    with pytest.raises(AssertionError, match="_to_copy"):
        torch.zeros(2, device=stand_in).double()


@pytest.mark.parametrize(("model", "config"), [(MODEL, CONFIG), (STYLE, STYLE_CONFIG)])
def test_a_training_step_takes_no_float64(
    model: ModelConfig, config: TrainConfig, stand_in: torch.device
) -> None:
    state = TrainState.fresh(model, config, stand_in)
    engine = Engine.start(state, config, "fp32", World())
    told = train_step(state, list(passes(state, batches(), config, World())), engine)
    assert told.shape == (4,) and told.device == stand_in


def test_the_encoders_training_takes_no_float64(
    stand_in: torch.device, trained: weights.Weights
) -> None:
    drawer = build_drawer(trained.generator).to(stand_in)
    assert trained.metric is not None
    heard: list[int] = []
    encoder = train_encoder(
        drawer,
        Coordinates.of(trained.metric),
        batches(),
        TrainConfig(kimg=0.256, batch=8),
        "fp32",
        on_step=lambda done, total: heard.append(done),
    )
    assert heard == list(range(1, 9)) and isinstance(encoder, Encoder)
    assert encoder.dense.weight.device == stand_in


def test_tuning_takes_no_float64(stand_in: torch.device, trained: weights.Weights) -> None:
    generator = TrainState.fresh(trained.description.model, CONFIG, stand_in).average
    tuned = tune(generator, torch.zeros(2, 16), torch.zeros(2, 3, 28, 28), steps=2)
    assert tuned.get_parameter("dense.weight").device == stand_in


def test_no_float64_reaches_a_gpu(gpu: torch.device, trained: weights.Weights) -> None:
    """All but the metrics, which are measured on the CPU where there is none."""
    state = TrainState.fresh(MODEL, CONFIG, gpu)
    with NoFloat64():  # type: ignore[no-untyped-call]
        train_loop(
            state,
            batches(),
            CONFIG,
            "fp32",
            on_step=lambda step: None,
            on_snapshot=lambda state: None,
            go_back=lambda: None,
            should_stop=lambda: False,
        )
        drawer = build_drawer(state.average)
        targets = torch.zeros(2, 3, 28, 28)
        found = invert(
            drawer, targets, coordinates=trained.coordinates, encoder=copy.deepcopy(trained.encoder)
        )
        tune(state.average, found.latents, targets, steps=2)
        enlarge_light(np.zeros((8, 8), np.float32), 2, gpu.type)
    assert state.images == 32 and bool(found.latents.isfinite().all())


@pytest.fixture
def cuda() -> torch.device:
    if not THERE["cuda"]:
        pytest.skip("this machine has no cuda")
    return torch.device("cuda", torch.cuda.current_device())


class Run:
    """Steps of one run on a device, with or without recording."""

    def __init__(self, model: ModelConfig, config: TrainConfig, device: torch.device) -> None:
        self.config, self.state = config, TrainState.fresh(model, config, device)
        self.batches, self.said = batches(), list[str]()
        self.batches.place(device)
        engine = Engine.start(self.state, config, "fp32", World())
        self.recorder = Recorder.start(engine, self.said.append)

    def steps(self, count: int) -> Tensor:
        told = []
        for _ in range(count):
            batch = list(passes(self.state, self.batches, self.config, World()))
            told.append(self.recorder.train_step(self.state, batch))
            self.state.images += self.config.batch
            self.state.step += 1
        return torch.stack(told)


AUGMENTED = replace(RECIPES["style"], r1_interval=3, augment_p=0.5, augment_target=0.0)
RECORDED = [(STYLE, AUGMENTED), (MODEL, replace(RECIPES["stable"], augment="color,translation"))]


@pytest.mark.parametrize(("model", "recipe"), RECORDED)
@pytest.mark.parametrize("rate", [0.0, 1e-4])
def test_recorded_steps_are_the_plain_ones(
    model: ModelConfig, recipe: Recipe, rate: float, cuda: torch.device
) -> None:
    """Random numbers, penalties and averages; at a rate of 0 they are all that changes."""
    recipe = replace(recipe, learning_rate_g=rate, learning_rate_d=rate)
    config = TrainConfig(batch=8, recipe=recipe)
    plain, recorded = Run(model, config, cuda), Run(model, config, cuda)
    plain.recorder.graphs = None
    told, told_plainly = recorded.steps(20), plain.steps(20)
    assert not recorded.said and len(recorded.recorder._recorded) == (2 if recipe.r1 else 1)
    tolerance = 1e-3 if rate == 0 else 2e-2
    torch.testing.assert_close(told, told_plainly, rtol=tolerance, atol=tolerance)
    averages = (run.state.average.state_dict() for run in (recorded, plain))
    for a, b in zip(*(each.values() for each in averages), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_a_recorded_run_goes_on_after_a_rollback_and_a_resume(cuda: torch.device) -> None:
    config = TrainConfig(batch=8, recipe=replace(AUGMENTED, learning_rate_g=0, learning_rate_d=0))
    run, other = Run(STYLE, config, cuda), Run(STYLE, config, cuda)
    run.steps(8)
    kept = copy.deepcopy(run.state.pack())
    after = run.steps(8)
    run.state.unpack(copy.deepcopy(kept))
    run.recorder.forget()
    other.state.unpack(copy.deepcopy(kept))
    for again in (run.steps(8), other.steps(8)):
        torch.testing.assert_close(again, after, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("model", "recipe"), RECORDED)
@pytest.mark.parametrize("records", [True, False])
def test_nothing_waits_for_the_device_within_a_step(
    model: ModelConfig, recipe: Recipe, records: bool, cuda: torch.device
) -> None:
    run = Run(model, TrainConfig(batch=8, recipe=recipe), cuda)
    if not records:
        run.recorder.graphs = None
    run.steps(20)
    with warnings.catch_warnings():  # one that says that it does not find all waiting
        warnings.simplefilter("ignore")
        torch.cuda.set_sync_debug_mode("error")
        try:
            told = run.steps(10)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert bool(told.isfinite().all())


def test_a_whole_run_records_its_steps(cuda: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig(kimg=0.256, batch=8, recipe=RECIPES["style"], snapshot=0.128)
    state, heard, recorded = TrainState.fresh(STYLE, config, cuda), list[Step](), list[int]()
    record = CudaGraphs.record

    def watched(self: CudaGraphs, *args: Any) -> Any:
        recorded.append(1)
        return record(self, *args)

    monkeypatch.setattr(CudaGraphs, "record", watched)
    train_loop(
        state,
        batches(),
        config,
        "bf16",
        on_step=heard.append,
        on_snapshot=lambda state: None,
        go_back=lambda: None,
        should_stop=lambda: False,
        on_message=pytest.fail,
    )
    assert len(recorded) == 1 and heard[-1].images == 256  # R1 is due only twice
    assert bool(state.is_finite())


def test_a_run_trains_with_compiled_networks(cuda: torch.device) -> None:
    """Real compilers; elsewhere a stand-in takes their place (test_compiling)."""
    config = TrainConfig(batch=8, recipe=replace(AUGMENTED, r1_interval=4))
    plain, compiled = Run(STYLE, config, cuda), Run(STYLE, config, cuda)
    (part,) = passes(compiled.state, compiled.batches, config, World())
    engine = compile_networks(compiled.state, part, compiled.recorder.engine, compiled.said.append)
    compiled.recorder = Recorder.start(engine, compiled.said.append)
    with warnings.catch_warnings():  # the compiler's own
        warnings.simplefilter("ignore")
        told, told_plainly = compiled.steps(12), plain.steps(12)
    assert len(engine.compiled) == 2 and len(compiled.said) == 1  # that it takes a while
    torch.testing.assert_close(told, told_plainly, rtol=2e-2, atol=2e-2)
