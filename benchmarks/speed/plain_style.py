"""The style-based networks in plain PyTorch, as published code writes them [1]_.

Each face has kernels of its own, modulated and demodulated by its style and applied by a grouped
convolution; maps are doubled by `F.interpolate` and halved by `F.avg_pool2d`, each beside its
convolution. Parameters have the names and shapes of this program's networks.

Letters in shapes: N batch, Z numbers of a style, L layers, C channels in, K out, H W map, S side.

References
----------
.. [1] T. Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020.
       arXiv:1912.04958
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROOT2 = math.sqrt(2)
EPSILON = 1e-8
SMALL = 1e-6  # keeps the length of a feature from 0


class PlainLinear(nn.Module):
    def __init__(self, c: int, k: int, rate: float = 1.0) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(k, c)), nn.Parameter(torch.zeros(k))
        self.rate, self.gain = rate, rate / math.sqrt(c)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.gain, self.bias * self.rate)


class PlainConv(nn.Module):
    """A convolution, and mean pooling after it if ``pool``."""

    def __init__(
        self, c: int, k: int, taps: int, pool: bool = False, bias: bool = True, gain: float = ROOT2
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(k, c, taps, taps))
        self.bias = nn.Parameter(torch.zeros(k)) if bias else None
        self.gain, self.pool, self.padding = gain / math.sqrt(c * taps**2), pool, taps // 2

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.weight * self.gain, self.bias, padding=self.padding)
        return F.avg_pool2d(x, 2) if self.pool else x


class PlainModulated(nn.Module):
    """``(N, C, H, W)`` and styles ``(N, Z)`` -> ``(N, K, H, W)``, or twice as large with ``up``."""

    def __init__(self, z: int, c: int, k: int, taps: int, up: bool = False) -> None:
        super().__init__()
        self.affine = PlainLinear(z, c)
        self.weight = nn.Parameter(torch.zeros(k, c, taps, taps))
        self.bias = nn.Parameter(torch.zeros(k))
        self.gain, self.up, self.demodulate = 1 / math.sqrt(c * taps**2), up, taps > 1

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        n, (k, c, taps, _) = len(x), self.weight.shape
        kernels = self.weight * self.gain * self.affine(w)[:, None, :, None, None]
        if self.demodulate:
            length = kernels.square().sum((2, 3, 4), keepdim=True)
            kernels = ROOT2 * kernels * torch.rsqrt(length + EPSILON)
        x, padding = (_doubled(x), 0) if self.up else (x, taps // 2)
        x = x.reshape(1, n * c, *x.shape[2:])
        x = F.conv2d(x, kernels.view(n * k, c, taps, taps), padding=padding, groups=n)
        return x.view(n, k, *x.shape[2:]) + self.bias.view(1, -1, 1, 1)


class PlainStyleGenerator(nn.Module):
    """Noise ``(N, Z) -> (N, 3, S, S)``; `from_latents` takes ``(N, L, Z)``."""

    w_mean: Tensor

    def __init__(self, z: int, widths: list[int], slope: float, mapping: int) -> None:
        super().__init__()
        self.slope, self.layers = slope, 2 * len(widths)
        self.mapping = nn.ModuleList(PlainLinear(z, z, rate=0.01) for _ in range(mapping))
        self.register_buffer("w_mean", torch.zeros(z))
        self.constant = nn.Parameter(torch.zeros(1, widths[0], 7, 7))
        layers = [PlainModulated(z, widths[0], widths[0], 3), PlainModulated(z, widths[0], 3, 1)]
        for c, k in pairwise(widths):
            layers += [PlainModulated(z, c, k, 3, up=True), PlainModulated(z, k, k, 3)]
            layers += [PlainModulated(z, k, 3, 1)]
        self.synthesis = nn.ModuleList(layers)

    def forward(self, noise: Tensor) -> Tensor:
        x = noise * torch.rsqrt(noise.square().mean(1, keepdim=True) + EPSILON)
        for layer in self.mapping:
            x = F.leaky_relu(layer(x), self.slope) * ROOT2
        return self.from_latents(x[:, None].expand(-1, self.layers, -1))

    def from_latents(self, latents: Tensor) -> Tensor:
        styles = latents.unbind(1)
        x = self.constant.expand(len(latents), -1, -1, -1)
        x = F.leaky_relu(self.synthesis[0](x, styles[0]), self.slope)
        faces = self.synthesis[1](x, styles[1])
        for i in range(1, self.layers // 2):
            up, conv, to_rgb = (self.synthesis[3 * i + j] for j in (-1, 0, 1))
            x = F.leaky_relu(up(x, styles[2 * i - 1]), self.slope)
            x = F.leaky_relu(conv(x, styles[2 * i]), self.slope)
            doubled = F.interpolate(faces, scale_factor=2.0, mode="bilinear")
            faces = doubled + to_rgb(x, styles[2 * i + 1])
        return faces / 2


class PlainBlocks(nn.Module):
    """Residual blocks that halve their maps: ``(N, 3, S, S)`` -> a map of each."""

    def __init__(self, widths: list[int], slope: float) -> None:
        super().__init__()
        self.slope, steps = slope, list(pairwise(widths))
        self.from_rgb = PlainConv(3, widths[0], 1)
        self.firsts = nn.ModuleList(PlainConv(c, c, 3) for c, _ in steps)
        self.seconds = nn.ModuleList(PlainConv(c, k, 3, pool=True) for c, k in steps)
        self.skips = nn.ModuleList(PlainConv(c, k, 1, True, bias=False, gain=1) for c, k in steps)

    def maps(self, faces: Tensor) -> list[Tensor]:
        found, x = [], F.leaky_relu(self.from_rgb(2 * faces), self.slope)
        for first, second, skip in zip(self.firsts, self.seconds, self.skips, strict=True):
            y = F.leaky_relu(first(x), self.slope)
            # The nonlinearity comes after pooling, in this program's network, too.
            x = (F.leaky_relu(second(y), self.slope) + skip(x)) / ROOT2
            found.append(x)
        return found


class PlainFeatures(PlainBlocks):
    """A perceptual network: maps ``(N, C, H, H)`` of length 1 along C."""

    def forward(self, faces: Tensor) -> list[Tensor]:
        return [x * torch.rsqrt(x.square().sum(1, keepdim=True) + SMALL) for x in self.maps(faces)]


class PlainStyleDiscriminator(PlainBlocks):
    """``(N, 3, S, S) -> (N,)``, logits; N a multiple of 4."""

    def __init__(self, widths: list[int], slope: float) -> None:
        super().__init__(widths, slope)
        self.last = PlainConv(widths[-1] + 1, widths[-1], 3)
        self.dense = PlainLinear(widths[-1] * 49, widths[-1])
        self.out = PlainLinear(widths[-1], 1)

    def forward(self, faces: Tensor) -> Tensor:
        x = self.maps(faces)[-1]
        groups = x.unflatten(0, (-1, 4))
        spread = (groups.var(1, unbiased=False) + EPSILON).sqrt().mean((1, 2, 3))
        spread = spread.repeat_interleave(4).view(-1, 1, 1, 1).expand(-1, 1, 7, 7)
        x = F.leaky_relu(self.last(torch.cat([x, spread], 1)), self.slope)
        x = F.leaky_relu(self.dense(x.flatten(1)), self.slope) * ROOT2
        return self.out(x).squeeze(1)


def _doubled(x: Tensor) -> Tensor:
    """A map doubled bilinearly, with a pixel more on each side for the convolution after it.

    Beyond the map's edge are zeros, as this program's networks are trained.
    """
    doubled = F.interpolate(F.pad(x, (1, 1, 1, 1)), scale_factor=2.0, mode="bilinear")
    return doubled[..., 1:-1, 1:-1]
