"""The encoder: a face to a latent near the one that draws it, where inversion then starts.

The paper has none (its search starts from a random latent). Letters in shapes: N batch, S side of
a face, Z latent size.

References
----------
.. [1] J.-Y. Zhu et al., "Generative Visual Manipulation on the Natural Image Manifold", ECCV 2016.
       arXiv:1609.03552 (section 3.1: a network predicts the latent, descent refines it)
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from .config import ModelConfig

SMALLEST = 7  # side of the last map but one, pixels


class Encoder(nn.Module):
    """Guess the latent behind a face [1]_.

    Shape:
        - faces: ``(N, 3, S, S)``, RGB in ``[-0.5, 0.5]`` -> ``(N, Z)``

    >>> import torch
    >>> Encoder(ModelConfig(size=28, latent_size=8))(torch.zeros(2, 3, 28, 28)).shape
    torch.Size([2, 8])
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        halvings = config.doublings + 1  # from S to 7
        widths = [3, *(min(256, 48 << i) for i in range(halvings)), 256]
        self.convs = nn.ModuleList(
            nn.Conv2d(c, k, 4, stride=2, padding=1) for c, k in pairwise(widths)
        )
        side = SMALLEST // 2
        self.dense = nn.Linear(256 * side * side, config.latent_size)
        self.slope = config.slope
        for conv in self.convs:
            assert isinstance(conv, nn.Conv2d)
            nn.init.kaiming_normal_(conv.weight, config.slope)
        nn.init.normal_(self.dense.weight, std=0.02)

    def forward(self, faces: Tensor) -> Tensor:
        x = faces
        for conv in self.convs:  # (N, 48, 28, 28), (N, 96, 14, 14), (N, 192, 7, 7), (N, 256, 3, 3)
            x = nn.functional.leaky_relu(conv(x), self.slope)
        return self.dense(x.flatten(1))
