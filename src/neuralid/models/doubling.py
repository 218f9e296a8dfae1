"""A convolution that doubles its map, for inference: the kernels of its forms are ready."""

from __future__ import annotations

import torch
from torch import Tensor

from .convolution import phase_conv
from .forms import FormedLayer
from .winograd import row_conv, row_kernels


class Doubling(FormedLayer):
    """The four phases of a doubled map; on a CPU by rows, unless another form was chosen.

    Shape:
        - phases: ``(4, K, C, 3, 3)``, as `phase_kernels` gives them; bias: ``(K,)`` or None;
          side: H and W. An odd one leaves only the form "phases".
        - forward: ``(N, C, H, W) -> (N, K, 2H, 2W)``
    """

    bias: Tensor | None

    def __init__(self, phases: Tensor, bias: Tensor | None, side: int) -> None:
        super().__init__()
        self.forms = ("phases",) if side % 2 else ("rows", "phases")
        self.kernel_names, self.input_shape = self.forms, (phases.shape[2], side, side)
        self._keep("phases", phases.flatten(0, 1))
        if "rows" in self.forms:
            self._keep("rows", row_kernels(phases))
        self.register_buffer("bias", None if bias is None else bias.float())

    def forward(self, x: Tensor) -> Tensor:
        if self.is_by_rows(x):
            return row_conv(x, self.get_buffer("rows"), self.bias)
        return phase_conv(x, self.get_buffer("phases"), self.bias)

    def is_by_rows(self, x: Tensor) -> bool:
        """Whether an input goes by rows."""
        return (self.form or (self.forms[0] if x.device.type == "cpu" else "phases")) == "rows"

    def _keep(self, name: str, kernel: Tensor) -> None:
        kernel = kernel.float().contiguous(memory_format=torch.channels_last)
        self.register_buffer(name, kernel)
