"""Exact, faster forms of the paper's convolutions.

Letters in shapes: N batch, C channels in, K channels out, H W map, T tiles per side, P products.

Three forms of "nearest upsampling by 2, then a 5x5 convolution" live here, equal to rounding; a
fourth in `winograd`:

- `plain_upsample_conv`: as in the paper's table; 100 multiplications per input pixel.
- `phase_upsample_conv`: each of the four output phases sees a 3x3 kernel on the small map;
  36 multiplications, one convolution, then the phases are interleaved.
- `spectral_upsample_conv`: the phases as a cyclic convolution of 9x9 tiles, by real matrix
  products with the discrete Fourier transform; about 10 multiplications.

The spectral form also serves the discriminator's widest layer (`spectral_conv7`), 5x5 on a 7x7 map.
Its transforms pay off only on a CPU, and only with many faces per batch. `block_conv` is for
convolutions to a few maps, such as colours.

References
----------
.. [1] S. Winograd, "Arithmetic Complexity of Computations", SIAM 1980: bilinear algorithms,
       and the three products of a complex multiplication.
.. [2] W. Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient
       Sub-Pixel Convolutional Neural Network", CVPR 2016: phases, and how they are interleaved.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

TILE = 9  # points of the transform: 7 outputs of a 3-tap kernel, or 7 "same" outputs of 5 taps
STEP = 7  # every map of the two networks is 7 times a power of two wide


def plain_upsample_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Nearest upsampling by 2, then a "same" 5x5 convolution: the reference form.

    Shape:
        - x: ``(N, C, H, W)``
        - weight: ``(K, C, 5, 5)``; bias: ``(K,)``
        - returns: ``(N, K, 2H, 2W)``
    """
    return F.conv2d(F.interpolate(x, scale_factor=2.0, mode="nearest"), weight, bias, padding=2)


def phase_kernels(weight: Tensor) -> Tensor:
    """The 5x5 kernel as four 3x3 kernels, one per output phase (row phase a, column phase b).

    Shape:
        - weight: ``(K, C, 5, 5)``
        - returns: ``(4, K, C, 3, 3)``, phases as `join_phases` takes them
    """
    taps = _phase_taps(weight.device, weight.dtype)
    kernels = torch.einsum("auk,bvl,ockl->abocuv", taps, taps, weight)
    return kernels.flatten(0, 1)


def phase_upsample_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`plain_upsample_conv` in one 3x3 convolution on the small map; same shapes."""
    return phase_conv(x, phase_kernels(weight).flatten(0, 1), bias)


def phase_conv(x: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
    """Apply ready phase kernels ``(4K, C, 3, 3)``, in the order of `join_phases`.

    Shape: ``(N, C, H, W) -> (N, K, 2H, 2W)``.
    """
    return join_phases(F.conv2d(x, kernels, _four_times(bias), padding=1))


def join_phases(y: Tensor) -> Tensor:
    """Interleave the maps of four phases: ``(N, 4K, H, W) -> (N, K, 2H, 2W)``, channels last.

    Row phase a, column phase b of map k is channel ``(2a + b) K + k``, so that K numbers at a time
    are copied as they lie. In the order of ``pixel_shuffle``, where phases come last, its gradient
    takes up to seven times as long on a CPU.
    """
    n, channels, h, w = y.shape
    k = channels // 4
    pixels = y.permute(0, 2, 3, 1).reshape(n, h, w, 2, 2, k)
    return pixels.permute(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, k).permute(0, 3, 1, 2)


def block_kernels(weight: Tensor) -> Tensor:
    """A 5x5 kernel as a 6x6 kernel of stride 2 for each pixel of a block of two by two.

    Shape: ``(K, C, 5, 5) -> (4K, C, 6, 6)``, pixels in the order of `join_phases`.
    """
    return torch.cat([F.pad(weight, (b, 1 - b, a, 1 - a)) for a in (0, 1) for b in (0, 1)])


def block_conv(x: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
    """A "same" 5x5 convolution, four pixels at a time, by `block_kernels`; H and W even.

    A CPU with AVX-512 computes at least 16 maps at a time, of which three colours use three; as the
    four pixels of a block they use twelve, for half as many multiplications again.

    Shape: ``(N, C, H, W) -> (N, K, H, W)``.
    """
    return join_phases(F.conv2d(x, kernels, _four_times(bias), stride=2, padding=2))


def spectral_upsample_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`plain_upsample_conv` by cyclic convolution of tiles; H and W multiples of 7; same shapes."""
    return spectral_conv(x, phase_spectra(phase_kernels(weight.to(x.dtype))), bias)


