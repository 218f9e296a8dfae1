"""Search for a latent of several layers: what they share, and each one's deviation from it.

Letters in shapes: N faces, L layers, Z numbers of a layer, S side of a face.

References
----------
.. [1] R. Abdal et al., "Image2StyleGAN: How to Embed Images Into the StyleGAN Latent Space?", ICCV
       2019. arXiv:1904.03189 (a latent for each layer)
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..models.inverting import Inverting
from .adam import Adam
from .distance import Distance

RISE = 5  # steps over which the rate rises, at most


def search_layers(
    draw: Callable[[Tensor], Tensor],
    distance: Distance,
    start: Tensor,
    recipe: Inverting,
    steps: int,
    *,
    prior: float,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:
    """Minimise each face's distance from its target over its layers [1]_, by Adam.

    In whitened coordinates, where drawn latents are about standard normal and all layers are the
    same. To the distance is added ``prior`` times the squared length of all layers, and
    ``recipe.deviation`` times that of what is a layer's own. A face with a target that is not
    finite keeps its start.

    Shape:
        - start and what is returned: ``(N, L, Z)``; draw: ``(N, L, Z) -> (N, 3, S, S)``
    """
    shared = start.mean(1, keepdim=True).requires_grad_(True)
    own = (start - shared.detach()).requires_grad_(True)
    adam = Adam([shared, own])
    for step in range(steps):
        with torch.enable_grad():
            white = shared + own
            losses = distance(draw(white)) + prior * white.square().sum((1, 2))
            losses = losses + recipe.deviation * own.square().sum((1, 2))
            gradients = torch.autograd.grad(losses.sum(), [shared, own])
        rate = recipe.rate * rise_and_fall(step, steps, min(RISE, steps // 3))
        adam.step([gradient.nan_to_num(0.0, 0.0, 0.0) for gradient in gradients], rate)
        on_step(step + 1, steps)
    return (shared + own).detach()


def rise_and_fall(step: int, steps: int, rise: int) -> float:
    """The share of a rate at a step: it rises over the first few and falls over the second half.

    >>> [rise_and_fall(step, 8, 2) for step in range(8)]
    [0.5, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    return min(1.0, (step + 1) / max(1, rise), (steps - step) / (steps * 0.5))
