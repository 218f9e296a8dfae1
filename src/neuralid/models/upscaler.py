"""A small network that enlarges the luma of faces two or four times.

Letters in shapes: N batch, H and W sides of the small picture, F the factor.

References
----------
.. [1] W. Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient
       Sub-Pixel Convolutional Neural Network", CVPR 2016. arXiv:1609.05158
.. [2] B. Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPR
       Workshops 2017. arXiv:1707.02921 (blocks without batch norm; one trunk for all factors)
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

FACTORS = (2, 4)
WIDTH = 64  # maps
BLOCKS = 6
REACH = 2 * BLOCKS + 4  # small pixels on each side that a large pixel can depend on


class FaceUpscaler(nn.Module):
    """Luma -> luma, larger by one of `FACTORS`.

    The network predicts what the bicubic enlargement misses, and adds it [1]_ [2]_.

    Shape:
        - small: ``(N, 1, H, W)`` in [0, 1]
        - returns: ``(N, 1, F * H, F * W)``, mostly in [0, 1]

    >>> import torch
    >>> FaceUpscaler()(torch.zeros(1, 1, 5, 7), 4).shape
    torch.Size([1, 1, 20, 28])
    """

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({str(f): nn.Conv2d(1, WIDTH, 3, padding=1) for f in FACTORS})
        self.trunk = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.join = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.tails = nn.ModuleDict({str(f): nn.Conv2d(WIDTH, f * f, 3, padding=1) for f in FACTORS})

    def forward(self, small: Tensor, factor: int) -> Tensor:
        centred = (small - 0.5).to(self.join.weight.dtype)  # the network may be in bfloat16
        shallow = self.heads[str(factor)](centred)  # (N, 64, H, W)
        deep = shallow + self.join(self.trunk(shallow))
        detail = F.pixel_shuffle(self.tails[str(factor)](deep), factor)
        return bicubic(small, factor) + detail


class Block(nn.Module):
    """Two convolutions around a ReLU, added to the input: ``(N, 64, H, W)`` -> the same."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def bicubic(small: Tensor, factor: int) -> Tensor:
    """OpenCV's cubic interpolation, a = -0.75, borders repeated."""
    return F.interpolate(small, scale_factor=factor, mode="bicubic", align_corners=False)
