"""Drawing 64 faces: as `sample` does it, in plain PyTorch, in Keras."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from neuralid import weights
from neuralid.latents.latent import draw_noise
from neuralid.models.building import build_drawer
from neuralid.models.config import ModelConfig
from neuralid.models.drawing import draw_faces, map_noise
from neuralid.models.network import GeneratorNetwork

from .keras_peer import Keras
from .limits import OPERATIONS, limits, operations_of
from .plain import plain_generator
from .profiling import profile
from .timing import Effort, Report, Way, Work, compare

COUNT = 64
CLOSE = 1e-4  # faces of both forms, in units of black to white


def measure(effort: Effort) -> Report:
    report = Report()
    for name in ("faces-56", "faces-112"):
        loaded = weights.load_weights(name)
        model = loaded.description.model
        _time_drawing(report, f"drawing {COUNT} faces, {name}", loaded.generator, model, effort)
    return report


def _time_drawing(
    report: Report, name: str, generator: GeneratorNetwork, model: ModelConfig, effort: Effort
) -> None:
    drawer, plain = build_drawer(generator), plain_generator(generator).eval()
    noise = draw_noise(range(COUNT), model)
    latents = map_noise(drawer, noise)
    check_faces(draw_faces(drawer, latents), _plainly(plain, noise))
    work = Work(name, "faces", COUNT, operations_of(plain, noise))
    own = Way(
        "neuralid, fp32",
        lambda: draw_faces(drawer, map_noise(drawer, noise)),
        ours=True,
        precision="fp32",
    )
    ways = [own, Way("plain PyTorch, fp32", lambda: _plainly(plain, noise), precision="fp32")]
    with Keras.start(effort, model) as keras:
        if keras is not None:
            ways.append(Way("Keras, fp32", lambda: keras.ask("draw", COUNT), precision="fp32"))
            report.notes |= keras.versions
        compare(report, work, ways, effort, limits(), OPERATIONS)
    profile(report, name, [own])


def check_faces(faces: Tensor, plain: Tensor) -> None:
    """Raises `ValueError` unless both are the same faces."""
    apart = float((faces - plain.clamp(-0.5, 0.5)).abs().max())
    if not apart <= CLOSE:
        raise ValueError(f"the plain network draws other faces: {apart:.1e} apart")


@torch.no_grad()
def _plainly(plain: nn.Module, noise: Tensor) -> Tensor:
    faces: Tensor = plain(noise)
    return faces
