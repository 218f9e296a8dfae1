"""The paper's two networks as their tables stand, in plain PyTorch.

Parameters have the names and shapes that this program's networks have, so either takes over the
other's weights, and gradients can be compared one by one.

Letters in shapes: N batch, Z latent size, S side of a face.

References
----------
.. [1] K. Werblinski, W. Garbarek, J. Kuczkowiak, "Neural Identities", 2019, section 3.2.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from neuralid.models.config import ModelConfig

EPSILON = 1e-3  # of batch norm, Keras' own


class PlainGenerator(nn.Module):
    """The first table of [1]_: ``(N, Z) -> (N, 3, S, S)``, RGB in ``[-0.5, 0.5]``."""

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.slope, doublings = config.slope, _doublings(config)
        widths = [max(256 >> i, 64) for i in range(doublings + 1)]
        self.dense = nn.Linear(config.latent_size, 14 * 14 * 256)
        self.dense_norm = nn.BatchNorm1d(14 * 14 * 256, EPSILON)
        self.dropout = nn.Dropout(dropout)
        self.upsample = nn.Upsample(scale_factor=2)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(c, k, 5, padding=2) for c, k in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(k, EPSILON) for k in widths[1:])
        self.conv = nn.ConvTranspose2d(widths[-1], 32, 5, padding=2)
        self.conv_norm = nn.BatchNorm2d(32, EPSILON)
        self.to_rgb = nn.ConvTranspose2d(32, 3, 5, padding=2)

    def forward(self, noise: Tensor) -> Tensor:
        x = F.leaky_relu(self.dense_norm(self.dense(noise)), self.slope)
        # Keras has channels last; kept so, it is the faster layout here, too.
        x = self.dropout(x.view(-1, 14, 14, 256).permute(0, 3, 1, 2))
        for up, norm in zip(self.ups, self.norms, strict=True):
            x = F.leaky_relu(norm(up(self.upsample(x))), self.slope)
        x = F.leaky_relu(self.conv_norm(self.conv(x)), self.slope)
        return self.to_rgb(x).sigmoid() - 0.5


class PlainDiscriminator(nn.Module):
    """The second table of [1]_, without its last line: ``(N, 3, S, S) -> (N,)``, logits."""

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        widths = [3] + [64 << i for i in range(_doublings(config) + 1)]
        self.slope = config.slope
        self.convs = nn.ModuleList(
            nn.Conv2d(c, k, 5, stride=2, padding=2) for c, k in pairwise(widths)
        )
        self.wide = nn.Conv2d(widths[-1], 1024, 5, padding=2)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(1024 * 7 * 7, 1)

    def forward(self, faces: Tensor) -> Tensor:
        x = faces
        for conv in [*self.convs, self.wide]:
            x = self.dropout(F.leaky_relu(conv(x), self.slope))
        return self.dense(x.permute(0, 2, 3, 1).flatten(1)).squeeze(1)


def _doublings(config: ModelConfig) -> int:
    """How often the map of 14 pixels is doubled."""
    return (config.size // 14).bit_length() - 1
