"""Training the style-based networks: a step against a plain one, augmentation, whole runs."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import fails, run
from test_resume import assert_same, last_state, train
from test_training import places_in
from torch import Tensor
from torch.nn import functional as F

import neuralid
from neuralid import weights
from neuralid.core.errors import ConfigError
from neuralid.latents.latent import draw_noise_batch
from neuralid.models.config import ModelConfig
from neuralid.models.encoder import LayerEncoder
from neuralid.models.recipe import RECIPES, Recipe
from neuralid.models.share import Share
from neuralid.training.augment import Augmentation, diff_augment
from neuralid.training.batches import Batches
from neuralid.training.config import TrainConfig
from neuralid.training.distributed.world import World
from neuralid.training.state import TrainState
from neuralid.training.step import Engine, passes, train_step

MODEL = ModelConfig(28, 16, architecture="style")
STYLE = RECIPES["style"]
CPU = torch.device("cpu")
IMAGES = np.random.default_rng(0).integers(0, 256, (24, 28, 28, 3), np.uint8)


def batches() -> Batches:
    return Batches(IMAGES, np.arange(24), 0, mirror=True)


def step(state: TrainState, config: TrainConfig, precision: str = "fp32") -> Tensor:
    batch = list(passes(state, batches(), config, World()))
    told = train_step(state, batch, Engine.start(state, config, precision, World()))
    state.step += 1
    state.images += config.batch
    return told


def gradients(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Of the last step: with a beta1 of 0 they are Adam's first moments."""
    return [values["exp_avg"] for values in optimizer.state.values()]


def adam(before: Tensor, values: dict[str, Any], v: Tensor, rate: float, beta2: float) -> Tensor:
    """Where Adam's first formula (Kingma 2015) takes a parameter, with a beta1 of 0."""
    gradient, t = values["exp_avg"], int(values["step"])
    v = beta2 * v + (1 - beta2) * gradient**2
    return before - rate * gradient / ((v / (1 - beta2**t)).sqrt() + 1e-8)


