"""One training step of each architecture, against the formulas of the papers written out here.

Nothing below uses the program's layers or losses. What is drawn at random in a step, dropout's
bytes and augmentation's dice, is taken down as the program draws it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neuralid.models import dropout as dropouts
from neuralid.models.config import ModelConfig
from neuralid.models.recipe import RECIPES, Recipe
from neuralid.models.share import Share
from neuralid.training import augment
from neuralid.training.batches import Batches
from neuralid.training.config import TrainConfig
from neuralid.training.distributed.world import World
from neuralid.training.state import TrainState
from neuralid.training.step import USES, Engine, passes, train_step

BATCH = 8
# Of leaky ReLUs. At 0.2, an input that rounding puts on the other side of zero, on some processors,
# moves all gradients before it by up to a percent.
SLOPE = 0.9
IMAGES = np.random.default_rng(0).integers(0, 256, (24, 28, 28, 3), np.uint8)
Tensors = dict[str, Tensor]


# --- The paper's networks (section 3.2), at 28 pixels ---------------------------------------------


def dcgan_generator(p: Tensors, z: Tensor, bytes_: Iterator[Tensor]) -> Tensor:
    x = lrelu(norm(p, "dense_norm", z @ p["dense.weight"].T + p["dense.bias"]))
    x = dropout(x.view(-1, 14, 14, 256).permute(0, 3, 1, 2), next(bytes_))
    x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    x = F.conv_transpose2d(x, p["ups.0.weight"], p["ups.0.bias"], padding=2)
    x = lrelu(norm(p, "norms.0", x))
    x = F.conv_transpose2d(x, p["conv.weight"], p["conv.bias"], padding=2)
    x = lrelu(norm(p, "conv_norm", x))
    return F.conv_transpose2d(x, p["to_rgb.weight"], p["to_rgb.bias"], padding=2).sigmoid() - 0.5


def dcgan_discriminator(p: Tensors, x: Tensor, bytes_: Iterator[Tensor]) -> Tensor:
    for name, stride in (("convs.0", 2), ("convs.1", 2), ("wide", 1)):
        x = F.conv2d(x, p[f"{name}.weight"], p[f"{name}.bias"], stride=stride, padding=2)
        x = dropout(lrelu(x), next(bytes_))
    rows = x.permute(0, 2, 3, 1).reshape(len(x), -1)  # as Keras flattens
    return (rows @ p["dense.weight"].T + p["dense.bias"])[:, 0]


def lrelu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, SLOPE * x)


def norm(p: Tensors, name: str, x: Tensor) -> Tensor:
    """Batch norm by the batch's own mean and variance, with Keras' epsilon."""
    over = [0, *range(2, x.ndim)]
    mean, variance = x.mean(over, keepdim=True), x.var(over, correction=0, keepdim=True)
    shape = [1, -1, *[1] * (x.ndim - 2)]
    scaled = (x - mean) / (variance + 1e-3).sqrt() * p[f"{name}.weight"].view(shape)
    return scaled + p[f"{name}.bias"].view(shape)


def dropout(x: Tensor, bytes_: Tensor) -> Tensor:
    """A quarter of the values, those with a byte below 64, become 0, and the others larger."""
    n, c, h, w = x.shape
    kept = (bytes_.view(n, h, w, c) >= 64).permute(0, 3, 1, 2)
    return x * kept / 0.75


# --- Karras et al. 2020, as docs/explanation/style.md makes it small; 28 pixels, Z = 16 -----------


def style_generator(p: Tensors, z: Tensor, _: Iterator[Tensor]) -> Tensor:
    w = style_of(p, z)
    x = styled(p, 0, p["constant"].expand(len(z), -1, -1, -1), w)
    faces = colours(p, 1, x, w)
    for first in (2, 5):
        # Doubled bilinearly, with zeros beyond the edge of the small map, then the convolution.
        doubled = F.interpolate(F.pad(x, (2, 2, 2, 2)), scale_factor=2.0, mode="bilinear")
        x = styled(p, first, doubled, w)[:, :, 4:-4, 4:-4]
        x = styled(p, first + 1, x, w)
        larger = F.interpolate(faces, scale_factor=2.0, mode="bilinear")
        faces = larger + colours(p, first + 2, x, w)
    return faces / 2


def style_of(p: Tensors, z: Tensor) -> Tensor:
    x = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for i in range(3):  # layers that learn a hundredth as fast
        weight, bias = p[f"mapping.{i}.weight"], p[f"mapping.{i}.bias"]
        x = lrelu(x @ (0.01 * weight / 4).T + 0.01 * bias) * math.sqrt(2)
    return x


def modulated(p: Tensors, layer: int, w: Tensor) -> Tensor:
    """Equation 1: each face's own kernels, ``(N, K, C, T, T)``."""
    name = f"synthesis.{layer}"
    scale = w @ (p[f"{name}.affine.weight"] / 4).T + p[f"{name}.affine.bias"]
    weight = p[f"{name}.weight"]
    return scale[:, None, :, None, None] * weight / math.sqrt(weight[0].numel())


