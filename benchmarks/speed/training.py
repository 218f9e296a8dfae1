"""A training step: this program's, the same in plain PyTorch, the paper's in Keras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neuralid.faces.config import CropConfig
from neuralid.models.architecture import architecture
from neuralid.models.config import ModelConfig
from neuralid.models.recipe import RECIPES, Recipe
from neuralid.training.config import TrainConfig
from neuralid.training.distributed.world import World
from neuralid.training.runs.plan import Plan
from neuralid.training.session.choice import choose, use_forms
from neuralid.training.state import TrainState
from neuralid.training.step import Engine, Pass, train_step

from . import agreement
from .keras_peer import Keras
from .limits import OPERATIONS, limits, operations_of, precisions
from .plain import plain_discriminator, plain_generator
from .profiling import profile
from .timing import Effort, Report, Way, Work, compare

CPU = torch.device("cpu")
CASES = ((ModelConfig(56), 64), (ModelConfig(112, architecture="style"), 16))
FEW = 16  # faces in the comparison of gradients


class PlainTraining:
    """A step as one would write it: the recipe's losses and Adam, without average or changes."""

    def __init__(self, state: TrainState, recipe: Recipe) -> None:
        self.recipe = recipe
        self.generator = plain_generator(state.generator, recipe.dropout_g)
        self.discriminator = plain_discriminator(state.discriminator, recipe.dropout_d)
        betas = recipe.beta1, recipe.beta2
        rate_g, rate_d = recipe.rates
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), rate_g, betas)
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), rate_d, betas)

    def step(self, real: Tensor, noise: Tensor, penalised: bool = False) -> None:
        """One step on faces ``(N, 3, S, S)`` and noise ``(N, Z)``."""
        fake = self.generator(noise)
        self.discriminator.requires_grad_(True)
        self.optimizer_d.zero_grad()
        self._loss_d(real.detach().requires_grad_(penalised), fake.detach()).backward()
        self.optimizer_d.step()
        self.discriminator.requires_grad_(False)
        self.optimizer_g.zero_grad()
        F.softplus(-self.discriminator(fake)).mean().backward()
        self.optimizer_g.step()

    def _loss_d(self, real: Tensor, fake: Tensor) -> Tensor:
        on_real, on_fake = self.discriminator(torch.cat([real, fake])).chunk(2)
        labels = torch.full_like(on_real, self.recipe.real_label)
        loss = F.binary_cross_entropy_with_logits(on_real, labels) + F.softplus(on_fake).mean()
        if real.requires_grad:
            (gradient,) = torch.autograd.grad(on_real.sum(), real, create_graph=True)
            penalty = gradient.square().flatten(1).sum(1).mean() / 2
            loss = loss + self.recipe.r1 * self.recipe.r1_interval * penalty
        return loss

    def gradients(self) -> list[Tensor]:
        return gradients_of(self.generator, self.discriminator)


def gradients_of(*networks: nn.Module) -> list[Tensor]:
    return [p.grad for network in networks for p in network.parameters() if p.grad is not None]


def measure(effort: Effort) -> Report:
    report = Report()
    for model, batch in CASES:
        check_gradients(report, model)
        _time_steps(report, model, batch, effort)
    return report


def check_gradients(report: Report, model: ModelConfig) -> None:
    """Gradients of a step, of this program's forms and of the plain ones; see `agreement`."""
    model, recipe = replace(model, slope=1.0), _recipe(model)
    still = replace(recipe, learning_rate_g=0, learning_rate_d=0, dropout_g=0, dropout_d=0)
    real, noise = _inputs(model, FEW)
    found = {}
    for precision in precisions():
        state, step = ours(model, FEW, precision, still, real, noise)
        plain = PlainTraining(state, still)
        step(1)
        found[precision] = gradients_of(state.generator, state.discriminator)
    # In float64: a whole step of the plain layers in float32 is itself 2e-5 off.
    for network in (plain.generator, plain.discriminator):
        network.double()
    plain.step(real.double(), noise.double())
    agreement.check(report, f"training step, {_name(model)}", plain.gradients(), dict(found))


