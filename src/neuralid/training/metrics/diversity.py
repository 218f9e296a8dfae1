"""How alike drawn faces are.

References
----------
.. [1] A. Odena, C. Olah, J. Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs",
       ICML 2017. arXiv:1610.09585 (section 4.2)
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...pictures.quality import ms_ssim
from .case import Case
from .features import CHUNK


def measure_diversity(case: Case) -> dict[str, float]:
    return {"ms_ssim": diversity(case.drawn.pictures)}


def diversity(faces: Tensor) -> float:
    """Mean MS-SSIM of pairs of faces [1]_: 1 if all are the same, lower the less alike they are.

    Each face is paired with the next one; the set should be in random order.

    Shape: ``(N, 3, S, S)`` in ``[-0.5, 0.5]``, N at least 2.
    """
    pairs = zip(faces.split(CHUNK), faces.roll(1, 0).split(CHUNK), strict=True)
    return float(torch.cat([ms_ssim(a, b) for a, b in pairs]).mean())