def styled(p: Tensors, layer: int, x: Tensor, w: Tensor) -> Tensor:
    kernels = modulated(p, layer, w)
    kernels = kernels / (kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()  # equation 3
    y = torch.cat([F.conv2d(a[None], k, padding=1) for a, k in zip(x, kernels, strict=True)])
    return lrelu(y * math.sqrt(2) + p[f"synthesis.{layer}.bias"].view(1, -1, 1, 1))


def colours(p: Tensors, layer: int, x: Tensor, w: Tensor) -> Tensor:
    kernels = modulated(p, layer, w)[..., 0, 0]
    return torch.einsum("nkc,nchw->nkhw", kernels, x) + p[f"synthesis.{layer}.bias"].view(
        1, -1, 1, 1
    )


def style_discriminator(p: Tensors, x: Tensor, _: Iterator[Tensor]) -> Tensor:
    def conv(name: str, x: Tensor, gain: float = math.sqrt(2)) -> Tensor:
        weight = p[f"{name}.weight"]
        scaled = weight * gain / math.sqrt(weight[0].numel())
        return F.conv2d(x, scaled, p.get(f"{name}.bias"), padding=weight.shape[-1] // 2)

    x = lrelu(conv("from_rgb", 2 * x))
    for i in (0, 1):
        y = lrelu(F.avg_pool2d(conv(f"seconds.{i}", lrelu(conv(f"firsts.{i}", x))), 2))
        x = (y + F.avg_pool2d(conv(f"skips.{i}", x, gain=1.0), 2)) / math.sqrt(2)
    spreads = [group.var(0, correction=0).add(1e-8).sqrt().mean() for group in x.split(4)]
    more = torch.stack(spreads).repeat_interleave(4).view(-1, 1, 1, 1).expand(-1, 1, 7, 7)
    x = lrelu(conv("last", torch.cat([x, more], 1))).flatten(1)
    width = math.sqrt(x.shape[1])
    x = lrelu(x @ (p["dense.weight"] / width).T + p["dense.bias"]) * math.sqrt(2)
    return (x @ (p["out.weight"] / 4).T + p["out.bias"])[:, 0]


# --- A step ---------------------------------------------------------------------------------------


@dataclass
class Case:
    """An architecture, its recipe, and what its optimisers and average should do."""

    model: ModelConfig
    recipe: Recipe
    generator: Callable[[Tensors, Tensor, Iterator[Tensor]], Tensor]
    discriminator: Callable[[Tensors, Tensor, Iterator[Tensor]], Tensor]
    spread: float  # of a seed's normal numbers
    rates: tuple[float, float]
    betas: tuple[tuple[float, float], tuple[float, float]]
    stays: Callable[[int, int], float]  # of the average, by the steps and the pictures before it


@dataclass
class Adam:
    """Algorithm 1 of Kingma and Ba 2015."""

    rate: float
    betas: tuple[float, float]
    moments: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    t: int = 0

    def step(self, parameters: Tensors, gradients: Tensors) -> Tensors:
        self.t += 1
        return {name: self._one(name, x, gradients[name]) for name, x in parameters.items()}

    def _one(self, name: str, x: Tensor, gradient: Tensor) -> Tensor:
        b1, b2 = self.betas
        m, v = self.moments.get(name, (0.0, 0.0))
        m, v = b1 * m + (1 - b1) * gradient, b2 * v + (1 - b2) * gradient**2
        self.moments[name] = m, v
        m, v = m / (1 - b1**self.t), v / (1 - b2**self.t)
        return x - self.rate * m / (v.sqrt() + 1e-8)


LAZY = 16 / 17  # Karras 2020, appendix B
CASES = {
    "dcgan": Case(
        ModelConfig(28, 16, slope=SLOPE),
        Recipe(
            "all",
            learning_rate_g=1e-4,
            learning_rate_d=3e-4,
            real_label=0.9,
            r1=20.0,
            augment="dimmed",
            ema=0.999,
        ),
        dcgan_generator,
        dcgan_discriminator,
        spread=0.5,  # the paper's N(0, 0.5^2)
        rates=(1e-4, 3e-4),
        betas=((0.5, 0.999), (0.5, 0.999)),
        stays=lambda steps, images: min(0.999, (1 + steps) / (10 + steps)),
    ),
    "style": Case(
        ModelConfig(28, 16, architecture="style", slope=SLOPE),
        replace(RECIPES["style"], augment="dimmed", augment_p=1.0),
        style_generator,
        style_discriminator,
        spread=1.0,
        rates=(0.0025, 0.0025 * LAZY),
        betas=((0, 0.99), (0, 0.99**LAZY)),
        stays=lambda steps, images: 0.5 ** (BATCH / min(10_000, (images + BATCH) / 20)),
    ),
}
NETWORKS = ("generator", "discriminator")


@pytest.fixture
def bytes_drawn(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Of dropout, in the order they are drawn."""
    found: list[Tensor] = []
    draw = dropouts.random_bytes

    def listen(*given: Any) -> Tensor:
        found.append(draw(*given))
        return found[-1]

    monkeypatch.setattr(dropouts, "random_bytes", listen)
    return found


@pytest.fixture
def dice(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Of a change to faces, called "dimmed", in the order they are thrown."""
    found: list[Tensor] = []

    def dim(x: Tensor, share: Share) -> Tensor:
        found.append(torch.rand(len(x), 1, 1, 1, generator=share.rng))
        return x * found[-1]

    monkeypatch.setitem(augment.POLICIES, "dimmed", dim)
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_step_is_what_the_papers_say(
    name: str, bytes_drawn: list[Tensor], dice: list[Tensor]
) -> None:
    """Two steps. R1 is due every 16th."""
    case = CASES[name]
    config = TrainConfig(batch=BATCH, recipe=case.recipe, seed=0)
    state = TrainState.fresh(case.model, config, torch.device("cpu"))
    state.augmentation.probability.fill_(1.0)
    adams = [Adam(rate, betas) for rate, betas in zip(case.rates, case.betas, strict=True)]
    batches = Batches(IMAGES, np.arange(24), 0, mirror=True)
    for state.step, state.images in ((16, 80), (17, 88)):
        bytes_drawn.clear()
        dice.clear()
        apart = check_step(case, state, config, batches, adams, bytes_drawn, dice)
        assert max(apart) < 2e-3


def check_step(
    case: Case,
    state: TrainState,
    config: TrainConfig,
    batches: Batches,
    adams: list[Adam],
    bytes_drawn: list[Tensor],
    dice: list[Tensor],
) -> tuple[float, float]:
    """Check one step; returns how far the generator's and the discriminator's gradients are off."""
    g, d = (parameters(getattr(state, which)) for which in NETWORKS)
    average, sign = copied(state.average), float(state.augmentation.sign)
    w_mean = copied(state.generator).get("w_mean")
    batch = list(passes(state, batches, config, World()))
    told = train_step(state, batch, Engine.start(state, config, "fp32", World()))
    own, drawn = iter(bytes_drawn), iter(dice)
    z = noise(case, config.seed, state.step)

    # The discriminator: Goodfellow's loss with one-sided labels; R1 (Mescheder 2018, equation 9).
    real = batches.after(state.images, BATCH).requires_grad_(True)
    fake = case.generator(g, z, own)
    seen = torch.cat([real * next(drawn), fake.detach() * next(drawn)])
    on_real, on_fake = case.discriminator(d, seen, own).chunk(2)
    label = case.recipe.real_label
    truths = label * softplus(-on_real) + (1 - label) * softplus(on_real)
    loss_d = truths.mean() + softplus(on_fake).mean()
    penalty = torch.zeros(())
    if state.step == 16:
        (slope,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
        penalty = 16 * case.recipe.r1 / 2 * slope.square().sum((1, 2, 3)).mean()
        assert shares(penalty, loss_d, d) > 0.02  # else a wrong weight would not be seen
    apart_d = check_update(state.discriminator, d, loss_d + penalty, adams[1])

    # The generator, against the discriminator as it is now.
    now = {name: x.detach() for name, x in state.discriminator.named_parameters()}
    loss_g = softplus(-case.discriminator(now, fake * next(drawn), own)).mean()
    apart_g = check_update(state.generator, g, loss_g, adams[0])
    assert next(own, None) is None and next(drawn, None) is None
    assert len({float(each[0]) for each in dice}) == 3  # each time other ones

    plain = [loss_d, loss_g, on_real.sigmoid().mean(), on_fake.sigmoid().mean()]
    torch.testing.assert_close(told, torch.stack(plain).detach(), rtol=1e-4, atol=1e-5)
    check_average(case, state, average)
    if state.augmentation.adapts:
        sign += 0.05 * (float(on_real.detach().sign().mean()) - sign)
        assert float(state.augmentation.sign) == pytest.approx(sign, abs=1e-6)
        assert float(state.augmentation.probability) < 1  # by a step for each of few signs
    if w_mean is not None:
        moved = w_mean + 0.005 * (style_of(g, z).detach().mean(0) - w_mean)
        torch.testing.assert_close(state.generator.get_buffer("w_mean"), moved)
    return apart_g, apart_d


def softplus(x: Tensor) -> Tensor:
    return (1 + x.exp()).log()


def noise(case: Case, seed: int, step: int) -> Tensor:
    """A counter-based generator's numbers, by the run's seed and the step."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, step))))
    return case.spread * torch.from_numpy(rng.standard_normal((BATCH, 16), dtype=np.float32))


def parameters(network: nn.Module) -> Tensors:
    return {name: x.detach().clone().requires_grad_() for name, x in network.named_parameters()}


def copied(network: nn.Module) -> Tensors:
    return {name: x.clone() for name, x in network.state_dict().items()}


def shares(part: Tensor, rest: Tensor, of: Tensors) -> float:
    """The length of a part's gradient, over the rest's."""
    lengths = []
    for loss in (part, rest):
        found = torch.autograd.grad(
            loss, [*of.values()], retain_graph=True, allow_unused=True, materialize_grads=True
        )
        lengths.append(math.hypot(*(float(x.norm()) for x in found)))
    return lengths[0] / lengths[1]


def check_update(network: nn.Module, before: Tensors, loss: Tensor, adam: Adam) -> float:
    """Adam moved the network by its gradients; returns how far these are from the loss's."""
    wanted = torch.autograd.grad(loss, [*before.values()], retain_graph=True)
    found = dict(network.named_parameters())
    gradients = {name: x.grad for name, x in found.items() if x.grad is not None}
    moved = adam.step({name: x.detach() for name, x in before.items()}, gradients)
    for name, x in found.items():
        torch.testing.assert_close(x.detach(), moved[name], rtol=1e-5, atol=1e-6)
    # Before a batch norm a bias has no effect, and its gradient is nothing but rounding.
    least = 1e-3 * max(float(x.norm()) for x in wanted)
    own = [gradients[name] for name in before]
    return max(
        float((a - b).norm() / b.norm().clamp_min(least)) for a, b in zip(own, wanted, strict=True)
    )


def check_average(case: Case, state: TrainState, before: Tensors) -> None:
    stays = case.stays(state.step, state.images)
    for name, value in state.average.state_dict().items():
        new = state.generator.state_dict()[name]
        wanted = stays * before[name] + (1 - stays) * new if new.is_floating_point() else new
        torch.testing.assert_close(value, wanted)


# --- Where random numbers come from ---------------------------------------------------------------


def test_every_pass_of_every_run_draws_from_seeds_of_its_own() -> None:
    """Of each use in each pass of each step; a seed is a sum of odd multiples, to 63 bits."""
    odd = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
    found = set()
    for seed in (0, 1, 7):
        config = TrainConfig(kimg=1, batch=BATCH, micro_batch=4, seed=seed)
        state = TrainState.fresh(ModelConfig(28, 16), config, torch.device("cpu"))
        batches = Batches(IMAGES, np.arange(24), seed, mirror=False)
        for state.step in (0, 1, 5):
            for number, part in enumerate(passes(state, batches, config, World())):
                start = sum(x * y for x, y in zip(odd, (seed, state.step, 4 * number), strict=True))
                for use in USES:
                    wanted = (start + use) % 2**63
                    assert part.rng_seed(use) == wanted == part.rng(use).initial_seed()
                    found.add(wanted)
    assert len(found) == 3 * 3 * 2 * 3
