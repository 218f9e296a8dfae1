"""Adapt a generator slightly to a few faces, around their latents: pivotal tuning.

Letters in shapes: N faces, L the latent's own shape, S side of a face.

References
----------
.. [1] D. Roich et al., "Pivotal Tuning for Latent-based Editing of Real Images", ACM TOG 2022.
       arXiv:2106.05744 (equation 3, and 4: locality)
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from ..core.device import autocast, device_of
from ..models.architecture import architecture
from ..models.inverting import Inverting
from ..models.network import GeneratorNetwork, PerceptualNetwork
from ..models.preparing import prepare
from .adam import Adam
from .distance import Distance
from .latent import draw_noise_from
from .layers import rise_and_fall

RISE = 4  # steps over which a rate rises
OTHERS = 4  # faces per step that are kept so


def tune(
    generator: GeneratorNetwork,
    latents: Tensor,
    targets: Tensor,
    steps: int,
    *,
    perceptual: PerceptualNetwork | None = None,
    inside: Tensor | None = None,
    precision: str = "fp32",
    on_step: Callable[[int, int], None] | None = None,
) -> GeneratorNetwork:
    """A copy of ``generator`` that draws all ``targets`` better from their ``latents``.

    Only the weights change. The latents, the pivots of [1]_, are fixed, and batch norms stay in
    evaluation mode. Faces are compared as in the search, see `Distance`. If the architecture asks
    for it, faces drawn from latents between the pivots and random ones are kept as they were, so
    that mixes still look like faces. ``generator`` itself is not changed.

    Shape:
        - latents: ``(N, *L)``
        - targets: ``(N, 3, S, S)``, RGB in ``[-0.5, 0.5]``; inside: ``(N, 1, S, S)``
    """
    recipe = architecture(generator.config.architecture).inverting
    device = device_of(generator)
    tuned = copy.deepcopy(generator).eval()
    for name, parameter in tuned.named_parameters():
        parameter.requires_grad_(name.partition(".")[0] not in recipe.fixed)
    moving = [parameter for parameter in tuned.parameters() if parameter.requires_grad]
    adam = Adam(moving)
    pivots = latents.to(device)
    distance = Distance(
        targets.to(device),
        recipe,
        None if perceptual is None else prepare(perceptual.to(device).ready(), precision),
        None if inside is None else inside.to(device),
        precision,
    )
    rng = torch.Generator().manual_seed(0)
    for step in range(steps):
        others = _draw_between(generator, pivots, rng) if recipe.locality else pivots[:0]
        with torch.no_grad(), autocast(device, precision):
            held = generator.from_latents(others).float() if recipe.locality else None
        with autocast(device, precision):
            drawn = tuned.from_latents(torch.cat([pivots, others])).float()
        loss = distance(drawn[: len(pivots)]).mean()
        if held is not None:
            moved = (drawn[len(pivots) :] - held).square().flatten(1).sum(1).mean()
            loss = loss + recipe.locality * moved
        gradients = torch.autograd.grad(loss, moving)
        adam.step(gradients, recipe.tuning_rate * _share(step, steps, recipe))
        if on_step is not None:
            on_step(step + 1, steps)
    return tuned.requires_grad_(False)


def _share(step: int, steps: int, recipe: Inverting) -> float:
    """The share of the rate at a step."""
    if recipe.tuning_falls_late:
        return rise_and_fall(step, steps, RISE)
    return 1 - step / steps


def _draw_between(generator: GeneratorNetwork, pivots: Tensor, rng: torch.Generator) -> Tensor:
    """Draw latents on the way from pivots to random ones: ``(OTHERS, *L)``."""
    chosen = torch.randint(len(pivots), (OTHERS,), generator=rng).to(pivots.device)
    noise = draw_noise_from(rng, OTHERS, generator.config)
    with torch.no_grad():
        drawn = generator.latents(noise.to(pivots))
    share = torch.rand(OTHERS, *[1] * (pivots.ndim - 1), generator=rng).to(pivots.device)
    return torch.lerp(pivots[chosen], drawn, share)
