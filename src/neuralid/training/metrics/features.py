"""A set of faces as features of a fixed random network [1]_.

Letters in shapes: N faces, S side of a face, F features.

References
----------
.. [1] M. F. Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", ICML
       2020. arXiv:2002.09797 (random embeddings)
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor, nn

FEATURES = 128
CHUNK = 256  # faces embedded at a time
EVENNESS = 0.1  # share of the mean variance that is added to every direction in whitening


class Faces:
    """A set of faces, and what several metrics need from it, each computed once.

    Shape: ``(N, 3, S, S)`` in ``[-0.5, 0.5]``, N at least 2.
    """

    def __init__(self, pictures: Tensor) -> None:
        self.pictures = pictures

    @cached_property
    def features(self) -> Tensor:
        """``(N, 128)``"""
        return random_features(self.pictures)

    @cached_property
    def whitening(self) -> Tensor:
        """``(128, 128)``, of these faces' features; see `whitening`."""
        return whitening(self.features)


@torch.no_grad()
def random_features(faces: Tensor) -> Tensor:
    """Means and spreads of a random network's last maps [1]_: ``(N, 3, S, S) -> (N, 128)``."""
    network = _random_network().to(faces.device)
    parts = []
    for part in faces.split(CHUNK):
        maps = network(part).flatten(2)  # (n, 64, pixels)
        parts.append(torch.cat([maps.mean(2), maps.std(2)], dim=1))
    return torch.cat(parts)


def whitening(features: Tensor) -> Tensor:
    """The matrix that gives features about equal spread in all directions: ``(N, F) -> (F, F)``.

    Without it brightness, which moves most of the features, outweighs everything else when faces
    are compared one by one. Directions in which features hardly vary are not amplified fully. N is
    at least 2.
    """
    values, vectors = torch.linalg.eigh(features.double().T.cov())
    widths = values.clamp_min(0) + EVENNESS * values.clamp_min(0).mean()
    return (vectors * widths.clamp_min(1e-12).rsqrt() @ vectors.T).to(features.dtype)


def _random_network() -> nn.Sequential:
    """Four strided convolutions with fixed orthogonal weights."""
    rng = torch.Generator().manual_seed(0)
    layers: list[nn.Module] = []
    for c, k in ((3, 32), (32, 64), (64, 64), (64, FEATURES // 2)):
        # Without the usual initialisation, which draws from the global generator.
        conv = nn.utils.skip_init(nn.Conv2d, c, k, 3, stride=1 if c == 3 else 2, padding=1)
        nn.init.orthogonal_(conv.weight, gain=2**0.5, generator=rng)
        nn.init.zeros_(conv.bias)
        layers += [conv, nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1]).requires_grad_(False)
