"""Which pictures each step sees: a function of the seed and of how many were seen before.

So a resumed run needs no random state to continue exactly where it stopped.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from torch import Tensor

from ..pictures.images import to_tensor


class Batches:
    """Every picture once per epoch, in a new order each epoch; half of them mirrored.

    ``images`` is uint8 ``(N, S, S, 3)``; ``indices`` says which of them to use.
    """

    def __init__(self, images: np.ndarray, indices: np.ndarray, seed: int, mirror: bool) -> None:
        self.images, self.indices, self.seed, self.mirror = images, indices, seed, mirror
        self._epoch = lru_cache(maxsize=2)(self._shuffle)

    def after(self, seen: int, batch: int) -> Tensor:
        """The batch that follows the first ``seen`` pictures: ``(batch, 3, S, S)``."""
        places = [divmod(seen + i, len(self.indices)) for i in range(batch)]
        chosen = [(self._epoch(epoch)[0][i], self._epoch(epoch)[1][i]) for epoch, i in places]
        faces = np.stack([self._face(index, flip) for index, flip in chosen])
        return to_tensor(faces)

    def _face(self, index: int, flip: bool) -> np.ndarray:
        face = self.images[index]
        return face[:, ::-1] if flip else face

    def _shuffle(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(self.indices)
        flips = rng.random(len(order)) < (0.5 if self.mirror else 0.0)
        return order, flips
