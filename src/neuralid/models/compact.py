"""Matrices in 8 bits a number: a scale for each row, in half the room of half precision.

Letters in shapes: R rows, C numbers in each.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

LARGE = 500_000  # numbers in a matrix that is worth storing in 8 bits
STEPS = 127  # from zero to the largest number of a row
_WHOLE, _SCALE = "_int8", "_scale"  # what a tensor's name ends with, in two parts


def to_bytes(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """A matrix, or a kernel whose first axis leads, as two tensors under names of their own.

    Shape: ``(R, ...)`` -> ``NAME_int8``, int8 of that shape, and ``NAME_scale``, float16 ``(R,)``.

    >>> parts = to_bytes("w", torch.tensor([[1.0, -0.5], [0.0, 0.0]]))
    >>> parts["w_int8"].tolist(), parts["w_scale"].shape
    ([[127, -64], [0, 0]], torch.Size([2]))
    """
    rows = tensor.detach().cpu().float().flatten(1)
    scale = (rows.abs().amax(1) / STEPS).to(torch.float16)
    # A row of next to nothing has a scale of 0, and becomes 0.
    divisor = torch.where(scale > 0, scale.float(), 1.0)[:, None]
    whole = (rows / divisor).round().clamp(-STEPS, STEPS).to(torch.int8)
    return {name + _WHOLE: whole.view(tensor.shape), name + _SCALE: scale}


def compact_large(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Large matrices of half precision in 8 bits, the rest as it is."""
    parts: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        is_large = tensor.ndim > 1 and tensor.numel() >= LARGE and tensor.dtype == torch.float16
        parts |= to_bytes(name, tensor) if is_large else {name: tensor}
    return parts


def whole_shapes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The shapes that `from_bytes` will give, without any tensor.

    >>> whole_shapes({"w_int8": (2, 3), "w_scale": (2,), "b": (4,)})
    {'w': (2, 3), 'b': (4,)}
    """
    scales = {name.removesuffix(_WHOLE) + _SCALE for name in shapes if name.endswith(_WHOLE)}
    return {name.removesuffix(_WHOLE): s for name, s in shapes.items() if name not in scales}


def from_bytes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo `to_bytes` wherever a name says so. Raises `ValueError`.

    Floats become float32. All are copies.

    >>> from_bytes(to_bytes("w", torch.tensor([[1.0, -0.5]])))["w"].dtype
    torch.float32
    """
    found = {}
    for name, tensor in tensors.items():
        if name.endswith(_WHOLE):
            own = name.removesuffix(_WHOLE)
            found[own] = _multiply(own, tensor, tensors.get(own + _SCALE))
        elif not (name.endswith(_SCALE) and name.removesuffix(_SCALE) + _WHOLE in tensors):
            kind = torch.float32 if tensor.is_floating_point() else tensor.dtype
            found[name] = tensor.to(kind, copy=True)
    return found


def _multiply(name: str, whole: Tensor, scale: Tensor | None) -> Tensor:
    if scale is None or whole.ndim < 1 or scale.shape != whole.shape[:1]:
        raise ValueError(f"'{name}' has no scale for each of its rows")
    if whole.dtype != torch.int8 or not scale.is_floating_point():
        raise ValueError(f"'{name}' is not of 8 bits a number")
    return whole.float().mul_(scale.float().view(-1, *[1] * (whole.ndim - 1)))
