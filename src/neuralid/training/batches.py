"""Which pictures each step sees: a function of the seed and of how many were seen before.

So a resumed run needs no random state to continue exactly where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
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
        self._sent: SentImages | None = None

    def place(self, device: torch.device) -> None:
        """Make pictures for a CUDA device: they are kept there, if there is room, or sent ahead."""
        if device.type != "cuda":
            return
        room = ROOM * torch.cuda.mem_get_info(device)[0]
        if self.images.nbytes <= room:
            self._placed = PlacedImages(self.images, device)
        else:
            self._sent = SentImages(self.gather, device)

    def after(self, seen: int, batch: int) -> Tensor:
        """The batch that follows the first ``seen`` pictures: ``(batch, 3, S, S)``.

        It is on the CPU, or on the device that they were placed for.
        """
        if self._placed is not None:
            return self._placed.take(*self._choose(seen, batch))
        if self._sent is not None:
            return self._sent.take(seen, batch)
        return to_tensor(self.gather(seen, batch))

    def gather(self, seen: int, batch: int) -> np.ndarray:
        """The same batch as bytes: uint8 ``(batch, S, S, 3)``."""
        chosen, flipped = self._choose(seen, batch)
        faces = np.asarray(self.images[chosen])
        faces[flipped] = faces[flipped, :, ::-1]
        return faces

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
        self.levels = _levels(device)

    def take(self, chosen: np.ndarray, flipped: np.ndarray) -> Tensor:
        """Pictures as `to_tensor` makes them, ``(batch, 3, S, S)``, some mirrored."""
        told = send(
            torch.from_numpy(np.stack([chosen, flipped]).astype(np.int64)), self.images.device
        )
        faces = self.images[told[0]]
        faces = torch.where(told[1].bool().view(-1, 1, 1, 1), faces.flip(2), faces)
        return _as_pixels(faces, self.levels)


class SentImages:
    """Pictures that are sent to a device as bytes, each batch gathered before it is asked for.

    ``gather(seen, batch)`` gives uint8 ``(batch, S, S, 3)``. A thread calls it for the batch as far
    ahead as the last was of the one before, while the device computes.
    """

    def __init__(self, gather: Callable[[int, int], np.ndarray], device: torch.device) -> None:
        self.gather, self.device, self.levels = gather, device, _levels(device)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._ahead: dict[tuple[int, int], Future[np.ndarray]] = {}
        self._last: int | None = None

    def take(self, seen: int, batch: int) -> Tensor:
        """Pictures as `to_tensor` makes them, ``(batch, 3, S, S)``."""
        ready = self._ahead.pop((seen, batch), None)
        faces = self.gather(seen, batch) if ready is None else ready.result()
        stride = batch if self._last is None else seen - self._last
        self._last = seen
        coming = (seen + max(stride, 0), batch)
        self._ahead = {coming: self._pool.submit(self.gather, *coming)}
        return _as_pixels(send(torch.from_numpy(faces), self.device), self.levels)


def _levels(device: torch.device) -> Tensor:
    """What each byte is as a pixel, ``(256,)``: a device may round a division otherwise."""
    return to_tensor(np.arange(256, dtype=np.uint8).reshape(1, 1, 256, 1)).flatten().to(device)


def _as_pixels(faces: Tensor, levels: Tensor) -> Tensor:
    """uint8 ``(N, S, S, 3) -> (N, 3, S, S)``, float32."""
    return levels[faces.int()].permute(0, 3, 1, 2)
