"""Doubling a map by Winograd's algorithm along its rows: an exact form of `phase_conv`.

Letters in shapes: N batch, C channels in, K channels out, H W map.

Two outputs of three taps take four products instead of six [1]_: F(2, 3), at the points 0, -1,
infinity and 1. At the point 1 a kernel counts as the sum of its taps. That is the same for both
row phases of a doubling, nearest or bilinear: each tap of the large kernel falls on rows of the
small map with weights whose sum is 1. So there the two phases share their product: 14
convolutions of 1x3 do the work of 24.

Along columns the convolutions stay as they are. Both ways at once would take 49 products instead
of 144, but so many more additions that it does not pay, and it rounds more in bfloat16.

References
----------
.. [1] A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.
       arXiv:1509.09308
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.device import type_in_use, without_autocast
from .convolution import phase_kernels

_PADDING = [0, 1]  # of a 1x3 kernel


def rows_upsample_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`plain_upsample_conv` by Winograd's algorithm along rows; same shapes."""
    with without_autocast(x):  # rounded once, when they are ready
        kernels = row_kernels(phase_kernels(weight))
    return row_conv(x, kernels, bias)


def row_kernels(phases: Tensor) -> Tensor:
    """Make ready for `row_conv` the kernels of four phases whose taps have equal sums by column.

    Those of `phase_kernels` and `bilinear_phases` have. There are seven for both column phases
    each: for both row phases at each of the first three points, and at the last one for both row
    phases together.

    Shape: ``(4, K, C, 3, 3) -> (7 * 2K, C, 1, 3)``, channels last.
    """
    top, middle, bottom = phases.unbind(3)  # (4, K, C, 3)
    one = (top + middle + bottom)[:2] / 2
    points = [top, (top - middle + bottom) / 2, bottom, one]
    kernels = torch.cat([point.flatten(0, 1) for point in points]).unsqueeze(2)
    return kernels.contiguous(memory_format=torch.channels_last)


