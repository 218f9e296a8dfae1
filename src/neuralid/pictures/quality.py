"""How alike two pictures are: PSNR, SSIM and MS-SSIM.

References
----------
.. [1] Z. Wang et al., "Image Quality Assessment: From Error Visibility to Structural
       Similarity", IEEE Transactions on Image Processing 13(4), 2004.
.. [2] Z. Wang, E. P. Simoncelli, A. C. Bovik, "Multi-Scale Structural Similarity for Image Quality
       Assessment", Asilomar Conference on Signals, Systems and Computers, 2003.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601
WINDOW, SPREAD = 11, 1.5  # side and standard deviation of the Gaussian window in [1]_, pixels
C1, C2 = 0.01**2, 0.03**2  # its constants, for pixels that span 1
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # weights of [2]_, finest scale first


def psnr(faces: Tensor, targets: Tensor, inside: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio of each face, dB; the peak is 1, the whole range of a pixel.

    With ``inside``, the weight of each pixel.

    Shape: two of ``(N, 3, S, S)``, and ``(N, 1, S, S)`` -> ``(N,)``.
    """
    error = (faces - targets).double().square()
    if inside is not None:
        error = error * (inside / inside.mean((1, 2, 3), keepdim=True).clamp_min(1e-6))
    error = error.flatten(1).mean(1)
    return (-10 * error.clamp_min(1e-10).log10()).float()


def ssim(faces: Tensor, targets: Tensor) -> Tensor:
    """Mean structural similarity of each face's luma [1]_: 1 for equal pictures.

    Shape: two of ``(N, 3, S, S)`` in ``[-0.5, 0.5]``, S at least 11 -> ``(N,)``.
    """
    light, structure = _compare(_luma(faces), _luma(targets))
    return (light * structure).flatten(1).mean(1).float()


def ms_ssim(faces: Tensor, targets: Tensor) -> Tensor:
    """Structural similarity of each face's luma at several scales [2]_: 1 for equal pictures.

    Of the five scales in [2]_, those large enough for the window are used: 2 for faces of 28
    pixels, 3 for 56, 4 for 112. Their weights are normalised. Structure of opposite sign counts
    as 0.

    Shape: two of ``(N, 3, S, S)`` in ``[-0.5, 0.5]``, S at least 11 -> ``(N,)``.
    """
    x, y = _luma(faces), _luma(targets)
    count = min(len(SCALES), int(math.log2(x.shape[2] / WINDOW)) + 1)
    total = torch.ones(len(x), dtype=x.dtype, device=x.device)
    for scale in range(count):
        light, structure = _compare(x, y)
        alike = structure if scale < count - 1 else light * structure
        weight = SCALES[scale] / sum(SCALES[:count])
        total *= alike.flatten(1).mean(1).clamp_min(0) ** weight
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return total.float()


def _compare(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """How alike two lumas are in brightness and in structure, at each position of the window."""
    mean_x, mean_y = _blur(x), _blur(y)
    spread = _blur(x * x) + _blur(y * y) - mean_x**2 - mean_y**2
    shared = _blur(x * y) - mean_x * mean_y
    light = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return light, (2 * shared + C2) / (spread + C2)


def _luma(pictures: Tensor) -> Tensor:
    weights = pictures.new_tensor(LUMA, dtype=torch.float64)
    return torch.einsum("nchw,c->nhw", pictures.double() + 0.5, weights)[:, None]  # (N, 1, S, S)


def _blur(x: Tensor) -> Tensor:
    """Window-weighted means, where the window fits: ``(N, 1, S, S) -> (N, 1, S - 10, S - 10)``."""
    places = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    weights = (-(places**2) / (2 * SPREAD**2)).exp()
    weights = weights / weights.sum()
    return F.conv2d(F.conv2d(x, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))