def phase_spectra(kernels: Tensor) -> Tensor:
    """Transform phase kernels for `spectral_conv`: ``(4, K, C, 3, 3) -> (P, 4K, C)``."""
    _, k, c = kernels.shape[:3]
    taps = kernels.permute(3, 4, 0, 1, 2).reshape(9, -1)  # (9, 4*K*C)
    return (_tables(3, kernels).kernels @ taps).view(-1, 4 * k, c)


def spectral_conv(x: Tensor, spectra: Tensor, bias: Tensor | None) -> Tensor:
    """Apply ready spectra ``(P, 4K, C)``: ``(N, C, H, W) -> (N, K, 2H, 2W)``."""
    n, _, h, w = x.shape
    t, s, k = h // STEP, w // STEP, spectra.shape[1] // 4
    tables = _tables(3, x)

    tiles = _cut_tiles(_cut_tiles(x.permute(0, 2, 3, 1), 1), 3)  # (N, T, 9, S, 9, C)
    tiles = tiles.permute(2, 4, 0, 1, 3, 5).reshape(TILE * TILE, -1)

    y = _multiply(tables, tiles, spectra, n * t * s)  # (49, N*T*S*4*K)
    y = y.view(STEP, STEP, n, t, s, 2, 2, k)
    y = y.permute(2, 3, 0, 5, 4, 1, 6, 7).reshape(n, 2 * h, 2 * w, k)
    return _add_bias(y, bias).permute(0, 3, 1, 2)


