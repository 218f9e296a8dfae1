"""What the machine can do at best: a large matrix product and a large convolution."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from neuralid.core.device import can_bfloat16

from .timing import Way

SIDE = 2048  # of the matrices
FACES, MAP, WIDTH = 16, 28, 256  # of a 3x3 convolution
OPERATIONS = 2.0 * SIDE**3  # of the product
PART = FACES * MAP**2 * 9 * WIDTH**2 / SIDE**3  # of these, in the convolution


def precisions() -> tuple[str, ...]:
    """Those that the program may choose from on this CPU."""
    return ("fp32", "bf16") if can_bfloat16() else ("fp32",)


def limits() -> list[Way]:
    """Ways named ``matrix fp32``, ``convolution fp32`` and so on, of parts of `OPERATIONS`."""
    found = []
    for name in precisions():
        kind = torch.bfloat16 if name == "bf16" else torch.float32
        a, b = (torch.randn(SIDE, SIDE).to(kind) for _ in range(2))
        found.append(Way(f"matrix {name}", partial(torch.mm, a, b)))
        x, kernels = torch.randn(FACES, WIDTH, MAP, MAP), torch.randn(WIDTH, WIDTH, 3, 3)
        x, kernels = (
            each.to(kind).contiguous(memory_format=torch.channels_last) for each in (x, kernels)
        )
        run = partial(F.conv2d, x, kernels, padding=1)
        found.append(Way(f"convolution {name}", run, part=PART))
    return found


def operations_of(network: Callable[..., object], *inputs: torch.Tensor) -> float:
    """Operations of one pass forwards, a multiplication and an addition being two."""
    with FlopCounterMode(display=False) as counter:  # which fails where gradients are off
        network(*inputs)
    return float(counter.get_total_flops())
