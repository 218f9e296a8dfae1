"""Kernels of networks for inference, cast to bfloat16 once instead of in every call."""

from __future__ import annotations

import copy
from itertools import chain
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def cast_kernels(network: Network, precision: str) -> Network:
    """A network whose kernels are in the type that `autocast` would give them; itself for fp32.

    Autocast casts them anew in each call: it keeps its casts of parameters that are trained, and of
    nothing else. What comes out is the same to the bit. A module names those of its buffers that
    are kernels in ``kernel_names``. All other parameters and buffers are shared with the original,
    which is not changed. For use within autocast only.
    """
    if precision != "bf16":
        return network
    known: dict[int, Tensor] = {
        id(tensor): tensor for tensor in chain(network.parameters(), network.buffers())
    }
    for module in network.modules():
        for name in getattr(module, "kernel_names", ()):
            kernel = module.get_buffer(name)
            known[id(kernel)] = kernel.to(torch.bfloat16)
    return copy.deepcopy(network, known)
