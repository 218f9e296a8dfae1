"""A small network that reads attributes off faces, and so tells what a direction does.

Letters in shapes: N faces, K attributes, S side of a face.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...core.device import autocast, device_of
from ...models.building import empty, initialise
from ...models.encoder import Encoder
from ...pictures.images import to_tensor

SIDE = 56  # pixels that faces are read at, at most: sets of pictures differ in sharpness beyond
EPOCHS = 4
BATCH = 64
TOGETHER = 256  # faces read at a time


def train_reader(
    faces: np.ndarray,
    labels: Tensor,
    *,
    seed: int = 0,
    device: torch.device,
    precision: str = "fp32",
    go_on: Callable[[], bool] = lambda: True,
) -> tuple[Encoder, list[float]] | None:
    """A reader, and its correlation with the truth on a tenth of the faces, kept from it.

    ``go_on()`` is called after each step; if it is false, the result is None.

    Shape: uint8 ``(N, S, S, 3)``, ``(N, K)`` of mean 0 and spread 1, NaN where not known.
    """
    shape = (labels.shape[1],)
    first = torch.Generator().manual_seed(seed)
    side = faces.shape[1] // _shrinks(faces.shape[1])
    reader = initialise(empty(lambda: Encoder(side, shape)), first).to(device)
    rng = np.random.default_rng((seed, 1))
    order = rng.permutation(len(faces))
    learnt, kept = order[len(order) // 10 :], order[: max(2, len(order) // 10)]
    steps = max(1, count_steps(len(faces)))
    optimizer = torch.optim.AdamW(reader.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, steps + 1)
    for _ in range(steps):
        batch = rng.choice(learnt, min(BATCH, len(learnt)), replace=False)
        pictures = _shrink(to_tensor(faces[batch]).to(device))
        if rng.random() < 0.5:
            pictures = pictures.flip(3)
        with autocast(device, precision):
            found = reader(pictures).float()
        loss = _error(found, labels[batch].to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if not go_on():
            return None
    reader.eval().requires_grad_(False)
    return reader, _correlations(
        read(reader, to_tensor(faces[np.sort(kept)])), labels[np.sort(kept)]
    )


def count_steps(faces: int) -> int:
    """The number of steps that training on ``faces`` faces takes."""
    return EPOCHS * (faces // BATCH)


@torch.no_grad()
def read(reader: Encoder, faces: Tensor) -> Tensor:
    """The attributes of faces, in standard deviations: ``(N, 3, S, S) -> (N, K)`` on the CPU."""
    device = device_of(reader)
    return torch.cat([reader(_shrink(part.to(device))).cpu() for part in faces.split(TOGETHER)])


def _shrink(faces: Tensor) -> Tensor:
    """Faces as large as they are read, by box averaging."""
    return F.avg_pool2d(faces, _shrinks(faces.shape[-1]))


def _shrinks(side: int) -> int:
    """How many times faces of ``side`` pixels are shrunk.

    >>> [_shrinks(side) for side in (28, 56, 112, 224)]
    [1, 1, 2, 4]
    """
    return max(1, side // SIDE)


def _error(found: Tensor, labels: Tensor) -> Tensor:
    """Mean square over what is known, robust against outliers."""
    known = labels.isfinite()
    return F.smooth_l1_loss(found[known], labels[known])


def _correlations(found: Tensor, labels: Tensor) -> list[float]:
    correlations = []
    for a, b in zip(found.T, labels.T, strict=True):
        known = b.isfinite()
        pair = torch.stack([a[known], b[known]])
        enough = known.sum() > 1
        correlations.append(float(torch.corrcoef(pair)[0, 1].nan_to_num()) if enough else 0.0)
    return correlations
