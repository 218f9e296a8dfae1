"""The paper's two networks, layer for layer (section 3.2): the networks only, no training.

Letters in shapes: N batch, Z latent size, S side of a face.

References
----------
.. [1] K. Werblinski, W. Garbarek, J. Kuczkowiak, "Neural Identities", 2019, section 3.2.
.. [2] A. Radford, L. Metz, S. Chintala, "Unsupervised Representation Learning with Deep
       Convolutional Generative Adversarial Networks", ICLR 2016. arXiv:1511.06434
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import ModelConfig
from .convolution import phase_upsample_conv, spectral_conv7, spectral_upsample_conv
from .share import WHOLE, Share

STEM = 14  # side of the first map
STEM_WIDTH = 256
LAST_WIDTH = 32
SPECTRAL_BATCH = 16  # from this many faces a batch the spectral forms are faster, on a CPU


class Generator(nn.Module):
    """Turn latent vectors into faces, as in the first table of [1]_.

    The upsampling layers and the convolutions after them are computed in one of the exact
    faster forms of `convolution`; the parameters are the table's.

    Shape:
        - z: ``(N, Z)``, drawn from N(0, 0.5^2)
        - returns: ``(N, 3, S, S)``, RGB in ``[-0.5, 0.5]``

    >>> generator = Generator(ModelConfig(size=28, latent_size=8)).eval()
    >>> generator(torch.zeros(2, 8)).shape
    torch.Size([2, 3, 28, 28])
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.dense = nn.Linear(config.latent_size, STEM * STEM * STEM_WIDTH)
        self.dense_norm = _norm(nn.BatchNorm1d, STEM * STEM * STEM_WIDTH)
        self.dropout = Dropout(dropout)

        # Each doubling halves the width, down to 64: 256 -> 128 -> 64 in the paper.
        widths = [max(STEM_WIDTH >> i, 64) for i in range(config.doublings + 1)]
        self.ups = nn.ModuleList(map(UpConv, widths, widths[1:]))
        self.norms = nn.ModuleList(_norm(nn.BatchNorm2d, width) for width in widths[1:])
        self.conv = nn.ConvTranspose2d(widths[-1], LAST_WIDTH, 5, padding=2)
        self.conv_norm = _norm(nn.BatchNorm2d, LAST_WIDTH)
        self.to_rgb = nn.ConvTranspose2d(LAST_WIDTH, 3, 5, padding=2)
        self.apply(_init_weights)

    def forward(self, z: Tensor, share: Share = WHOLE) -> Tensor:
        slope = self.config.slope
        x = F.leaky_relu(self.dense_norm(self.dense(z)), slope)  # (N, 14*14*256)
        x = x.view(-1, STEM, STEM, STEM_WIDTH).permute(0, 3, 1, 2)  # (N, 256, 14, 14)
        x = self.dropout(x, share)
        for up, norm in zip(self.ups, self.norms, strict=True):
            x = F.leaky_relu(norm(up(x)), slope)  # (N, 128, 28, 28), then (N, 64, 56, 56)
        x = F.leaky_relu(self.conv_norm(self.conv(x)), slope)  # (N, 32, S, S)
        return self.to_rgb(x).sigmoid() - 0.5  # (N, 3, S, S)


class UpConv(nn.ConvTranspose2d):
    """Nearest upsampling by 2 and the table's 5x5 transposed convolution of stride 1 after it.

    Shape: ``(N, C, H, W) -> (N, K, 2H, 2W)``.
    """

    def __init__(self, c: int, k: int) -> None:
        super().__init__(c, k, 5, padding=2)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        kernel = as_conv_kernel(self.weight)
        if prefers_spectral(x) and x.shape[-1] <= 2 * STEM:
            return spectral_upsample_conv(x, kernel, self.bias)
        return phase_upsample_conv(x, kernel, self.bias)


class Discriminator(nn.Module):
    """Tell faces of people from generated ones, as in the second table of [1]_.

    It returns logits; their sigmoid, the table's last line, is part of the loss.

    Shape:
        - x: ``(N, 3, S, S)``, RGB in ``[-0.5, 0.5]``
        - returns: ``(N,)``, logits

    >>> discriminator = Discriminator(ModelConfig(size=28)).eval()
    >>> discriminator(torch.zeros(2, 3, 28, 28)).shape
    torch.Size([2])
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        self.config = config
        widths = [3] + [64 << i for i in range(config.doublings + 1)]  # 3, 64, 128, 256
        self.convs = nn.ModuleList(
            nn.Conv2d(c, k, 5, stride=2, padding=2) for c, k in pairwise(widths)
        )
        self.wide = Conv7(widths[-1], 1024)
        self.dropout = Dropout(dropout)
        self.dense = nn.Linear(1024 * 7 * 7, 1)
        self.apply(_init_weights)

    def forward(self, x: Tensor, share: Share = WHOLE) -> Tensor:
        for conv in [*self.convs, self.wide]:
            x = self.dropout(F.leaky_relu(conv(x), self.config.slope), share)
        # Keras flattens (7, 7, 1024) in this order; the map is laid out so already.
        return self.dense(x.permute(0, 2, 3, 1).flatten(1)).squeeze(1)


class Conv7(nn.Conv2d):
    """The discriminator's widest layer: 5x5, "same", on a 7x7 map."""

    def __init__(self, c: int, k: int) -> None:
        super().__init__(c, k, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        if prefers_spectral(x):
            return spectral_conv7(x, self.weight, self.bias)
        return super().forward(x)


class Dropout(nn.Module):
    """Dropout whose mask costs one random byte a value; the rate is rounded to 1/256.

    ``nn.Dropout`` draws a full random number a value, 25 times slower on a CPU: a twelfth of
    a training step. Of the masks of a batch that several processes share out, each takes its own
    rows.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.threshold = round(rate * 256)

    def forward(self, x: Tensor, share: Share = WHOLE) -> Tensor:
        if not self.training or self.threshold == 0:
            return x
        values = x.numel() * share.size
        words = torch.empty((values + 7) // 8, dtype=torch.int64, device=x.device)
        dice = words.random_(-(1 << 63), None).view(torch.uint8)[:values]
        dice = share.of(dice.view(len(x) * share.size, -1))
        # In x's own type: arithmetic on truth values is several times slower.
        scale = dice.to(x.dtype).ge_(self.threshold).mul_(256 / (256 - self.threshold))
        return x * scale.view(x.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)


def as_conv_kernel(weight: Tensor) -> Tensor:
    """A transposed convolution of stride 1 as a convolution: ``(C, K, 5, 5) -> (K, C, 5, 5)``."""
    return weight.flip(2, 3).transpose(0, 1)


def prefers_spectral(x: Tensor) -> bool:
    """Whether the spectral forms are the faster ones for this batch (see `convolution`)."""
    return x.device.type == "cpu" and x.shape[0] >= SPECTRAL_BATCH


def _norm(kind: type[nn.Module], width: int) -> nn.Module:
    return kind(width, eps=1e-3)  # Keras' epsilon


def _init_weights(module: nn.Module) -> None:
    """Normal(0, 0.02), as in section 4 of [2]_."""
    if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
