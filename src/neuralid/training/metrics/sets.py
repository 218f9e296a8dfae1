"""The real faces that drawn ones are compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...pictures.images import to_tensor
from .features import Faces

MOST = 1000  # faces in each set


@dataclass(frozen=True)
class RealFaces:
    """The faces kept for validation, and as many others for the floors.

    If fewer than a thousand were kept, training faces make up the number. With fewer than two
    thousand faces in all, each set gets half.
    """

    faces: Faces  # compared with drawn ones
    others: Faces  # take the place of drawn ones to find the floors
    held_out: Tensor  # (n, 3, S, S): those of ``faces`` that training never sees

    @classmethod
    def choose(
        cls,
        images: np.ndarray,
        training: np.ndarray,
        validation: np.ndarray,
        device: torch.device | str = "cpu",
        most: int = MOST,
    ) -> RealFaces:
        """From uint8 ``(N, S, S, 3)`` and the indices of its two parts, 4 or more in all.

        The same input always gives the same choice.
        """
        order = shuffle_indices(training, validation)
        count = min(most, len(order) // 2)
        faces = take(images, order[:count]).to(device)
        others = take(images, order[-count:]).to(device)
        return cls(Faces(faces), Faces(others), faces[: len(validation)])

    def part(self, count: int) -> RealFaces:
        """The first ``count`` of each set."""
        faces, others = (Faces(each.pictures[:count]) for each in (self.faces, self.others))
        return RealFaces(faces, others, self.held_out[:count])


def shuffle_indices(training: np.ndarray, validation: np.ndarray) -> np.ndarray:
    """All indices, validation first; each part is in a fixed random order."""
    rng = np.random.default_rng(0)
    parts = [rng.permutation(part) for part in (validation, training)]
    return np.concatenate(parts).astype(int)  # an empty list becomes an array of floats


def take(images: np.ndarray, indices: np.ndarray) -> Tensor:
    """Some of the pictures as faces: ``(n, 3, S, S)``."""
    return to_tensor(np.asarray(images[indices]))
