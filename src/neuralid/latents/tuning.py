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
from ..models.network import GeneratorNetwork

RATE = 5e-5  # of Adam
LOCALITY = 0.1  # weight of keeping other faces as they are
OTHERS = 4  # faces per step that are kept so


def tune(
    generator: GeneratorNetwork,
    latents: Tensor,
    targets: Tensor,
    steps: int,
    *,
    precision: str = "fp32",
    on_step: Callable[[int, int], None] | None = None,
) -> GeneratorNetwork:
    """A copy of ``generator`` that draws all ``targets`` better from their ``latents``.

    Only the weights change. The latents, the pivots of [1]_, are fixed, and batch norms stay in
    evaluation mode. Faces drawn from latents between the pivots and random ones are kept as they
    were, so that mixes still look like faces. ``generator`` itself is not changed.

    Shape:
        - latents: ``(N, *L)``
        - targets: ``(N, 3, S, S)``, RGB in ``[-0.5, 0.5]``
    """
    device = device_of(generator)
    tuned = copy.deepcopy(generator).eval().requires_grad_(True)
    optimizer = torch.optim.Adam(tuned.parameters(), lr=RATE, betas=(0.9, 0.99), fused=True)
    pivots, wanted = latents.to(device), targets.to(device)
    rng = torch.Generator().manual_seed(0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / steps)
        others = _draw_between(generator, pivots, rng)
        with torch.no_grad(), autocast(device, precision):
            held = generator.from_latents(others).float()
        with autocast(device, precision):
            drawn = tuned.from_latents(torch.cat([pivots, others])).float()
        error = (drawn[: len(pivots)] - wanted).square().flatten(1).sum(1).mean()
        moved = (drawn[len(pivots) :] - held).square().flatten(1).sum(1).mean()
        optimizer.zero_grad(set_to_none=True)
        (error + LOCALITY * moved).backward()
        optimizer.step()
        if on_step is not None:
            on_step(step + 1, steps)
    return tuned.requires_grad_(False)


def _draw_between(generator: GeneratorNetwork, pivots: Tensor, rng: torch.Generator) -> Tensor:
    """Draw latents on the way from pivots to random ones: ``(OTHERS, *L)``."""
    config = generator.config
    chosen = torch.randint(len(pivots), (OTHERS,), generator=rng).to(pivots.device)
    noise = torch.randn(OTHERS, config.latent_size, generator=rng)
    noise = noise * architecture(config.architecture).noise_std
    with torch.no_grad():
        drawn = generator.latents(noise.to(pivots))
    share = torch.rand(OTHERS, *[1] * (pivots.ndim - 1), generator=rng).to(pivots.device)
    return torch.lerp(pivots[chosen], drawn, share)
