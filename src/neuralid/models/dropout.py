"""Dropout that draws little, and each process its own rows of one mask."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .share import WHOLE, Share


class Dropout(nn.Module):
    """Dropout whose mask costs one random byte per value; the rate is rounded to 1/256.

    ``nn.Dropout`` draws a full random number per value, 25 times slower on a CPU: that is a twelfth
    of a training step. When several processes share a batch, each uses its own rows of the mask.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.threshold = round(rate * 256)

    def forward(self, x: Tensor, share: Share = WHOLE) -> Tensor:
        if not self.training or self.threshold == 0:
            return x
        dice = random_bytes(x.numel() * share.size, x.device, share.rng)
        dice = share.of(dice.view(len(x) * share.size, -1))
        # In x's own type: arithmetic on booleans is several times slower.
        scale = dice.to(x.dtype).ge_(self.threshold).mul_(256 / (256 - self.threshold))
        return x * scale.view(x.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)


def random_bytes(count: int, device: torch.device, rng: torch.Generator | None) -> Tensor:
    """``(count,)``, uint8, from a generator on the device, eight per 64-bit word."""
    if device.type == "mps":  # its kernel draws int32, and rejects the full range of int64
        return torch.empty(count, dtype=torch.uint8, device=device).random_(0, 256, generator=rng)
    words = torch.empty((count + 7) // 8, dtype=torch.int64, device=device)
    return words.random_(-(1 << 63), None, generator=rng).view(torch.uint8)[:count]
