"""Layers of the style-based networks, in the form they are trained in; `ready` has the other.

Letters in shapes: N batch, Z numbers in a style vector w, C channels in, K channels out, H W map.

Weights are kept at unit variance and scaled as they are used ("equalised"), so that one learning
rate suits every layer [1]_. What must not be rounded to bfloat16 (styles, demodulation, kernels as
they are made) is computed outside autocast.

References
----------
.. [1] T. Karras et al., "Progressive Growing of GANs", ICLR 2018. arXiv:1710.10196 (section 4.1)
.. [2] T. Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020.
       arXiv:1912.04958 (section 2.2: modulation and demodulation of kernels)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.device import without_autocast
from .convolution import phase_conv

ROOT2 = math.sqrt(2)  # keeps the variance through a leaky ReLU, about
EPSILON = 1e-8


class EqualLinear(nn.Module):
    """A linear layer with equalised weights; ``rate`` multiplies its learning rate.

    Shape: ``(N, C) -> (N, K)``, float32.
    """

    def __init__(self, c: int, k: int, first_bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(k, c))
        self.bias = nn.Parameter(torch.empty(k))
        self.first_bias, self.rate, self.gain = first_bias, rate, rate / math.sqrt(c)

    def init_weights(self, rng: torch.Generator) -> None:
        nn.init.normal_(self.weight, std=1 / self.rate, generator=rng)
        nn.init.constant_(self.bias, self.first_bias / self.rate)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.gain, self.bias * self.rate)


class EqualConv(nn.Module):
    """A "same" convolution with equalised weights, and 2x2 mean pooling after it if ``pool``.

    Pooling goes into the kernel, which grows by one tap a side, and into a stride of 2.

    Shape: ``(N, C, H, W) -> (N, K, H, W)``, or half as large.
    """

    def __init__(
        self,
        c: int,
        k: int,
        taps: int,
        *,
        pool: bool = False,
        bias: bool = True,
        gain: float = ROOT2,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(k, c, taps, taps))
        self.bias = nn.Parameter(torch.empty(k)) if bias else None
        self.gain, self.pool, self.padding = gain / math.sqrt(c * taps**2), pool, taps // 2
        self.stride = 2 if pool else 1

    def init_weights(self, rng: torch.Generator) -> None:
        nn.init.normal_(self.weight, generator=rng)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernels(), self.bias, stride=self.stride, padding=self.padding)

    def kernels(self) -> Tensor:
        """``(K, C, T, T)``, T one more where they pool."""
        kernels = self.weight * self.gain
        return pooled_kernels(kernels) if self.pool else kernels


class _Modulated(nn.Module):
    """A convolution of T x T taps, and the dense layer that makes its inputs' scales of a style."""

    def __init__(self, z: int, c: int, k: int, taps: int) -> None:
        super().__init__()
        self.affine = EqualLinear(z, c, first_bias=1.0)
        self.weight = nn.Parameter(torch.empty(k, c, taps, taps))
        self.bias = nn.Parameter(torch.empty(k))
        self.gain = 1 / math.sqrt(c * taps**2)

    def init_weights(self, rng: torch.Generator) -> None:
        nn.init.normal_(self.weight, generator=rng)
        nn.init.zeros_(self.bias)


class StyledConv(_Modulated):
    """A 3x3 convolution modulated and demodulated by a style, and a leaky ReLU [2]_.

    Modulating inputs and demodulating outputs equals doing both to each face's own kernels, and
    one kernel serves the batch. With ``up`` the map is first doubled bilinearly, in
    `bilinear_phases`.

    Shape: x ``(N, C, H, W)``, w ``(N, Z)`` -> ``(N, K, H, W)``, or twice as large.
    """

    def __init__(self, z: int, c: int, k: int, slope: float, up: bool = False) -> None:
        super().__init__(z, c, k, taps=3)
        self.slope, self.up = slope, up

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        with without_autocast(x):
            style = self.affine(w)
            kernels, squares = self.kernels()
        convolve = (
            partial(phase_conv, kernels=kernels, bias=None)
            if self.up
            else partial(F.conv2d, weight=kernels, padding=1)
        )
        return convolve_styled(x, style, convolve, squares, self.bias, self.slope)

    def kernels(self) -> tuple[Tensor, Tensor]:
        """``(K, C, 3, 3)``, or phases ``(4K, C, 3, 3)``; and each kernel's squared sum, ``(C, K)``.

        Demodulation is by the 3x3 kernel, whatever doubling makes of it.
        """
        kernels = self.weight * self.gain
        squares = kernels.square().sum((2, 3)).T
        return bilinear_phases(kernels) if self.up else kernels, squares


