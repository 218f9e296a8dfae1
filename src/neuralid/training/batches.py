"""Which pictures each step sees: a function of the seed and of how many were seen before.

So a resumed run needs no random state to continue exactly where it stopped.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..core.device import send
from ..pictures.images import to_tensor

ROOM = 0.25  # share of a GPU's free memory that pictures may take


class Batches:
    """Every picture once per epoch, in a new order each epoch; half of them mirrored.

    ``images`` is uint8 ``(N, S, S, 3)``; ``indices`` says which of them to use.
    """

    def __init__(self, images: np.ndarray, indices: np.ndarray, seed: int, mirror: bool) -> None:
        self.images, self.indices, self.seed, self.mirror = images, indices, seed, mirror
        self._epoch = lru_cache(maxsize=2)(self._shuffle)
        self._placed: PlacedImages | None = None

    def place(self, device: torch.device) -> None:
        """Keep the pictures on a CUDA device, if there is room: then none waits for the others."""
        if (
            device.type == "cuda"
            and self.images.nbytes <= ROOM * torch.cuda.mem_get_info(device)[0]
        ):
            self._placed = PlacedImages(self.images, device)

    def after(self, seen: int, batch: int) -> Tensor:
        """The batch that follows the first ``seen`` pictures: ``(batch, 3, S, S)``.

        It is on the CPU, or where the pictures were placed.
        """
        chosen, flipped = self._choose(seen, batch)
        if self._placed is not None:
            return self._placed.take(chosen, flipped)
        faces = np.stack([self.images[index] for index in chosen])
        faces[flipped] = faces[flipped, :, ::-1]
        return to_tensor(faces)

    def _choose(self, seen: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """Which pictures come next, ``(batch,)``, and whether each is mirrored."""
        epochs, places = np.divmod(np.arange(seen, seen + batch), len(self.indices))
        parts = [
            [values[places[epochs == epoch]] for values in self._epoch(int(epoch))]
            for epoch in np.unique(epochs)
        ]
        chosen, flipped = map(np.concatenate, zip(*parts, strict=True))
        return chosen, flipped

    def _shuffle(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(self.indices)
        flips = rng.random(len(order)) < (0.5 if self.mirror else 0.0)
        return order, flips


class PlacedImages:
    """All pictures on a device, uint8 ``(N, S, S, 3)``."""

    def __init__(self, images: np.ndarray, device: torch.device) -> None:
        self.images = torch.from_numpy(np.array(images)).to(device)
        # What each byte is as a pixel: dividing there may round otherwise than on the CPU.
        self.levels = (
            to_tensor(np.arange(256, dtype=np.uint8).reshape(1, 1, 256, 1)).flatten().to(device)
        )

    def take(self, chosen: np.ndarray, flipped: np.ndarray) -> Tensor:
        """Pictures as `to_tensor` makes them, ``(batch, 3, S, S)``, some mirrored."""
        told = send(
            torch.from_numpy(np.stack([chosen, flipped]).astype(np.int64)), self.images.device
        )
        faces = self.images[told[0]]
        faces = torch.where(told[1].bool().view(-1, 1, 1, 1), faces.flip(2), faces)
        return self.levels[faces.int()].permute(0, 3, 1, 2)
