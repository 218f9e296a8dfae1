"""Face -> latent: the paper's ``gan_reverse`` (section 3.3), for many faces at once.

Letters in shapes: N faces, L the latent's own shape, D numbers in a latent, S side of a face.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.device import autocast, device_of
from ..models.architecture import architecture
from ..models.drawing import Drawer
from ..models.encoder import Encoder, LayerEncoder
from ..models.network import PerceptualNetwork
from ..models.preparing import prepare
from ..pictures.quality import psnr, ssim
from .config import InvertConfig
from .coordinates import Coordinates
from .distance import Distance
from .layers import search_layers
from .lbfgs import minimize
from .whitening import Whitening


@dataclass(frozen=True)
class Inversion:
    """What was found for each face."""

    latents: Tensor  # (N, *L), on the CPU
    faces: Tensor  # (N, 3, S, S) in [-0.5, 0.5], on the CPU: the drawer's faces for them
    psnr: Tensor  # (N,), dB against the targets, where they are photo
    ssim: Tensor  # (N,), of their luma, 1 at best
    evaluations: Tensor  # (N,): passes of the drawer spent on each
    seconds: float  # for all of them together


Search = tuple[Tensor, Tensor]  # latents (N, *L); evaluations (N,)


def invert(
    drawer: Drawer,
    targets: Tensor,
    config: InvertConfig | None = None,
    *,
    coordinates: Coordinates | Whitening | None = None,
    encoder: Encoder | LayerEncoder | None = None,
    perceptual: PerceptualNetwork | None = None,
    inside: Tensor | None = None,
    precision: str = "fp32",
    on_step: Callable[[int, int], None] | None = None,
) -> Inversion:
    """Find the latent of each face; the other faces of the batch do not matter to it.

    The architecture says how: see `_search_whole` and `layers.search_layers`. The search starts
    from what the ``encoder`` says of a face (without one, from the mean of the latents), and runs
    in the ``coordinates`` of the weights. Only a search by layers knows the ``perceptual`` network
    of the weights, and ``inside``, which says what of a target is photo (1) and what is not (0).
    ``precision`` is the search's, "fp32" or "bf16". ``on_step(done, total)`` hears of each round.

    Shape:
        - targets: ``(N, 3, S, S)``, RGB in ``[-0.5, 0.5]``; inside: ``(N, 1, S, S)``
    """
    config = config or InvertConfig()
    started = time.perf_counter()
    wanted = targets.to(device_of(drawer)).contiguous(memory_format=torch.channels_last)
    report = on_step or (lambda done, total: None)
    ready = prepare(drawer, precision, to_search=True)
    if architecture(drawer.config.architecture).inverting.by_layer:
        assert not isinstance(coordinates, Coordinates) and not isinstance(encoder, Encoder)
        latents, evaluations = _search_by_layer(
            ready, wanted, config, coordinates, encoder, perceptual, inside, precision, report
        )
    else:
        assert not isinstance(coordinates, Whitening) and not isinstance(encoder, LayerEncoder)
        latents, evaluations = _search_whole(
            ready, wanted, config, coordinates, encoder, precision, report
        )
    with torch.no_grad():
        faces = drawer(latents).cpu()
    return Inversion(
        latents.cpu(),
        faces,
        psnr(faces, targets.cpu(), inside),
        ssim(faces, targets.cpu()),
        evaluations.cpu(),
        time.perf_counter() - started,
    )


def _search_whole(
    drawer: Drawer,
    wanted: Tensor,
    config: InvertConfig,
    coordinates: Coordinates | None,
    encoder: Encoder | None,
    precision: str,
    on_step: Callable[[int, int], None],
) -> Search:
    """Minimise ``sum((target - G(z))^2) + prior * |z - mean|^2`` for each face, by L-BFGS.

    The paper starts from a random z and restarts its search 50 times; here a face has one search
    with its memory. With ``coordinates`` (of the weights), it runs where every direction moves the
    pixels about as much. These and the encoder's start spare most of the evaluations. Each face
    has its own step length and stop.
    The small prior, which the paper does not have, costs about 0.1 dB and keeps latents about as
    long as drawn ones, where their mixes look like faces.
    """
    device = wanted.device
    with torch.no_grad():
        zero = torch.zeros(len(wanted), *drawer.latent_shape, device=device)
        mean = drawer.truncate(zero, 0.0)
        start = mean if encoder is None else encoder.to(device)(wanted)
    way = (coordinates or Coordinates.plain(start[0].numel())).to(device)

    def objective(u: Tensor) -> tuple[Tensor, Tensor]:
        u = u.detach().requires_grad_(True)
        with torch.enable_grad():
            z = (u @ way.to_latent).view_as(start)
            with autocast(device, precision):
                drawn = drawer(z).float()
            losses = (wanted - drawn).square().flatten(1).sum(1)
            losses = losses + config.prior * (z - mean).square().flatten(1).sum(1)
            (gradient,) = torch.autograd.grad(losses.sum(), u)
        return losses.detach(), gradient

    total = config.effort(architecture(drawer.config.architecture).inverting).steps
    found = minimize(
        objective,
        start.flatten(1) @ way.to_even,
        total,
        memory=config.memory,
        on_round=lambda done, _: on_step(done, total),
    )
    return (found.x @ way.to_latent).view_as(start), found.evaluations


def _search_by_layer(
    drawer: Drawer,
    wanted: Tensor,
    config: InvertConfig,
    whitening: Whitening | None,
    encoder: LayerEncoder | None,
    perceptual: PerceptualNetwork | None,
    inside: Tensor | None,
    precision: str,
    on_step: Callable[[int, int], None],
) -> Search:
    recipe, device = architecture(drawer.config.architecture).inverting, wanted.device
    way = (whitening or Whitening.of(drawer)).to(device)
    eyes = None if perceptual is None else prepare(perceptual.to(device).ready(), precision)
    known = None if inside is None else inside.to(device)
    distance = Distance(wanted, recipe, eyes, known, precision)
    start = torch.zeros(len(wanted), *drawer.latent_shape, device=device)
    if encoder is not None and distance.maps:
        with torch.no_grad():
            start = way.whiten(encoder.to(device)(wanted, distance.maps[-1]))
    steps = config.effort(recipe).steps
    white = search_layers(
        lambda white: _draw(drawer, way.latents(white), precision),
        distance,
        start,
        recipe,
        steps,
        prior=config.prior,
        on_step=on_step,
    )
    return way.latents(white), torch.full((len(wanted),), steps)


def _draw(drawer: Drawer, latents: Tensor, precision: str) -> Tensor:
    with autocast(latents.device, precision):
        return drawer(latents).float()
