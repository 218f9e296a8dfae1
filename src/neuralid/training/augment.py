"""DiffAugment: the same random, differentiable changes to real and generated faces.

References
----------
.. [1] S. Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training",
       NeurIPS 2020. arXiv:2006.10738
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ConfigError


def diff_augment(x: Tensor, policy: str) -> Tensor:
    """Apply a comma-separated policy of "color", "translation" and "cutout"; "" changes nothing.

    Shape: ``(N, 3, S, S) -> (N, 3, S, S)``.
    """
    for name in filter(None, policy.split(",")):
        if name not in POLICIES:
            raise ConfigError(f"no augmentation '{name}'", hint=f"there are {', '.join(POLICIES)}")
        x = POLICIES[name](x)
    return x


def _color(x: Tensor) -> Tensor:
    brightness, saturation, contrast = torch.rand(3, x.shape[0], 1, 1, 1, device=x.device)
    x = x + (brightness - 0.5) / 2  # the paper's pixels span 1, DiffAugment's 2
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * (2 * saturation) + grey
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * (contrast + 0.5) + mean


def _translation(x: Tensor) -> Tensor:
    """Move each face by up to an eighth of its side; black comes in."""
    n, _, s, _ = x.shape
    most = s // 8
    moves = torch.randint(-most, most + 1, (2, n, 1, 1), device=x.device)
    padded = F.pad(x, (most, most, most, most))
    pixels = torch.arange(s, device=x.device) + most
    rows = (pixels.view(1, s, 1) + moves[0]).expand(n, s, s)
    columns = (pixels.view(1, 1, s) + moves[1]).expand(n, s, s)
    image = torch.arange(n, device=x.device).view(n, 1, 1)
    return padded.permute(0, 2, 3, 1)[image, rows, columns].permute(0, 3, 1, 2)


def _cutout(x: Tensor) -> Tensor:
    """Blank a square of half the side, at a random place."""
    n, _, s, _ = x.shape
    centres = torch.randint(0, s + 1, (2, n, 1), device=x.device)
    pixels = torch.arange(s, device=x.device).view(1, s)
    rows, columns = ((pixels - centre).abs() < s // 4 for centre in centres)
    return x * ~(rows[:, :, None] & columns[:, None, :])[:, None]


POLICIES = {"color": _color, "translation": _translation, "cutout": _cutout}
