"""Residual blocks that halve a picture: what the style discriminator looks at faces with.

Its first blocks are a perceptual distance, too [1]_. Letters in shapes: N batch, S side of a face,
C H a map.

References
----------
.. [1] R. Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
       CVPR 2018. arXiv:1801.03924
"""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .modulation import ROOT2, EqualConv
from .network import Network, PerceptualNetwork
from .ready import make_ready

SMALL = 1e-6  # keeps the length of a feature from 0


class ResidualNetwork(Network):
    """A network with colours to maps, and then blocks; its maps are of ``widths``."""

    slope: float
    from_rgb: nn.Module
    firsts: nn.Module
    seconds: nn.Module
    skips: nn.Module

    def add_blocks(self, widths: list[int], slope: float) -> None:
        self.slope = slope
        steps = list(pairwise(widths))
        self.from_rgb = EqualConv(3, widths[0], 1)
        self.firsts = nn.ModuleList(EqualConv(c, c, 3) for c, _ in steps)
        self.seconds = nn.ModuleList(EqualConv(c, k, 3, pool=True) for c, k in steps)
        self.skips = nn.ModuleList(
            EqualConv(c, k, 1, pool=True, bias=False, gain=1.0) for c, k in steps
        )

    def features(self, faces: Tensor) -> list[Tensor]:
        """What the blocks give: ``(N, 3, S, S) -> (N, C, H, H)`` each, H from S / 2 down."""
        found, slope = [], self.slope
        pixels = (2 * faces).contiguous(memory_format=torch.channels_last)  # to [-1, 1]
        x = F.leaky_relu(self.from_rgb(pixels), slope)
        parts = (self.firsts.children(), self.seconds.children(), self.skips.children())
        for first, second, skip in zip(*parts, strict=True):
            y = F.leaky_relu(first(x), slope)
            y = F.leaky_relu(second(y), slope)
            x = (y + skip(x)) / ROOT2
            found.append(x)
        return found


class ResidualFeatures(ResidualNetwork, PerceptualNetwork):
    """A discriminator's first blocks as a perceptual network."""

    def __init__(self, size: int, widths: list[int], slope: float) -> None:
        super().__init__()
        self.last = (widths[-1], size >> (len(widths) - 1))
        self.add_blocks(widths, slope)

    def init_weights(self, rng: torch.Generator) -> None:
        for layer in self.modules():
            if isinstance(layer, EqualConv):
                layer.init_weights(rng)

    def forward(self, faces: Tensor) -> list[Tensor]:
        found = [x.float() for x in self.features(faces)]
        return [x * torch.rsqrt(x.square().sum(1, keepdim=True) + SMALL) for x in found]

    def ready(self) -> ResidualFeatures:
        ready = copy.deepcopy(self)
        for name, part in self.named_children():
            setattr(ready, name, make_ready(part))
        return ready
