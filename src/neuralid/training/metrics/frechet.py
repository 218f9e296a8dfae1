"""The Fréchet distance between two sets of faces, on features of a fixed random network.

Letters in shapes: N faces, S side of a face, F features.

References
----------
.. [1] M. Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
       Equilibrium", NeurIPS 2017. arXiv:1706.08500 (equation 6: the Fréchet distance)
.. [2] M. F. Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", ICML
       2020. arXiv:2002.09797 (random embeddings)
"""

from __future__ import annotations

import torch
from torch import Tensor

from .case import Case
from .features import random_features


def measure_distance(case: Case) -> dict[str, float]:
    return {"fd_random": frechet_distance(case.real.faces.features, case.drawn.features)}


def fd_random(real: Tensor, fake: Tensor) -> float:
    """Fréchet distance between two sets of faces on a fixed random network's features [1]_ [2]_.

    Values compare only at the same face size and number of faces. This is not FID. Two sets of
    real faces give the floor.

    Shape: ``(N, 3, S, S)`` in ``[-0.5, 0.5]`` each, N at least 2, and well above 128 to be
    meaningful.
    """
    return frechet_distance(random_features(real), random_features(fake))


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Between Gaussians fitted to two sets of features, equation 6 of [1]_: ``(N, F)`` each."""
    a, b = a.double(), b.double()
    root_a = _square_root(a.T.cov())
    between = torch.linalg.eigvalsh(root_a @ b.T.cov() @ root_a).clamp_min(0).sqrt().sum()
    spread = a.T.cov().trace() + b.T.cov().trace() - 2 * between
    return float((a.mean(0) - b.mean(0)).square().sum() + spread)


def _square_root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T