def test_a_step_is_the_plain_one_with_r1_every_16th() -> None:
    """On pixels in [-1, 1], where R1 weighs 0.2; augmentation has a probability of 0 as yet."""
    config = TrainConfig(batch=8, recipe=STYLE)
    state = TrainState.fresh(MODEL, config, CPU)
    k = 16 / 17
    for number in (0, 1):
        state.step = 16 * number  # R1 is due, both times
        if number:
            state.step += 3  # not now
        before, noise = copy.deepcopy(state), draw_noise_batch(8, MODEL, 0, state.step)
        g, d = before.generator, before.discriminator
        real, shown = 2 * batches().after(state.images, 8), state.images + 8
        told = step(state, config)
        d.requires_grad_(True)

        # The discriminator.
        real.requires_grad_(True)
        fake = 2 * g(noise)
        on_real, on_fake = d(real / 2), d(fake.detach() / 2)
        loss_d = (1 + (-on_real).exp()).log().mean() + (1 + on_fake.exp()).log().mean()
        penalty = torch.zeros(())
        if number == 0:
            (slope,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
            penalty = 0.2 / 2 * slope.square().sum((1, 2, 3)).mean() * 16
        own = torch.autograd.grad(loss_d + penalty, [*d.parameters()])
        assert_close(gradients(state.optimizer_d), own)
        check_update(before, state, "discriminator", 0.0025 * k, 0.99**k)

        # The generator, against the discriminator as it is now.
        loss_g = (1 + (-state.discriminator(fake / 2)).exp()).log().mean()
        assert_close(gradients(state.optimizer_g), torch.autograd.grad(loss_g, [*g.parameters()]))
        check_update(before, state, "generator", 0.0025, 0.99)
        plain = [loss_d, loss_g, on_real.sigmoid().mean(), on_fake.sigmoid().mean()]
        torch.testing.assert_close(told, torch.stack(plain).detach(), rtol=1e-4, atol=1e-5)

        # The mean of w, and the average: a half-life of 10 kimg, or a twentieth of those shown.
        w = g.latents(noise)[:, 0].detach()
        mean = before.generator.get_buffer("w_mean")
        expected = mean + 0.005 * (w.mean(0) - mean)
        torch.testing.assert_close(state.generator.get_buffer("w_mean"), expected)
        stays = 0.5 ** (8 / (shown / 20))
        for name, value in state.average.state_dict().items():
            old, new = before.average.state_dict()[name], state.generator.state_dict()[name]
            torch.testing.assert_close(value, stays * old + (1 - stays) * new)


def assert_close(found: list[Tensor], expected: tuple[Tensor, ...]) -> None:
    for a, b in zip(found, expected, strict=True):
        assert float((a - b).norm()) <= 1e-4 * float(b.norm()) + 1e-7


def check_update(before: TrainState, after: TrainState, which: str, rate: float, b2: float) -> None:
    optimizers = {"generator": "optimizer_g", "discriminator": "optimizer_d"}
    then, now = (getattr(state, optimizers[which]).state for state in (before, after))
    networks = (getattr(state, which).parameters() for state in (before, after))
    for old, new in zip(*networks, strict=True):
        v = then[old]["exp_avg_sq"] if old in then else torch.zeros_like(old)
        moved = adam(old.detach(), now[new], v, rate, b2)
        torch.testing.assert_close(new.detach(), moved, rtol=1e-5, atol=1e-6)


def test_the_average_takes_longer_as_more_is_shown() -> None:
    state = TrainState.fresh(MODEL, TrainConfig(recipe=STYLE), CPU)
    state.images = 1_000_000
    assert state.average_decay(STYLE, 64) == pytest.approx(0.5 ** (64 / 10_000))
    state.images = 100_000 - 64
    assert state.average_decay(STYLE, 64) == pytest.approx(0.5 ** (64 / 5_000))
    with pytest.raises(ConfigError, match="`ema` and `ema_half_life` exclude each other"):
        Recipe("both", ema=0.999, ema_half_life=10)


def test_rates_are_corrected_only_where_r1_is_lazy() -> None:
    assert STYLE.rates == pytest.approx((0.0025, 0.0025 * 16 / 17))
    assert replace(STYLE, r1=0.0).rates == replace(STYLE, lazy_rates=False).rates
    assert RECIPES["stable"].rates == (2e-4, 4e-4)


def test_halved_rates_are_halves_of_the_corrected_ones() -> None:
    state = TrainState.fresh(MODEL, TrainConfig(recipe=STYLE), CPU)
    state.lower_rates(2, STYLE)
    rates = [o.param_groups[0]["lr"] for o in (state.optimizer_g, state.optimizer_d)]
    assert rates == [0.0025 / 4, pytest.approx(0.0025 * 16 / 17 / 4)]


@pytest.mark.parametrize("micro_batch", [4, 8])
def test_a_batch_in_parts_gives_the_gradients_of_the_whole(micro_batch: int) -> None:
    recipe = replace(STYLE, learning_rate_d=0.0)
    config = TrainConfig(batch=16, recipe=recipe)
    whole, parts = (TrainState.fresh(MODEL, config, CPU) for _ in "ab")
    told = step(whole, config), step(parts, replace(config, micro_batch=micro_batch))
    torch.testing.assert_close(*told, rtol=1e-5, atol=1e-5)
    for name in ("optimizer_g", "optimizer_d"):
        expected = gradients(getattr(whole, name))
        assert_close(gradients(getattr(parts, name)), tuple(expected))
    means = [state.generator.get_buffer("w_mean") for state in (whole, parts)]
    torch.testing.assert_close(*means)
    assert parts.augmentation.sign.equal(whole.augmentation.sign)


def test_a_step_in_bfloat16_is_nearly_one_in_float32() -> None:
    config = TrainConfig(batch=8, recipe=STYLE)
    exact, rough = (TrainState.fresh(MODEL, config, CPU) for _ in "ab")
    told = step(exact, config), step(rough, config, "bf16")
    torch.testing.assert_close(*told, rtol=0.05, atol=0.05)
    assert rough.is_finite()


def seeded(seed: int = 0) -> Share:
    return Share(rng=torch.Generator().manual_seed(seed))


def faces(n: int = 64) -> Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(1)) - 0.5


