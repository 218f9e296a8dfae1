"""Sliced Wasserstein distance between small patches of faces, at full and at half size.

Letters in shapes: N faces, S side of a face, M patches of all faces, D directions.

References
----------
.. [1] T. Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and
       Variation", ICLR 2018. arXiv:1710.10196 (section 5)
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .case import Case

PATCH = 7  # side of a patch, pixels
PATCHES = 64  # of each face and level; [1]_ has 128
DIRECTIONS = 256  # that patches are projected on; [1]_ has 512
_AT_ONCE = 64  # directions at a time, to bound the memory
_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def measure_patches(case: Case) -> dict[str, float]:
    full, half = sliced_wasserstein(case.real.faces.pictures, case.drawn.pictures)
    return {"swd_full": full, "swd_half": half}


def sliced_wasserstein(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Distances of two sets of faces at full and at half size, times 1000 [1]_.

    As there, faces are split into a Laplacian pyramid. The full size holds only what the half size
    does not show, edges and noise; the half size, the last level here, holds the rest. Patches are
    cut at the same random places in both sets, and the random directions are fixed, so equal sets
    have distance 0.

    Shape: ``(N, 3, S, S)`` each, the same N in both, S at least 14.
    """
    full, half = (_distance(x, y) for x, y in zip(pyramid(a), pyramid(b), strict=True))
    return full, half


def pyramid(faces: Tensor) -> tuple[Tensor, Tensor]:
    """``(N, 3, S, S)`` -> detail lost by halving, ``(N, 3, S, S)``, and ``(N, 3, S/2, S/2)``."""
    half = _blur(faces)[:, :, ::2, ::2]
    between = torch.zeros_like(faces)
    between[:, :, ::2, ::2] = half
    return faces - 4 * _blur(between), half


def _distance(a: Tensor, b: Tensor) -> float:
    x, y = _patches(a), _patches(b)
    rng = torch.Generator().manual_seed(0)
    directions = torch.randn(DIRECTIONS, x.shape[1], generator=rng).to(x.device)
    directions = directions / directions.norm(dim=1, keepdim=True)
    apart = [
        ((d @ x.T).sort(1).values - (d @ y.T).sort(1).values).abs().mean()
        for d in directions.split(_AT_ONCE)
    ]
    return 1000 * float(torch.stack(apart).mean())


def _patches(level: Tensor) -> Tensor:
    """Random patches, standardised per channel: ``(N, 3, S, S) -> (M, 3 * 49)``."""
    n, side = len(level), level.shape[2]
    corners = torch.randint(
        side - PATCH + 1, (2, n, PATCHES, 1, 1), generator=torch.Generator().manual_seed(0)
    )
    reach = torch.arange(PATCH)
    rows, columns = corners[0] + reach[:, None], corners[1] + reach  # (n, PATCHES, 7, 1), (..1, 7)
    faces = torch.arange(n)[:, None, None, None]
    places = ((faces * side + rows) * side + columns).to(level.device)  # (n, PATCHES, 7, 7)
    values = level.permute(0, 2, 3, 1).reshape(-1, 3)[places]  # (n, PATCHES, 7, 7, 3)
    spread, mean = torch.std_mean(values, dim=(0, 1, 2, 3), correction=0)
    return ((values - mean) / spread.clamp_min(1e-8)).reshape(n * PATCHES, -1)


def _blur(faces: Tensor) -> Tensor:
    """A small binomial filter, mirrored at the border: same shape."""
    kernel = faces.new_tensor(_BINOMIAL).expand(3, 1, 1, 5)
    across = F.conv2d(F.pad(faces, (2, 2, 0, 0), mode="reflect"), kernel, groups=3)
    return F.conv2d(F.pad(across, (0, 0, 2, 2), mode="reflect"), kernel.mT, groups=3)
