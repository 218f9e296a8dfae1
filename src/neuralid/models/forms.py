"""Layers that can be computed in several exact forms, of which the machine decides the fastest.

Shape letters: N batch, C channels in, H W map.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..core.device import autocast
from ..core.trying import Trial, fastest


class FormedLayer(nn.Module):
    """A layer with ``forms``, their names; ``form`` is the one to use.

    None: by the device and the batch.
    """

    forms: ClassVar[tuple[str, ...]]
    form: str | None = None


def layers_with_forms(network: nn.Module) -> dict[str, FormedLayer]:
    """Those layers of a network, by their names in it."""
    return {name: part for name, part in network.named_modules() if isinstance(part, FormedLayer)}


def set_forms(network: nn.Module, forms: Mapping[str, str]) -> None:
    """Choose the form of each layer named. Raises `ValueError` for a layer or form there is not."""
    layers = layers_with_forms(network)
    for name, form in forms.items():
        if name not in layers or form not in layers[name].forms:
            raise ValueError(f"no layer '{name}' with a form '{form}'")
    for name, form in forms.items():
        layers[name].form = form


def fastest_forms(
    network: nn.Module, example: Sequence[Tensor], batch: int, precision: str
) -> dict[str, str]:
    """The fastest form of each layer in training on this machine's CPU, by the layer's name.

    It is empty where nothing may be tried. ``network`` is on the meta device and only for this;
    ``example`` is what it is called with there, a batch of one.
    """
    found = {}
    for name, (layer, shape) in _inputs(network, example).items():
        whole = (batch, *shape[1:])
        layout = f"{tuple(next(layer.parameters()).shape)} of {whole}"
        ways = {form: partial(_ready, layer, form, whole, precision) for form in layer.forms}
        trial = Trial(f"{type(layer).__name__} {layout}, {precision}", ways, layer.forms[0])
        form, seconds = fastest(trial)
        if seconds:
            found[name] = form
    return found


def _inputs(
    network: nn.Module, example: Sequence[Tensor]
) -> dict[str, tuple[FormedLayer, torch.Size]]:
    """Each such layer and what it is given, ``(N, C, H, W)``, without computing anything."""
    seen: dict[str, tuple[FormedLayer, torch.Size]] = {}
    hooks = []
    for name, layer in layers_with_forms(network).items():

        def see(part: FormedLayer, given: tuple[Tensor, ...], name: str = name) -> None:
            seen[name] = (part, given[0].shape)

        hooks.append(layer.register_forward_pre_hook(see))
    network(*example)
    for hook in hooks:
        hook.remove()
    return seen


def _ready(
    layer: FormedLayer, form: str, shape: tuple[int, ...], precision: str
) -> Callable[[], object]:
    """One pass forwards and backwards through a copy of the layer with random weights.

    Gradients are not kept: adding to them would be timed, too.
    """
    rng = torch.Generator().manual_seed(0)
    own = copy.deepcopy(layer).to_empty(device="cpu")
    own.form = form
    for parameter in own.parameters():
        nn.init.normal_(parameter, std=0.02, generator=rng)
    x = torch.randn(shape, generator=rng).contiguous(memory_format=torch.channels_last)
    x.requires_grad_()

    def work() -> None:
        with autocast(x.device, precision):
            y = own(x)
        torch.autograd.grad(y, [x, *own.parameters()], y.detach())

    return work