def spectral_conv7(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A "same" 5x5 convolution of a 7x7 map: ``(N, C, 7, 7) -> (N, K, 7, 7)``.

    Two zeros extend the map to nine points per side. They separate its two ends, so a cyclic
    convolution of nine points equals the zero-padded one.

    Shape:
        - weight: ``(K, C, 5, 5)``; bias: ``(K,)``
    """
    n, c = x.shape[:2]
    k = weight.shape[0]
    tables = _tables(5, x)
    pixels = x.permute(2, 3, 0, 1).reshape(STEP * STEP, -1)  # (49, N*C)
    taps = weight.to(x.dtype).permute(2, 3, 0, 1).reshape(25, -1)  # (25, K*C)
    y = _multiply(tables, pixels, (tables.kernels @ taps).view(-1, k, c), n)
    y = y.view(STEP, STEP, n, k).permute(2, 0, 1, 3)
    return _add_bias(y, bias).permute(0, 3, 1, 2)


class _Tables(NamedTuple):
    inputs: Tensor  # (P, points in): real transform of a tile
    kernels: Tensor  # (P, taps * taps): that of a kernel
    outputs: Tensor  # (points out, P): from the products back to pixels


def _multiply(tables: _Tables, x: Tensor, spectra: Tensor, rows: int) -> Tensor:
    """Points in ``(points, rows*C)`` and spectra ``(P, K, C)`` -> points out ``(49, rows*K)``."""
    spectrum = (tables.inputs @ x).view(len(spectra), rows, -1)
    # (P, rows, K)
    products = _BatchedLinear.apply(spectrum, spectra)  # type: ignore[no-untyped-call]
    return tables.outputs @ products.view(len(spectra), -1)


def _cut_tiles(x: Tensor, axis: int) -> Tensor:
    """Cut an axis of 7 T points, with a zero beyond each end, into ``(T, 9)``, two points shared.

    The same as ``unfold``, whose gradient is several times slower.
    """
    padding = [0, 0] * (x.ndim - 1 - axis) + [1, STEP - 1]
    blocks = F.pad(x, padding).unflatten(axis, (-1, STEP))  # (.., T + 1, 7, ..)
    tiles = blocks.shape[axis] - 1
    own, after = blocks.narrow(axis, 0, tiles), blocks.narrow(axis, 1, tiles)
    return torch.cat([own, after.narrow(axis + 1, 0, TILE - STEP)], dim=axis + 1)


class _BatchedLinear(torch.autograd.Function):
    """``x @ w.transpose(1, 2)``, whose gradient for w comes out in w's own layout.

    Autograd's own comes out transposed, and transposing it back costs more than the product.

    Shape: x ``(P, N, C)``, w ``(P, K, C)`` -> ``(P, N, K)``.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        ctx.save_for_backward(x, w)
        return torch.bmm(x, w.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, w = ctx.saved_tensors
        needs_x, needs_w = ctx.needs_input_grad
        return (
            torch.bmm(gradient, w) if needs_x else None,
            torch.bmm(gradient.transpose(1, 2), x) if needs_w else None,
        )


def _four_times(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.repeat(4)


def _add_bias(y: Tensor, bias: Tensor | None) -> Tensor:
    return y if bias is None else y + bias.to(y.dtype)


@lru_cache(maxsize=8)
def _phase_taps(device: torch.device, dtype: torch.dtype) -> Tensor:
    """``(phase, tap on the small map, tap of the kernel)``: which taps meet the same pixel."""
    taps = torch.zeros(2, 3, 5)
    for phase in range(2):
        for tap in range(5):
            taps[phase, (phase + tap - 2) // 2 + 1, tap] = 1
    return taps.to(device, dtype)


def _tables(taps: int, like: Tensor) -> _Tables:
    """The matrices for kernels of ``taps`` by ``taps``, with the device and type of ``like``."""
    return _cached_tables(taps, like.device, like.dtype)


@lru_cache(maxsize=8)
def _cached_tables(taps: int, device: torch.device, dtype: torch.dtype) -> _Tables:
    """Real matrices of a cyclic correlation of 9x9 points; `_rows` gives the rows of one frequency.

    With 3 taps the tile comes with its border, so output o starts at input o; with 5 taps
    the 7x7 map comes alone, so output o starts two points before input o.
    """
    before = 2 if taps == 5 else 0
    points = np.arange(TILE if taps == 3 else STEP)
    x, w = _phases(points), _phases(np.arange(taps))
    y = _phases(np.arange(STEP) - before)
    rows = [_rows(x[f], w[f].conj(), y[f].conj() / TILE**2, real) for f, real in _frequencies()]
    inputs, kernels, back = (np.concatenate(part) for part in zip(*rows, strict=True))
    matrices = (inputs, kernels, back.T.copy())
    return _Tables(*(torch.tensor(m, dtype=dtype, device=device) for m in matrices))


def _phases(points: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """``exp(-2 pi i (u a + v b) / 9)`` over a square of points, for each frequency (u, v)."""
    a, b = np.meshgrid(points, points, indexing="ij")
    turn = -2j * np.pi / TILE
    return {f: np.exp(turn * (f[0] * a + f[1] * b)).ravel() for f, _ in _frequencies()}


def _frequencies() -> list[tuple[tuple[int, int], bool]]:
    """Half of the plane, since the data are real; and whether a frequency is its own mirror."""
    plane = [(u, v) for u in range(TILE) for v in range(TILE)]
    mirrored = {(u, v): ((-u) % TILE, (-v) % TILE) for u, v in plane}
    return [(f, f == mirrored[f]) for f in plane if f <= mirrored[f]]


def _rows(
    x: np.ndarray, w: np.ndarray, y: np.ndarray, real: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One product for a real frequency, three [1]_ for a complex one (times 2, for its mirror)."""
    if real:
        return x.real[None], w.real[None], y.real[None]
    return (
        np.stack([x.real + x.imag, x.real, x.imag]),
        np.stack([w.real, w.imag - w.real, w.real + w.imag]),
        2 * np.stack([y.real - y.imag, -y.imag, -y.real]),
    )
