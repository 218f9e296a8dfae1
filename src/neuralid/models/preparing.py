"""Networks made ready for inference in bfloat16, once instead of in every call."""

from __future__ import annotations

import copy
from itertools import chain
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def prepare(network: Network, precision: str, *, to_search: bool = False) -> Network:
    """A network whose kernels are in the type that `autocast` would give them; itself for fp32.

    Autocast casts them anew in each call: it keeps its casts of parameters that are trained, and of
    nothing else. A module names those of its buffers that are kernels in ``kernel_names``. All
    other parameters and buffers are shared with the original, which is not changed. For use within
    autocast only.

    A search, which needs gradients for a few photos, reads a matrix faster column by column on a
    CPU: on the way back in half the time, on the way there in a tenth more.
    """
    if precision != "bf16":
        return network
    known: dict[int, Tensor] = {
        id(tensor): tensor for tensor in chain(network.parameters(), network.buffers())
    }
    for module in network.modules():
        for name in getattr(module, "kernel_names", ()):
            kernel = module.get_buffer(name)
            known[id(kernel)] = _cast(kernel, by_column=to_search and kernel.device.type == "cpu")
    return copy.deepcopy(network, known)


def _cast(kernel: Tensor, by_column: bool) -> Tensor:
    cast = kernel.to(torch.bfloat16)
    return cast.t().contiguous().t() if by_column and cast.ndim == 2 else cast
