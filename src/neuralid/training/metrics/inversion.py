"""How well a generator reproduces faces that it was not trained on."""

from __future__ import annotations

import torch
from torch import Tensor

from ...latents.config import InvertConfig
from ...latents.inversion import invert
from ...models.drawing import Drawer
from ...pictures.quality import psnr
from .case import Case
from .sets import RealFaces

INVERTED = 16  # faces whose inversion is measured
STEPS = 20  # evaluations of the generator for each


def measure_inversion(case: Case) -> dict[str, float]:
    found = inversion_psnr(case.generator, case.real.held_out, case.precision)
    return {"inversion_psnr": found}


def floor_of_inversion(case: Case) -> dict[str, float]:
    return {"inversion_psnr": memory_psnr(case.real.held_out, case.real.others.pictures)}


def count_inverted(real: RealFaces) -> int:
    """How many faces are inverted: only those that training never sees."""
    return min(INVERTED, len(real.held_out))


def inversion_psnr(generator: Drawer, faces: Tensor, precision: str) -> float:
    """Mean PSNR, in dB, of the first faces when inverted by a short search that starts from zero.

    The search takes 20 evaluations and uses neither metric nor encoder. It ends several dB below
    `neuralid invert`, but ranks generators in the same order, and is cheap.

    Shape: ``(N, 3, S, S)`` in ``[-0.5, 0.5]``, N at least 1.
    """
    config = InvertConfig(steps=STEPS)
    return float(invert(generator, faces[:INVERTED], config, precision=precision).psnr.mean())


def memory_psnr(held_out: Tensor, others: Tensor) -> float:
    """The floor of `inversion_psnr`: each face is answered by the most similar of the others.

    A generator that had memorised ``others`` and nothing else would score this.

    Shape: ``(N, 3, S, S)`` and ``(M, 3, S, S)`` in ``[-0.5, 0.5]``, N and M at least 1.
    """
    return float(torch.stack([psnr(others, face).max() for face in held_out[:INVERTED]]).mean())
