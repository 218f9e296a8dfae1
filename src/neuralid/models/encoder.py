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
NARROW = 128  # maps that a `LayerEncoder` makes of the features
RANK = 64  # of the layers' deviations


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


class LayerEncoder(Network):
    """Guess a latent of several layers from the last map of a perceptual network, and the colours.

    What all layers share is guessed in full; each layer's deviation from it is of low rank.
    ``last`` is the map's shape ``(C, H)``, ``shape`` that of a latent.

    Shape:
        - faces: ``(N, 3, S, S)``, RGB in ``[-0.5, 0.5]``; features: ``(N, C, H, H)``, of length 1
          along C -> ``(N, L, Z)``

    >>> encoder = LayerEncoder((24, 14), (6, 16))
    >>> encoder(torch.zeros(2, 3, 112, 112), torch.zeros(2, 24, 14, 14)).shape
    torch.Size([2, 6, 16])
    """

    def __init__(self, last: tuple[int, int], shape: tuple[int, ...], slope: float = 0.2) -> None:
        super().__init__()
        (channels, side), (rows, size) = last, shape
        self.shape, self.slope, self.scale = shape, slope, math.sqrt(channels)
        halvings = math.ceil(math.log2((side + 1) / (LAST + 1)))
        narrow = [max(NARROW, MOST_WIDTH - 64 * i) for i in reversed(range(halvings))]
        self.reduce = nn.Conv2d(channels + 3, NARROW, 1)
        self.look = nn.Conv2d(NARROW, NARROW, 3, padding=1)
        self.convs = nn.ModuleList(
            nn.Conv2d(c, k, 4, stride=2, padding=1) for c, k in pairwise([NARROW, *narrow])
        )
        inputs = MOST_WIDTH * (side >> halvings) ** 2
        self.shared = nn.Linear(inputs, size)
        self.coefficients = nn.Linear(inputs, RANK)
        self.deviations = nn.Parameter(torch.empty(RANK, rows, size))

    def init_weights(self, rng: torch.Generator) -> None:
        for conv in (self.reduce, self.look, *self.convs):
            assert isinstance(conv, nn.Conv2d) and conv.bias is not None
            nn.init.kaiming_normal_(conv.weight, self.slope, generator=rng)
            nn.init.zeros_(conv.bias)
        for dense in (self.shared, self.coefficients):
            nn.init.normal_(dense.weight, std=0.02, generator=rng)
            nn.init.zeros_(dense.bias)
        nn.init.normal_(self.deviations, std=0.02, generator=rng)

    def forward(self, faces: Tensor, features: Tensor) -> Tensor:
        colours = nn.functional.adaptive_avg_pool2d(faces, features.shape[-1])
        x = torch.cat([features * self.scale, 4 * colours], 1)
        for conv in (self.reduce, self.look, *self.convs):
            x = nn.functional.leaky_relu(conv(x), self.slope)
        x = x.flatten(1)
        deviations = torch.einsum("nr,rlz->nlz", self.coefficients(x), self.deviations)
        return self.shared(x)[:, None] + deviations

    @torch.no_grad()
    def append(self, matrix: Tensor, offset: Tensor) -> None:
        """Let it do what it did, and then multiply each layer's row by a matrix and add an offset.

        Shape: ``(Z, Z)`` and ``(Z,)``, on its device.
        """
        self.shared.weight.copy_(matrix.T @ self.shared.weight)
        self.shared.bias.copy_(self.shared.bias @ matrix + offset)
        self.deviations.copy_(self.deviations @ matrix)