def ours(
    model: ModelConfig, batch: int, precision: str, recipe: Recipe, real: Tensor, noise: Tensor
) -> tuple[TrainState, Callable[[int], Tensor]]:
    """A run as `train` sets it up, and its step; R1 is due in step 0 and not in step 1."""
    config = TrainConfig(batch=batch, recipe=recipe, precision=precision)
    plan = Plan(Path(), model, CropConfig(), config, "benchmark")
    state = TrainState.fresh(model, config, CPU)
    use_forms(state, choose(plan, None, CPU, lambda message: None))
    engine = Engine.start(state, config, precision, World())

    def step(number: int) -> Tensor:
        state.step = number
        return train_step(state, [Pass(real, noise, seed=0)], engine)

    return state, step


def _time_steps(report: Report, model: ModelConfig, batch: int, effort: Effort) -> None:
    recipe, (real, noise) = _recipe(model), _inputs(model, batch)
    runs = {p: ours(model, batch, p, recipe, real, noise) for p in precisions()}
    plain = PlainTraining(next(iter(runs.values()))[0], recipe)
    work = Work(
        f"training step, {_name(model)}, batch {batch}",
        "faces",
        batch,
        _operations(plain, real, noise),
    )
    steps = {f"neuralid, {p}": (lambda run=run: run(1), p) for p, (_, run) in runs.items()}
    ways = [Way(name, run, ours=True, precision=p) for name, (run, p) in steps.items()]
    ways.append(Way("plain PyTorch, fp32", lambda: plain.step(real, noise), precision="fp32"))
    with Keras.start(effort, model) as keras:
        if keras is not None:
            keras.ask("check", batch)
            ways.append(Way("Keras, fp32", lambda: keras.ask("train", batch), precision="fp32"))
            report.notes |= keras.versions
        compare(report, work, ways, effort, limits(), OPERATIONS)
    profile(report, work.name, [way for way in ways if way.ours])
    if recipe.r1:
        _time_penalty(report, model, batch, effort, runs, plain)
    report.notes[f"chosen for {_name(model)}"] = _chosen(model, batch, recipe)


def _time_penalty(
    report: Report,
    model: ModelConfig,
    batch: int,
    effort: Effort,
    runs: dict[str, tuple[TrainState, Callable[[int], Tensor]]],
    plain: PlainTraining,
) -> None:
    """Steps with R1's penalty, of which there is one in `Recipe.r1_interval`."""
    real, noise = _inputs(model, batch)
    work = Work(f"with R1's penalty, {_name(model)}, batch {batch}", "faces", batch)
    ways = [
        Way(f"neuralid, {p}", lambda run=run: run(0), ours=True)  # type: ignore[misc]
        for p, (_, run) in runs.items()
    ]
    ways.append(Way("plain PyTorch, fp32", lambda: plain.step(real, noise, penalised=True)))
    compare(report, work, ways, replace(effort, seconds=effort.seconds / 3))


def _chosen(model: ModelConfig, batch: int, recipe: Recipe) -> str:
    """The precision that ``--precision auto`` takes here."""
    config = TrainConfig(batch=batch, recipe=recipe)
    plan = Plan(Path(), model, CropConfig(), config, "benchmark")
    return choose(plan, None, CPU, lambda message: None).precision


def _operations(plain: PlainTraining, real: Tensor, noise: Tensor) -> float:
    """Of a step: G forwards and back, D so on both halves, and once more for G's gradient.

    Going back costs twice the way forwards, or once where the weights get no gradient.
    """
    drawing = operations_of(plain.generator, noise)
    judging = operations_of(plain.discriminator, real)
    return 3 * drawing + 2 * 3 * judging + 2 * judging


def _inputs(model: ModelConfig, batch: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    real = torch.rand(batch, 3, model.size, model.size, generator=rng) - 0.5
    std = architecture(model.architecture).noise_std
    noise = torch.randn(batch, model.latent_size, generator=rng) * std
    return real.contiguous(memory_format=torch.channels_last), noise


def _recipe(model: ModelConfig) -> Recipe:
    return RECIPES[architecture(model.architecture).recipe]


def _name(model: ModelConfig) -> str:
    return f"{model.architecture} {model.size}"