def row_conv(x: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
    """Apply ready `row_kernels`: ``(N, C, H, W) -> (N, K, 2H, 2W)``, channels last.

    It has gradients of the first order only.
    """
    kind, h = type_in_use(x), x.shape[2]
    bias = None if bias is None else bias.to(kind)
    pairs = F.pad(x, (0, 0, 0, 1)) if h % 2 else x  # beyond the map are zeros
    y: Tensor = _RowConv.apply(pairs.to(kind), kernels.to(kind), bias)  # type: ignore[no-untyped-call]
    return y[:, :, : 2 * h] if h % 2 else y


class _RowConv(torch.autograd.Function):
    """Written out, as autograd would fill a whole map with zeros for every slice of rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, kernels)
        biases = 6 * [None] + [None if bias is None else bias.repeat(2)]
        parts = zip(_seven_times(_spread(x)), _seven(kernels), biases, strict=True)
        *own, one = (F.conv2d(*part, padding=_PADDING) for part in parts)
        n, _, h, w = x.shape
        y = _empty((n, len(kernels) // 14, 2 * h, 2 * w), x)
        for phase, (first, second) in enumerate(_rows_of_phases(y)):
            zero, minus, infinity = own[phase::2]
            torch.add(zero, one, out=first).add_(minus)
            torch.add(infinity, one, out=second).sub_(minus)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, kernels = ctx.saved_tensors
        needs_x, needs_kernels, needs_bias = ctx.needs_input_grad
        if needs_kernels:
            inputs = _seven_times(_spread(x))
        else:  # only the shape of what was convolved counts
            n, c, h, w = x.shape
            inputs = 7 * [_empty((n, c, h // 2, w), x)]
        parts = zip(_spread_gradient(gradient), inputs, _seven(kernels), strict=True)
        found = [_convolution_backward(*part, needs_x, needs_kernels) for part in parts]
        of_x, of_kernels = zip(*found, strict=True)
        return (
            _gather(of_x) if needs_x else None,
            torch.cat(of_kernels) if needs_kernels else None,
            gradient.sum((0, 2, 3)) if needs_bias else None,
        )


def _spread(x: Tensor) -> list[Tensor]:
    """What is convolved at each point: ``(N, C, H, W) -> (N, C, H / 2, W)`` each.

    Of four rows a, b, c, d around a pair: a - c, c - b, d - b, b + c. Beyond the map are zeros.
    """
    upper, lower = x[:, :, ::2], x[:, :, 1::2]  # b and c
    minus, one = lower - upper, lower + upper
    zero, infinity = torch.empty_like(minus), torch.empty_like(minus)
    torch.sub(lower[:, :, :-1], lower[:, :, 1:], out=zero[:, :, 1:])
    torch.neg(lower[:, :, 0], out=zero[:, :, 0])
    torch.sub(upper[:, :, 1:], upper[:, :, :-1], out=infinity[:, :, :-1])
    torch.neg(upper[:, :, -1], out=infinity[:, :, -1])
    return [zero, minus, infinity, one]


def _gather(gradients: Sequence[Tensor]) -> Tensor:
    """The gradient of `_spread`: seven times ``(N, C, H / 2, W)`` -> ``(N, C, H, W)``."""
    *own, one = gradients
    zero, minus, infinity = (own[i].add_(own[i + 1]) for i in (0, 2, 4))
    n, c, pairs, w = one.shape
    x = _empty((n, c, 2 * pairs, w), one)
    upper, lower = x[:, :, ::2], x[:, :, 1::2]
    torch.sub(one, minus, out=upper).sub_(infinity)
    upper[:, :, 1:].add_(infinity[:, :, :-1])
    torch.add(one, minus, out=lower).sub_(zero)
    lower[:, :, :-1].add_(zero[:, :, 1:])
    return x


def _spread_gradient(gradient: Tensor) -> list[Tensor]:
    """The gradient of each product: ``(N, K, 2H, 2W)`` -> seven times ``(N, 2K, H / 2, W)``."""
    whole = gradient.contiguous(memory_format=torch.channels_last)
    (first, second), (other, another) = _rows_of_phases(whole)
    one = (first + second).add_(other).add_(another)
    return [first, other, first - second, other - another, second, another, one]


def _rows_of_phases(y: Tensor) -> list[list[Tensor]]:
    """Views of a doubled map, channels last, by row phase and by place in a pair of small rows.

    Shape: ``(N, K, 2H, 2W)`` -> two by two of ``(N, 2K, H / 2, W)``, both column phases in one.
    """
    n, k, h, w = y.shape
    rows = y.permute(0, 2, 3, 1).view(n, h // 4, 4, w // 2, 2 * k)
    first, other, second, another = rows.permute(2, 0, 4, 1, 3).unbind()
    return [[first, second], [other, another]]


def _empty(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """A map without values, channels last."""
    return torch.empty(
        shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last
    )


def _seven(kernels: Tensor) -> tuple[Tensor, ...]:
    return kernels.split(len(kernels) // 7)


def _seven_times(points: list[Tensor]) -> list[Tensor]:
    """For both row phases, which have the last point in common."""
    zero, minus, infinity, one = points
    return [zero, zero, minus, minus, infinity, infinity, one]


def _convolution_backward(
    gradient: Tensor, x: Tensor, kernel: Tensor, needs_x: bool, needs_kernel: bool
) -> tuple[Tensor, Tensor]:
    """The gradients of a 1x3 convolution, of its input and of its kernel, as far as wanted."""
    once, none, wanted = [1, 1], [0, 0], [needs_x, needs_kernel, False]
    of_x, of_kernel, _ = torch.ops.aten.convolution_backward.default(
        gradient, x, kernel, None, once, _PADDING, once, False, none, 1, wanted
    )
    return of_x, of_kernel
