"""Random, differentiable changes, the same kinds to real and to drawn faces.

Each is made to every face, as in DiffAugment [1]_, or to some, with a probability that is fixed or
adapts to how sure the discriminator is of real faces [2]_.

References
----------
.. [1] S. Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training",
       NeurIPS 2020. arXiv:2006.10738
.. [2] T. Karras et al., "Training Generative Adversarial Networks with Limited Data",
       NeurIPS 2020. arXiv:2006.06676 (section 3.1)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.errors import ConfigError
from ..models.recipe import Recipe
from ..models.share import WHOLE, Share
from ..models.stored import check_tensors

ADAPTED = 500_000  # pictures in which the probability could go from 0 to 1
SIGN_STEP = 0.05  # how far the running mean of signs moves towards that of a step


def diff_augment(
    x: Tensor, policy: str, share: Share = WHOLE, probability: Tensor | None = None
) -> Tensor:
    """Apply a comma-separated policy of the names in `POLICIES`; "" changes nothing.

    ``share`` says which rows these are of a batch that several processes share out, and where the
    random numbers come from. Each change is made to each face with ``probability``, ``()`` on its
    device; None: to all.

    Shape: ``(N, 3, S, S) -> (N, 3, S, S)``.
    """
    for name in filter(None, policy.split(",")):
        if name not in POLICIES:
            raise ConfigError(f"no augmentation '{name}'", hint=f"there are {', '.join(POLICIES)}")
        changed = POLICIES[name](x, share)
        x = changed if probability is None else _some(x, changed, probability, share)
    return x


class Augmentation:
    """The changes of a recipe, with the probability they are made with, which may adapt.

    That and the statistic it follows stay on the device, where nothing waits for them; they are
    part of a run's state.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.policy = recipe.augment
        self.target, self.most = recipe.augment_target, recipe.augment_p
        self.probability = torch.tensor(0.0 if self.adapts else self.most, device=device)
        self.sign = torch.tensor(0.0, device=device)  # of D on real faces: a running mean

    @property
    def adapts(self) -> bool:
        return self.target > 0

    def __call__(self, x: Tensor, share: Share = WHOLE) -> Tensor:
        """`diff_augment` by this policy and probability."""
        always = self.most == 1 and not self.adapts
        return diff_augment(x, self.policy, share, None if always else self.probability)

    def adapt(self, sign: Tensor, images: int) -> None:
        """Follow a step's mean sign of D on real faces, ``()``; its batch had ``images`` of them.

        Above the target D is too sure, and changes become more likely.
        """
        self.sign.lerp_(sign, SIGN_STEP)
        step = torch.sign(self.sign - self.target) * (images / ADAPTED)
        self.probability.add_(step).clamp_(0, self.most)

    def state_dict(self) -> dict[str, Tensor]:
        return {"probability": self.probability, "sign": self.sign}

    def check(self, values: Any) -> None:
        """Raise `ValueError` unless ``values`` are what `state_dict` could have given."""
        check_tensors(self.state_dict(), values)
        if not 0 <= float(values["probability"]) <= 1 or not -1 <= float(values["sign"]) <= 1:
            raise ValueError("the augmentation's state is out of range")

    def load_state_dict(self, values: Mapping[str, Tensor]) -> None:
        self.probability.copy_(values["probability"])
        self.sign.copy_(values["sign"])


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
    rows, columns = _move(x, share)
    most = x.shape[2] // 8
    return _pick(F.pad(x, (most, most, most, most)), rows + most, columns + most)


def _shift(x: Tensor, share: Share) -> Tensor:
    """Move each face by up to an eighth of its side; its edge is mirrored."""
    last = x.shape[2] - 1
    rows, columns = (last - (last - place.abs()).abs() for place in _move(x, share))
    return _pick(x, rows, columns)


def _move(x: Tensor, share: Share) -> tuple[Tensor, Tensor]:
    """Rows ``(N, S, 1)`` and columns ``(N, 1, S)`` of faces moved by up to an eighth of a side."""
    n, _, s, _ = x.shape
    places = (2, n * share.size, 1, 1)
    dice = torch.randint(-(s // 8), s // 8 + 1, places, generator=share.rng, device=x.device)
    down, right = map(share.of, dice)
    pixels = torch.arange(s, device=x.device)
    return pixels.view(1, s, 1) + down, pixels.view(1, 1, s) + right


def _pick(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Pixels of each picture: rows ``(N, S, 1)`` and columns ``(N, 1, S)`` of ``x``."""
    n, s = len(x), rows.shape[1]
    image = torch.arange(n, device=x.device).view(n, 1, 1)
    picked = x.permute(0, 2, 3, 1)[image, rows.expand(n, s, s), columns.expand(n, s, s)]
    return picked.permute(0, 3, 1, 2)


def _brightness(x: Tensor, share: Share) -> Tensor:
    return x + 0.2 * _dice(x, share)


def _contrast(x: Tensor, share: Share) -> Tensor:
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * torch.exp(0.5 * _dice(x, share))


def _saturation(x: Tensor, share: Share) -> Tensor:
    grey = x.mean(1, keepdim=True)
    return grey + (x - grey) * (1 + 0.8 * _dice(x, share))


def _dice(x: Tensor, share: Share) -> Tensor:
    """A random number in [-1, 1] for each face: ``(N, 1, 1, 1)``."""
    dice = torch.rand(len(x) * share.size, generator=share.rng, device=x.device)
    return share.of(2 * dice - 1).view(-1, 1, 1, 1)


def _some(x: Tensor, changed: Tensor, probability: Tensor, share: Share) -> Tensor:
    """Each face as it was or, with the probability, changed."""
    dice = torch.rand(len(x) * share.size, generator=share.rng, device=x.device)
    return torch.where(share.of(dice).view(-1, 1, 1, 1) < probability, changed, x)


def _cutout(x: Tensor, share: Share) -> Tensor:
    """Blank a square of half the side, at a random place."""
    n, _, s, _ = x.shape
    places = (2, n * share.size, 1)
    dice = torch.randint(0, s + 1, places, generator=share.rng, device=x.device)
    pixels = torch.arange(s, device=x.device).view(1, s)
    rows, columns = ((pixels - centre).abs() < s // 4 for centre in map(share.of, dice))
    return x * ~(rows[:, :, None] & columns[:, None, :])[:, None]


POLICIES = {
    "color": _color,
    "translation": _translation,
    "cutout": _cutout,
    "brightness": _brightness,
    "contrast": _contrast,
    "saturation": _saturation,
    "shift": _shift,
}
