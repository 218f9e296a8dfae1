"""Drawing 64 faces: as `sample` does it, in both precisions, in plain PyTorch, in Keras."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from neuralid import weights
from neuralid.latents.latent import draw_noise
from neuralid.models.building import build_drawer
from neuralid.models.config import ModelConfig
from neuralid.models.drawing import Drawer, draw_faces, map_noise
from neuralid.models.network import GeneratorNetwork
from neuralid.models.preparing import prepare

from .keras_peer import Keras
from .limits import OPERATIONS, limits, operations_of
from .plain import plain_generator
from .profiling import profile
from .timing import Effort, Report, Way, Work, compare

COUNT = 64
# How far apart faces may be, in units of black to white: at most, and in the mean by precision.
CLOSE = 1e-4
CLOSE_IN_MEAN = 4e-3  # in bfloat16: a level of 255


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
    check_rounding(draw_faces(drawer, latents, "bf16"), draw_faces(drawer, latents))
    work = Work(name, "faces", COUNT, operations_of(plain, noise))
    own = [
        Way(
            f"neuralid, {precision}",
            partial(_draw, prepare(drawer, precision), noise, precision),
            ours=True,
            precision=precision,
        )
        for precision in ("fp32", "bf16")
    ]
    ways = [*own, Way("plain PyTorch, fp32", lambda: _plainly(plain, noise), precision="fp32")]
    with Keras.start(effort, model) as keras:
        if keras is not None:
            ways.append(Way("Keras, fp32", lambda: keras.ask("draw", COUNT), precision="fp32"))
            report.notes |= keras.versions
        compare(report, work, ways, effort, limits(), OPERATIONS)
    profile(report, name, own)


def check_faces(faces: Tensor, plain: Tensor) -> None:
    """Raises `ValueError` unless both are the same faces."""
    apart = float((faces - plain.clamp(-0.5, 0.5)).abs().max())
    if not apart <= CLOSE:
        raise ValueError(f"the plain network draws other faces: {apart:.1e} apart")


def check_rounding(faces: Tensor, exact: Tensor) -> None:
    """Raises `ValueError` unless faces in bfloat16 are those in float32 to about a level."""
    apart = float((faces - exact).abs().mean())
    if not apart <= CLOSE_IN_MEAN:
        raise ValueError(f"in bfloat16 other faces are drawn: {apart:.1e} apart in the mean")


def _draw(drawer: Drawer, noise: Tensor, precision: str) -> Tensor:
    return draw_faces(drawer, map_noise(drawer, noise), precision)


@torch.no_grad()
def _plainly(plain: nn.Module, noise: Tensor) -> Tensor:
    faces: Tensor = plain(noise)
    return faces
