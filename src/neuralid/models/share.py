"""Which rows of a batch one process computes, when several train together.

Letters in shapes: N rows of this process, P processes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Share:
    """One process's rows of a batch.

    Every process draws the random numbers of all rows and uses those of its own, so what a picture
    gets does not depend on the number of processes. A batch made of several ``parts`` one after
    another (real faces, then generated ones) is divided part by part.

    The numbers come from ``rng``, a generator on the rows' device; None means torch's global one,
    which training never uses.

    >>> Share(rank=1, size=2, parts=2).of(torch.arange(8)).tolist()
    [2, 3, 6, 7]
    """

    rank: int = 0
    size: int = 1
    parts: int = 1
    rng: torch.Generator | None = None

    def of(self, whole: Tensor) -> Tensor:
        """This process's rows: ``(P * N, ...) -> (N, ...)``."""
        if self.size == 1:
            return whole
        return whole.unflatten(0, (self.parts, self.size, -1))[:, self.rank].flatten(0, 1)


WHOLE = Share()