def test_brightness_moves_all_pixels_of_a_face_alike() -> None:
    moved = diff_augment(faces(), "brightness", seeded()) - faces()
    each = moved.mean((1, 2, 3))
    assert float((moved - each.view(-1, 1, 1, 1)).abs().max()) < 1e-6
    assert -0.2 <= float(each.min()) < -0.15 and 0.15 < float(each.max()) <= 0.2


def test_contrast_keeps_the_mean_and_saturation_the_grey() -> None:
    x = faces()
    found = diff_augment(x, "contrast", seeded())
    torch.testing.assert_close(found.mean((1, 2, 3)), x.mean((1, 2, 3)))
    scale = (found.std((1, 2, 3)) / x.std((1, 2, 3))).log()
    assert -0.501 < float(scale.min()) < -0.4 and 0.4 < float(scale.max()) < 0.501
    found = diff_augment(x, "saturation", seeded())
    torch.testing.assert_close(found.mean(1), x.mean(1))
    colour = [(y - y.mean(1, keepdim=True)).square().mean((1, 2, 3)).sqrt() for y in (found, x)]
    assert 0.19 < float((colour[0] / colour[1]).min()) < 0.4
    assert 1.6 < float((colour[0] / colour[1]).max()) < 1.801


def test_shifts_are_up_to_an_eighth_with_mirrored_edges() -> None:
    x, found = faces(), diff_augment(faces(), "shift", seeded())
    seen = places_in(F.pad(x, (2, 2, 2, 2), mode="reflect"), found)
    assert {down for down, _ in seen} == {right for _, right in seen} == set(range(5))


def test_a_face_is_changed_with_the_probability() -> None:
    x = faces(2000)
    for p in (0.0, 0.3, 1.0):
        found = diff_augment(x, "brightness", seeded(), torch.tensor(p))
        changed = (found != x).flatten(1).any(1)
        assert float(changed.float().mean()) == pytest.approx(p, abs=0.04 if 0 < p < 1 else 0.001)
    every = diff_augment(x, "brightness", seeded())
    assert diff_augment(x, "brightness", seeded(), torch.tensor(1.0)).equal(every)


def test_each_process_changes_its_own_rows_as_one_process_would() -> None:
    policy = "brightness,contrast,saturation,shift"
    whole = diff_augment(faces(8), policy, seeded(), torch.tensor(0.5))
    for rank in range(2):
        share = Share(rank, 2, rng=torch.Generator().manual_seed(0))
        own = diff_augment(faces(8)[4 * rank : 4 * rank + 4], policy, share, torch.tensor(0.5))
        torch.testing.assert_close(own, whole[4 * rank : 4 * rank + 4])


def test_the_probability_follows_the_sign_within_its_bounds() -> None:
    augment = Augmentation(STYLE, CPU)
    sure, unsure = torch.tensor(1.0), torch.tensor(-1.0)
    sign, p = 0.0, 0.0
    for _ in range(40):
        augment.adapt(sure, 5000)
        sign += 0.05 * (1 - sign)
        p += 0.01 if sign > 0.6 else 0
        assert float(augment.sign) == pytest.approx(sign, abs=1e-5)
    assert 0.1 < p < 0.4 and float(augment.probability) == pytest.approx(p, abs=1e-5)
    for _ in range(100):
        augment.adapt(sure, 5000)
    assert float(augment.probability) == pytest.approx(0.4)
    for _ in range(100):
        augment.adapt(unsure, 5000)
    assert float(augment.probability) == 0


def test_a_fixed_probability_stays() -> None:
    augment = Augmentation(replace(STYLE, augment_target=0.0), CPU)
    assert not augment.adapts and float(augment.probability) == pytest.approx(0.4)
    state = TrainState.fresh(MODEL, TrainConfig(recipe=RECIPES["stable"]), CPU)
    assert not state.augmentation.adapts and float(state.augmentation.probability) == 1


