"""Adam, for searching and tuning.

PyTorch's optimisers import its compiler when they are made, which takes a second: longer than the
fast search of a photo.

References
----------
.. [1] D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015. arXiv:1412.6980
       (algorithm 1)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

BETAS = (0.9, 0.99)
EPSILON = 1e-8


class Adam:
    """Moves tensors, in place, against their gradients [1]_; ``rate`` is each step's own."""

    def __init__(self, moving: Sequence[Tensor]) -> None:
        self.moving = [each.detach() for each in moving]  # the same memory
        self.means = [torch.zeros_like(each) for each in self.moving]
        self.squares = [torch.zeros_like(each) for each in self.moving]
        self.steps = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rate: float) -> None:
        """One update; ``gradients`` are of the tensors, in their order."""
        self.steps += 1
        first, second = (1 - beta**self.steps for beta in BETAS)
        parts = zip(self.moving, gradients, self.means, self.squares, strict=True)
        for each, gradient, mean, square in parts:
            mean.lerp_(gradient, 1 - BETAS[0])
            square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
            each.addcdiv_(mean, (square / second).sqrt_().add_(EPSILON), value=-rate / first)
