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

from ..core.errors import ConfigError
from ..models.share import WHOLE, Share


def diff_augment(x: Tensor, policy: str, share: Share = WHOLE) -> Tensor:
    """Apply a comma-separated policy of "color", "translation" and "cutout"; "" changes nothing.

    ``share`` says which rows these are of a batch that several processes share out, and where the
    random numbers come from.

    Shape: ``(N, 3, S, S) -> (N, 3, S, S)``.
    """
    for name in filter(None, policy.split(",")):
        if name not in POLICIES:
            raise ConfigError(f"no augmentation '{name}'", hint=f"there are {', '.join(POLICIES)}")
        x = POLICIES[name](x, share)
    return x


def _color(x: Tensor, share: Share) -> Tensor:
    # No more axes than are needed: older MPS kernels fill five wrongly.
    dice = torch.rand(3, len(x) * share.size, generator=share.rng, device=x.device)
    brightness, saturation, contrast = map(share.of, dice.view(3, -1, 1, 1, 1))
    x = x + (brightness - 0.5) / 2  # the paper's pixels span 1, DiffAugment's 2
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * (2 * saturation) + grey
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * (contrast + 0.5) + mean


def _translation(x: Tensor, share: Share) -> Tensor:
    """Move each face by up to an eighth of its side; black comes in."""
    n, _, s, _ = x.shape
    most = s // 8
    places = (2, n * share.size, 1, 1)
    dice = torch.randint(-most, most + 1, places, generator=share.rng, device=x.device)
    down, right = map(share.of, dice)
    padded = F.pad(x, (most, most, most, most))
    pixels = torch.arange(s, device=x.device) + most
    rows = (pixels.view(1, s, 1) + down).expand(n, s, s)
    columns = (pixels.view(1, 1, s) + right).expand(n, s, s)
    image = torch.arange(n, device=x.device).view(n, 1, 1)
    return padded.permute(0, 2, 3, 1)[image, rows, columns].permute(0, 3, 1, 2)


def _cutout(x: Tensor, share: Share) -> Tensor:
    """Blank a square of half the side, at a random place."""
    n, _, s, _ = x.shape
    places = (2, n * share.size, 1)
    dice = torch.randint(0, s + 1, places, generator=share.rng, device=x.device)
    pixels = torch.arange(s, device=x.device).view(1, s)
    rows, columns = ((pixels - centre).abs() < s // 4 for centre in map(share.of, dice))
    return x * ~(rows[:, :, None] & columns[:, None, :])[:, None]


POLICIES = {"color": _color, "translation": _translation, "cutout": _cutout}
