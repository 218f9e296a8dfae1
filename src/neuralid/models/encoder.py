"""The encoder: it guesses a latent near the one that draws a face. Inversion starts there.

The paper has none (its search starts from a random latent). Letters in shapes: N batch, S side of
a face, L the shape of what is guessed.

References
----------
.. [1] J.-Y. Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016.
       arXiv:1609.03552 (section 3.1: a network predicts the latent, descent refines it)
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from .network import Network

LAST = 3  # the side is halved until it is at most this
FIRST_WIDTH, MOST_WIDTH = 48, 256


class Encoder(Network):
    """Guess the latent behind a face [1]_, or any other numbers.

    ``size`` is the side of a face, at least 14 pixels; ``shape`` is that of each guess.

    Shape:
        - faces: ``(N, 3, S, S)``, RGB in ``[-0.5, 0.5]`` -> ``(N, *L)``

    >>> Encoder(28, (2, 4))(torch.zeros(2, 3, 28, 28)).shape
    torch.Size([2, 2, 4])
    """

    def __init__(self, size: int, shape: tuple[int, ...], slope: float = 0.2) -> None:
        super().__init__()
        self.shape, self.slope = shape, slope
        halvings = math.ceil(math.log2((size + 1) / (LAST + 1)))
        widths = [3, *(min(MOST_WIDTH, FIRST_WIDTH << i) for i in range(halvings - 1)), MOST_WIDTH]
        self.convs = nn.ModuleList(
            nn.Conv2d(c, k, 4, stride=2, padding=1) for c, k in pairwise(widths)
        )
        side = size >> halvings
        self.dense = nn.Linear(MOST_WIDTH * side * side, math.prod(shape))

    def init_weights(self, rng: torch.Generator) -> None:
        for conv in self.convs:
            assert isinstance(conv, nn.Conv2d) and conv.bias is not None
            nn.init.kaiming_normal_(conv.weight, self.slope, generator=rng)
            nn.init.zeros_(conv.bias)
        nn.init.normal_(self.dense.weight, std=0.02, generator=rng)
        nn.init.zeros_(self.dense.bias)

    def forward(self, faces: Tensor) -> Tensor:
        x = faces
        for conv in self.convs:  # (N, 48, 28, 28), (N, 96, 14, 14), (N, 192, 7, 7), (N, 256, 3, 3)
            x = nn.functional.leaky_relu(conv(x), self.slope)
        return self.dense(x.flatten(1)).unflatten(1, self.shape)

    @torch.no_grad()
    def append(self, matrix: Tensor) -> None:
        """From now on multiply every guess by a matrix, which is built into the last layer.

        Shape: ``(D, D)``, on the encoder's device, D the numbers in a guess.
        """
        self.dense.weight.copy_(matrix.T @ self.dense.weight)
        self.dense.bias.copy_(self.dense.bias @ matrix)