class ToRgb(_Modulated):
    """A map to colours, modulated by a style and not demodulated.

    Shape: x ``(N, C, H, W)``, w ``(N, Z)`` -> ``(N, 3, H, W)``, float32.
    """

    def __init__(self, z: int, c: int) -> None:
        super().__init__(z, c, 3, taps=1)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        with without_autocast(x):
            style = self.affine(w)
        return to_colours(x, style, self.weight * self.gain, self.bias)


def convolve_styled(
    x: Tensor,
    style: Tensor,
    convolve: Callable[[Tensor], Tensor],
    squares: Tensor,
    bias: Tensor,
    slope: float,
) -> Tensor:
    """What `StyledConv` computes around its convolution.

    Shape: x ``(N, C, H, W)``, style ``(N, C)``, squares ``(C, K)``, bias ``(K,)``; ``convolve``
    takes maps of C channels to maps of K.
    """
    with without_autocast(x):
        norm = ROOT2 * torch.rsqrt(style.square() @ squares + EPSILON)  # (N, K)
    x = convolve(x * _per_map(style, x))
    x = torch.addcmul(_per_map(bias[None], x), x, _per_map(norm, x))
    return F.leaky_relu_(x, slope)


def to_colours(x: Tensor, style: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """What `ToRgb` computes: float32, since pictures are sums of such maps."""
    return F.conv2d(x * _per_map(style, x), kernel).float() + _per_map(bias[None], bias)


def bilinear_phases(kernels: Tensor) -> Tensor:
    """Bilinear doubling and the 3x3 convolution after it, as one 3x3 convolution per output phase.

    Exact but for the two outermost rows of pixels, where a zero beyond the small map's edge
    counts instead of the continued edge. That is what the networks are trained with.

    Shape: ``(K, C, 3, 3) -> (4K, C, 3, 3)``, in the order of `join_phases`.
    """
    taps = _phase_taps(kernels.device, kernels.dtype)
    phases = torch.einsum("pau,qbv,kcuv->pqkcab", taps, taps, kernels)
    return phases.flatten(0, 2)


def pooled_kernels(kernels: Tensor) -> Tensor:
    """A convolution and 2x2 mean pooling as a convolution of stride 2.

    Shape: ``(K, C, T, T) -> (K, C, T + 1, T + 1)``.
    """
    return F.avg_pool2d(F.pad(kernels, (1, 1, 1, 1)), 2, stride=1)


def spread_in_groups(x: Tensor, group: int) -> Tensor:
    """How far each ``group`` of neighbouring maps differ: deviations, averaged over the map.

    Shape: ``(N, C, H, W) -> (N, 1, H, W)``, N a multiple of ``group``.
    """
    groups = x.float().unflatten(0, (-1, group))
    # Written out: over an axis that is not the last, `var` takes twenty times as long on a CPU.
    variances = (groups - groups.mean(1, keepdim=True)).square().mean(1)
    deviations = (variances + EPSILON).sqrt().mean((1, 2, 3))
    each = deviations.repeat_interleave(group).view(-1, 1, 1, 1)
    return each.expand(-1, 1, *x.shape[2:]).to(x.dtype)


def _per_map(values: Tensor, like: Tensor) -> Tensor:
    """``(N, C) -> (N, C, 1, 1)``, in the type of ``like``."""
    return values[:, :, None, None].to(like.dtype)


@lru_cache(maxsize=8)
def _phase_taps(device: torch.device, dtype: torch.dtype) -> Tensor:
    """``(phase, tap on the small map, tap of the kernel)``: bilinear weights."""
    phase, small, tap = torch.meshgrid(
        torch.arange(2), torch.arange(-1, 2), torch.arange(-1, 2), indexing="ij"
    )
    place = (phase + tap + 0.5) / 2 - 0.5  # of a pixel of the doubled map, on the small one
    return (1 - (place - small).abs()).clamp_min(0).to(device, dtype)
