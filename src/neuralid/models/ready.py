"""Layers of the style-based networks for inference: all that depends on weights alone is ready.

Equal to the layers in `modulation`, to rounding; shapes are theirs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.device import without_autocast
from .doubling import Doubling
from .modulation import (
    EqualConv,
    EqualLinear,
    StyledConv,
    ToRgb,
    convolve_styled,
    to_colours,
)


class ReadyLinear(nn.Module):
    """An `EqualLinear` whose weights are scaled already."""

    weight: Tensor
    bias: Tensor

    def __init__(self, source: EqualLinear) -> None:
        super().__init__()
        self.register_buffer("weight", source.weight.detach() * source.gain)
        self.register_buffer("bias", source.bias.detach() * source.rate)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class ReadyConv(nn.Module):
    """A `StyledConv` whose kernels, phases and squares are ready."""

    squares: Tensor
    bias: Tensor

    def __init__(self, source: StyledConv) -> None:
        super().__init__()
        self.affine, self.slope = ReadyLinear(source.affine), source.slope
        kernels, squares = (each.detach() for each in source.kernels())
        if source.up:
            self.convolve: nn.Module = Doubling(kernels.unflatten(0, (4, -1)), None)
        else:
            self.convolve = _ReadyKernel(kernels)
        self.register_buffer("squares", squares.contiguous())
        self.register_buffer("bias", source.bias.detach().clone())

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        with without_autocast(x):
            style = self.affine(w)
        return convolve_styled(x, style, self.convolve, self.squares, self.bias, self.slope)


class _ReadyKernel(nn.Module):
    """A convolution whose kernel is ready."""

    kernel_names = ("kernel",)
    kernel: Tensor
    bias: Tensor | None

    def __init__(
        self, kernel: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 1
    ) -> None:
        super().__init__()
        kernel = kernel.detach().contiguous(memory_format=torch.channels_last)
        self.register_buffer("kernel", kernel)
        self.register_buffer("bias", None if bias is None else bias.detach().clone())
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel, self.bias, stride=self.stride, padding=self.padding)


class ReadyRgb(nn.Module):
    """A `ToRgb` whose kernel is ready."""

    kernel_names = ("kernel",)
    kernel: Tensor
    bias: Tensor

    def __init__(self, source: ToRgb) -> None:
        super().__init__()
        self.affine = ReadyLinear(source.affine)
        self.register_buffer("kernel", source.weight.detach() * source.gain)
        self.register_buffer("bias", source.bias.detach().clone())

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        with without_autocast(x):
            style = self.affine(w)
        return to_colours(x, style, self.kernel, self.bias)


def make_ready(layer: nn.Module) -> nn.Module:
    """The form for inference of a layer or of a list of layers."""
    if isinstance(layer, nn.ModuleList):
        return nn.ModuleList(make_ready(each) for each in layer)
    if isinstance(layer, EqualLinear):
        return ReadyLinear(layer)
    if isinstance(layer, StyledConv):
        return ReadyConv(layer)
    if isinstance(layer, EqualConv):
        # Scaled, and pooled, already.
        return _ReadyKernel(layer.kernels(), layer.bias, layer.stride, layer.padding)
    assert isinstance(layer, ToRgb)
    return ReadyRgb(layer)
