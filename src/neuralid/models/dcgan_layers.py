"""The layers of the paper's networks that are computed in other forms; see `convolution`.

Letters in shapes: N batch, C channels in, K channels out, H W map.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from .convolution import (
    block_conv,
    block_kernels,
    phase_upsample_conv,
    spectral_conv7,
    spectral_upsample_conv,
)
from .forms import FormedLayer
from .winograd import rows_upsample_conv

# Where nothing was tried, the spectral forms are taken on a CPU for so many faces and more, and for
# maps of so many pixels a side and fewer.
SPECTRAL_BATCH = 16
SMALL = 28


class UpConv(nn.ConvTranspose2d, FormedLayer):
    """Nearest upsampling by 2, then the table's 5x5 transposed convolution of stride 1.

    Shape: ``(N, C, H, W) -> (N, K, 2H, 2W)``.
    """

    forms = ("rows", "phases", "spectral")

    def __init__(self, c: int, k: int) -> None:
        super().__init__(c, k, 5, padding=2)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        kernel = as_conv_kernel(self.weight)
        if self.form == "rows":
            return rows_upsample_conv(x, kernel, self.bias)
        small = x.shape[-1] <= SMALL
        if self.form == "spectral" or (self.form is None and small and _prefers_spectral(x)):
            return spectral_upsample_conv(x, kernel, self.bias)
        return phase_upsample_conv(x, kernel, self.bias)


class SameConv(nn.ConvTranspose2d):
    """The table's transposed convolution of stride 1; on a CPU as a convolution, a tenth faster.

    Shape: ``(N, C, H, W) -> (N, K, H, W)``.
    """

    def __init__(self, c: int, k: int) -> None:
        super().__init__(c, k, 5, padding=2)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if x.device.type == "cpu":
            return F.conv2d(x, as_conv_kernel(self.weight), self.bias, padding=2)
        return super().forward(x)


class ColourConv(SameConv, FormedLayer):
    """The table's last transposed convolution, 5x5 of stride 1, to few maps.

    Shape: ``(N, C, H, W) -> (N, K, H, W)``, H and W even.
    """

    forms = ("blocks", "direct")

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if self.form == "blocks" or (self.form is None and x.device.type == "cpu"):
            return block_conv(x, block_kernels(as_conv_kernel(self.weight)), self.bias)
        return super().forward(x)


class Conv7(nn.Conv2d, FormedLayer):
    """The discriminator's widest layer: 5x5, "same", on a 7x7 map."""

    forms = ("direct", "spectral")

    def __init__(self, c: int, k: int) -> None:
        super().__init__(c, k, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        if self.form == "spectral" or (self.form is None and _prefers_spectral(x)):
            return spectral_conv7(x, self.weight, self.bias)
        return super().forward(x)


def as_conv_kernel(weight: Tensor) -> Tensor:
    """A transposed convolution of stride 1 as a convolution: ``(C, K, 5, 5) -> (K, C, 5, 5)``."""
    return weight.flip(2, 3).transpose(0, 1)


def _prefers_spectral(x: Tensor) -> bool:
    """Whether the spectral forms are mostly the faster ones, where that was not tried."""
    return x.device.type == "cpu" and x.shape[0] >= SPECTRAL_BATCH
