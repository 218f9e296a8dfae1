"""A convolution that doubles its map, for inference: kernels are ready."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..core.device import has_matrix_units, type_in_use
from .convolution import phase_conv
from .winograd import row_conv, row_kernels


class Doubling(nn.Module):
    """The four phases of a doubled map, on most CPUs by pairs of rows.

    How they go is a matter of the processor and the type alone: what is drawn may not depend on
    what was found fastest. With matrix units for bfloat16, convolutions are no longer what takes
    the time, and the sums of pairs of rows would not pay.

    Shape:
        - phases: ``(4, K, C, 3, 3)`` of `phase_kernels`, or of `bilinear_phases` by phase;
          bias: ``(K,)`` or None
        - forward: ``(N, C, H, W) -> (N, K, 2H, 2W)``
    """

    kernel_names = ("phases", "rows")
    phases: Tensor
    rows: Tensor
    bias: Tensor | None

    def __init__(self, phases: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self._keep("phases", phases.flatten(0, 1))
        self._keep("rows", row_kernels(phases))
        self.register_buffer("bias", None if bias is None else bias.float())

    def forward(self, x: Tensor) -> Tensor:
        if self.is_by_rows(x):
            return row_conv(x, self.rows, self.bias)
        return phase_conv(x, self.phases, self.bias)

    def is_by_rows(self, x: Tensor) -> bool:
        """Whether an input goes by pairs of rows."""
        is_fast = type_in_use(x) == torch.bfloat16 and has_matrix_units()
        return x.device.type == "cpu" and not is_fast

    def _keep(self, name: str, kernel: Tensor) -> None:
        kernel = kernel.float().contiguous(memory_format=torch.channels_last)
        self.register_buffer(name, kernel)
