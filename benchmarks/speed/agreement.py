"""Whether two forms of the same networks compute the same gradients.

A leaky ReLU has a kink: a rounding error there takes the other branch, and any two float32
programs differ by about 1e-3. So forms are compared in networks without kinks (slope 1).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from .timing import Report

FP32, BF16 = 1e-5, 0.999  # the most they may differ by; the least cosine


def check(
    report: Report, name: str, plain: Iterable[Tensor], forms: dict[str, Iterable[Tensor]]
) -> None:
    """Compare gradients with those of the plain form in float32, and note how near they are.

    ``forms`` are by precision. Raises `ValueError` if they are too far apart.
    """
    wanted = flat(plain)
    for precision, gradients in forms.items():
        found = compared(flat(gradients), wanted)
        entry: dict[str, Any] = {"name": name, "precision": precision, **found}
        report.agreement.append(entry)
        good = found["difference"] <= FP32 if precision == "fp32" else found["cosine"] >= BF16
        if not good:
            raise ValueError(f"{name}: the forms do not agree: {entry}")


def flat(gradients: Iterable[Tensor]) -> Tensor:
    """All of them in one vector, float64: sums of millions of squares need it."""
    return torch.cat([each.detach().double().flatten() for each in gradients])


def compared(found: Tensor, wanted: Tensor) -> dict[str, float]:
    """How long the difference is, next to ``wanted``; and the cosine."""
    return {
        "difference": float((found - wanted).norm() / wanted.norm()),
        "cosine": float(torch.cosine_similarity(found, wanted, dim=0)),
    }