def test_a_checkpoint_from_before_augmentation_adapted_is_read() -> None:
    state = TrainState.fresh(ModelConfig(28, 4), TrainConfig(), CPU)
    values = state.pack()
    del values["augmentation"]
    state.unpack(values)


@pytest.fixture
def adapting(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """The recipe, its probability of augmentation rising while the discriminator is unsure."""
    monkeypatch.setattr("neuralid.training.augment.ADAPTED", -100)
    return STYLE


def test_a_run_goes_on_bit_for_bit(face_folder: Path, tmp_path: Path, adapting: Recipe) -> None:
    options: dict[str, Any] = {"architecture": "style", "recipe": adapting, "snapshot": 0.016}
    whole = train(face_folder, tmp_path / "whole", kimg=0.048, **options)
    train(face_folder, tmp_path, kimg=0.016, **options)
    resumed = neuralid.train(out=tmp_path, resume="latest", kimg=0.048)
    one, two = last_state(whole), last_state(resumed)
    assert float(one["augmentation"]["probability"]) > 0
    assert_same(one, two)


def test_a_run_leaves_weights_and_tells_of_augmentation(
    face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuralid.training.session.session.TICK", 16)
    words = "--architecture style --size 28 --latent-size 16 --batch 8 --kimg 0.032 --name s"
    done = run("train", "--data", face_folder, "--out", tmp_path, *words.split())
    assert done.exit_code == 0, done.stderr
    path = Path(done.stdout.strip())
    loaded = weights.load_weights(path)
    assert loaded.metric is None
    assert isinstance(loaded.encoder, LayerEncoder) and loaded.perceptual is not None
    assert loaded.description.recipe == "style" and loaded.description.model == MODEL
    assert float(loaded.generator.get_buffer("w_mean").abs().max()) > 0
    (folder,) = tmp_path.glob("*-s")
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    ticks = [line for line in lines if "loss_d" in line]
    assert len(ticks) == 2 and all({"augment_p", "real_sign"} <= line.keys() for line in ticks)
    assert -1 <= ticks[-1]["real_sign"] <= 1 and ticks[-1]["real_sign"] != 0
    assert '"real_sign": [' in (folder / "report.html").read_text()
    drawn = neuralid.sample(seeds=[1], model=path)
    assert drawn.latents.shape == (1, 6, 16) and drawn.trunc == 0.7


def test_a_run_that_diverges_goes_back_with_its_augmentation(
    face_folder: Path, tmp_path: Path, adapting: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken: list[int] = []

    def poisoned(state: TrainState, *rest: Any) -> Tensor:
        values = train_step(state, *rest)
        if state.images == 24 and not broken:
            broken.append(state.images)
            state.augmentation.probability.fill_(float("nan"))
            return values * float("nan")
        return values

    monkeypatch.setattr("neuralid.training.recording.train_step", poisoned)
    options: dict[str, Any] = {"architecture": "style", "recipe": adapting, "snapshot": 0.016}
    result = train(face_folder, tmp_path, kimg=0.04, **options)
    state = last_state(result)
    assert broken and state["rollbacks"] == 1
    assert 0 <= float(state["augmentation"]["probability"]) <= 0.4
    assert state["optimizer_g"]["param_groups"][0]["lr"] == 0.00125


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"recipe": "paper"}, "`recipe` paper has dropout, and the architecture style has none"),
        ({"batch": 6}, "`batch` 6 gives each process 6 pictures, which are not groups of 4"),
        ({"size": 64}, "`size` 64 is not one of 28, 56, 112, 224"),
    ],
)
def test_what_it_does_not_have_is_refused_before_any_work(
    options: dict[str, Any], told: str, face_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=told):
        train(face_folder, tmp_path / "runs", architecture="style", **options)
    assert not (tmp_path / "runs").exists()


def test_flags_are_named_in_refusals(face_folder: Path) -> None:
    words = ["--architecture", "style", "--size", "28", "--recipe", "paper"]
    fails(run("train", "--data", face_folder, *words), 2, "--recipe paper has dropout")
