"""Searching for latents: a loss and gradient for 16 photos, and a whole search."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from neuralid import weights
from neuralid.core.device import autocast, pick_precision
from neuralid.latents.distance import Distance
from neuralid.latents.inversion import invert
from neuralid.latents.latent import draw_noise
from neuralid.models.architecture import architecture
from neuralid.models.building import build_drawer
from neuralid.models.drawing import Drawer, draw_faces, map_noise, search_trial
from neuralid.models.network import GeneratorNetwork, PerceptualNetwork
from neuralid.models.preparing import prepare

from .. import paper_inversion
from . import agreement
from .keras_peer import Keras
from .limits import OPERATIONS, limits, operations_of, precisions
from .plain import plain_features, plain_generator
from .profiling import profile
from .timing import Effort, Report, Way, Work, compare

COUNT = 16
CPU = torch.device("cpu")
Draw = Callable[[Tensor], Tensor]


def measure(effort: Effort) -> Report:
    report = Report()
    for name in ("faces-56", "faces-112"):
        _gradients(report, name, effort)
    _whole_search(report, effort)
    return report


def loss_and_gradient(
    draw: Draw, eyes: nn.Module | None, source: weights.Weights, targets: Tensor, precision: str
) -> Callable[[Tensor], Tensor]:
    """What a search computes again and again: latents ``(N, *L)`` -> their gradient.

    The paper's objective is the squared difference of pixels; architectures that search by layer
    have their own, `Distance`.
    """
    recipe = architecture(source.description.model.architecture).inverting
    distance = Distance(targets, recipe, eyes, precision=precision)  # type: ignore[arg-type]

    def compute(latents: Tensor) -> Tensor:
        latents = latents.detach().requires_grad_(True)
        with autocast(CPU, precision):
            drawn = draw(latents).float()
        (gradient,) = torch.autograd.grad(distance(drawn).sum(), latents)
        return gradient

    return compute


def _gradients(report: Report, name: str, effort: Effort) -> None:
    loaded = weights.load_weights(name)
    model, work_name = loaded.description.model, f"loss and gradient, {name}, {COUNT} photos"
    plain = without_kinks(loaded)
    targets, latents = _case(loaded)
    check_gradients(report, work_name, plain, targets, latents)
    plain_way = _plain(loaded, targets)
    work = Work(work_name, "photos", COUNT, _operations(loaded, latents, targets))
    ways = [
        Way(f"neuralid, {p}", lambda run=run: run(latents), ours=True, precision=p)  # type: ignore[misc]
        for p, run in _ours(loaded, targets).items()
    ]
    ways.append(Way("plain PyTorch, fp32", lambda: plain_way(latents), precision="fp32"))
    with Keras.start(effort, model) as keras:
        if keras is not None:
            ways.append(Way("Keras, fp32", lambda: keras.ask("gradient", COUNT), precision="fp32"))
            report.notes |= keras.versions
        compare(report, work, ways, effort, limits(), OPERATIONS)
    profile(report, work.name, [way for way in ways if way.ours])


def check_gradients(
    report: Report, name: str, source: weights.Weights, targets: Tensor, latents: Tensor
) -> None:
    """The gradients of this program's forms and of the plain one; see `agreement`."""
    found = {p: [run(latents)] for p, run in _ours(source, targets).items()}
    agreement.check(report, name, [_plain(source, targets)(latents)], dict(found))


def without_kinks(source: weights.Weights) -> weights.Weights:
    """The same weights in networks whose leaky ReLUs pass everything."""
    generator, eyes = copy.deepcopy((source.generator, source.perceptual))
    for network in filter(None, (generator, eyes)):
        for part in network.modules():
            if "slope" in vars(part):
                vars(part)["slope"] = 1.0
    generator.config = replace(generator.config, slope=1.0)
    described = replace(source.description, model=generator.config)
    return replace(source, generator=generator, perceptual=eyes, description=described)


def _case(source: weights.Weights) -> tuple[Tensor, Tensor]:
    """Targets ``(16, 3, S, S)`` that the weights draw, and other latents to start from."""
    drawer, model = build_drawer(source.generator), source.description.model
    wanted, start = (draw_noise(range(i, i + COUNT), model) for i in (0, COUNT))
    faces = draw_faces(drawer, map_noise(drawer, wanted))
    return faces.contiguous(memory_format=torch.channels_last), map_noise(drawer, start)


def _ours(source: weights.Weights, targets: Tensor) -> dict[str, Callable[[Tensor], Tensor]]:
    drawer: Drawer = build_drawer(source.generator)

    def way(p: str) -> Callable[[Tensor], Tensor]:
        eyes = source.perceptual and prepare(source.perceptual.ready(), p)
        return loss_and_gradient(prepare(drawer, p, to_search=True), eyes, source, targets, p)

    return {p: way(p) for p in precisions()}


def _plain(source: weights.Weights, targets: Tensor) -> Callable[[Tensor], Tensor]:
    eyes = _plain_eyes(source.perceptual, source.description.model.slope)
    return loss_and_gradient(_plain_draw(source.generator), eyes, source, targets, "fp32")


def _plain_draw(generator: GeneratorNetwork) -> Draw:
    """A plain generator in evaluation mode, from latents to faces."""
    network: Any = plain_generator(generator).eval().requires_grad_(False)
    return getattr(network, "from_latents", network)


def _plain_eyes(perceptual: PerceptualNetwork | None, slope: float) -> nn.Module | None:
    if perceptual is None:
        return None
    return plain_features(perceptual, slope).requires_grad_(False)


def _operations(source: weights.Weights, latents: Tensor, targets: Tensor) -> float:
    """Forwards and back to the latents, which costs as much again: weights get no gradient."""
    passed = operations_of(_plain_draw(source.generator), latents)
    eyes = _plain_eyes(source.perceptual, source.description.model.slope)
    return 2 * (passed + (0 if eyes is None else operations_of(eyes, targets)))


def _whole_search(report: Report, effort: Effort) -> None:
    """The default fidelity for 16 photos at once, and the paper's procedure for one."""
    loaded = weights.load_weights("faces-56")
    targets, starts = _case(loaded)
    draw = _plain_draw(loaded.generator)
    assert isinstance(draw, nn.Module)
    precision = pick_precision("auto", CPU, search_trial(build_drawer(loaded.generator)))
    report.notes["chosen for the search"] = precision
    found: dict[str, float] = {}

    def ours() -> None:
        drawer = build_drawer(loaded.generator)
        result = invert(
            drawer,
            targets,
            coordinates=loaded.coordinates,
            encoder=loaded.encoder,
            precision=precision,
        )
        found["ours"] = float(result.psnr.mean())

    def paper() -> None:
        function = paper_inversion.alone(draw, targets[:1])
        z = paper_inversion.gan_reverse(function, starts[0].double().numpy())
        loss, _ = function(z)
        found["paper"] = -10 * float(torch.tensor(loss / targets[0].numel()).log10())

    work = Work("a whole search, faces-56", "photos", 1)
    ways = [
        Way(f"neuralid, {precision}, {COUNT} photos at once", ours, ours=True, part=COUNT),
        Way("the paper's procedure, SciPy and plain PyTorch", paper),
    ]
    compare(report, work, ways, replace(effort, seconds=effort.seconds / 2))
    report.notes["PSNR, dB"] = f"{found['ours']:.1f} against {found['paper']:.1f}"
