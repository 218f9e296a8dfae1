"""Networks made ready for inference in one precision, once instead of in every call."""

from __future__ import annotations

import copy
from itertools import chain
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..core.device import device_of
from .forms import fastest_form, layers_with_forms

Network = TypeVar("Network", bound=nn.Module)
FEW = 8  # faces that forms of layers are tried with


def prepare(network: Network, precision: str, *, to_search: bool = False) -> Network:
    """A network for bfloat16: kernels cast, layers in their fastest forms; itself for fp32.

    Autocast would cast kernels anew in each call: it keeps its casts of parameters that are
    trained, and of nothing else. A module names those of its buffers that are kernels in
    ``kernel_names``. All other parameters and buffers are shared with the original, which is not
    changed. For use within autocast only.

    Forms are tried on a CPU. In float32 they are not, so that a seed's face does not depend on it.
    A search, which needs gradients for a few photos, reads a matrix faster column by column: on
    the way back in half the time, on the way there in a tenth more.
    """
    if precision != "bf16":
        return network
    known: dict[int, Tensor] = {
        id(tensor): tensor for tensor in chain(network.parameters(), network.buffers())
    }
    for module in network.modules():
        for name in getattr(module, "kernel_names", ()):
            kernel = module.get_buffer(name)
            cast = kernel.to(torch.bfloat16)
            by_column = to_search and kernel.ndim == 2
            known[id(kernel)] = cast.t().contiguous().t() if by_column else cast
    ready = copy.deepcopy(network, known)
    if device_of(ready).type == "cpu":
        _choose_forms(ready, precision)
    return ready


def _choose_forms(network: nn.Module, precision: str) -> None:
    for layer in layers_with_forms(network).values():
        if layer.input_shape is not None:
            layer.form = fastest_form(layer, (FEW, *layer.input_shape), precision)[0]
