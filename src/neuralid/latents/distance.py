"""How far drawn faces are from photos: in pixels, and in a perceptual network's features.

Letters in shapes: N faces, S side of a face, C H a map.

References
----------
.. [1] R. Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
       CVPR 2018. arXiv:1801.03924
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.device import autocast
from ..models.inverting import Inverting
from ..models.network import PerceptualNetwork

OVAL = (0.05, 0.92, 1.0)  # of a face: its centre's height, half its width and height; a side is 2
SOFT = 6.0  # how sharp the oval's edge is


class Distance:
    """Of each drawn face from its target.

    Squared differences of pixels, and, with a perceptual network, of its features [1]_. What lies
    outside the face's oval weighs ``recipe.background``. What is not photo (``inside`` is 0 there)
    weighs nothing: drawn faces get the target's border there before they are compared.

    The network may be in the form that is trained or, which is faster, in that of inference.

    Shape:
        - targets: ``(N, 3, S, S)``, RGB in ``[-0.5, 0.5]``; inside: ``(N, 1, S, S)``, 0 to 1
    """

    def __init__(
        self,
        targets: Tensor,
        recipe: Inverting,
        perceptual: PerceptualNetwork | None = None,
        inside: Tensor | None = None,
        precision: str = "fp32",
    ) -> None:
        self.targets, self.inside, self.precision = targets, inside, precision
        self.perceptual = perceptual if recipe.features else None
        self.features = recipe.features
        weight = _oval(targets.shape[-1], recipe.background).to(targets.device)
        self.weight = weight if inside is None else weight * inside
        with torch.no_grad():
            self.maps = self._maps(targets)
        sides = [x.shape[-1] for x in self.maps]
        self.weights = [F.adaptive_avg_pool2d(self.weight, h) / h**2 for h in sides]

    def __call__(self, drawn: Tensor) -> Tensor:
        """``(N, 3, S, S) -> (N,)``, float32."""
        if self.inside is not None:
            drawn = torch.lerp(self.targets, drawn, self.inside)
        total = _sum((drawn - self.targets).square() * self.weight)
        pairs = zip(self._maps(drawn), self.maps, self.weights, strict=True)
        for found, wanted, weight in pairs:
            total = total + self.features * _sum((found - wanted).square() * weight)
        return total

    def _maps(self, faces: Tensor) -> list[Tensor]:
        if self.perceptual is None:
            return []
        with autocast(faces.device, self.precision):
            return self.perceptual(faces)


def _sum(x: Tensor) -> Tensor:
    return x.flatten(1).sum(1)


def _oval(side: int, background: float) -> Tensor:
    """1 in the face, ``background`` in the corners: ``(1, 1, S, S)``."""
    middle, half_width, half_height = OVAL
    places = torch.linspace(-1, 1, side)
    x, y = places[None, :] / half_width, (places[:, None] - middle) / half_height
    within = torch.sigmoid(SOFT * (1 - x.square() - y.square()))
    return (background + (1 - background) * within)[None, None]
