"""The metrics on sets whose answer is known."""

from __future__ import annotations

import pytest
import torch

from neuralid.training.metrics import fd_random, frechet_distance


def gaussians(n: int, shift: float = 0, scale: float = 1, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, 8, generator=rng) * scale + shift


def test_the_distance_of_gaussians_is_the_formulas() -> None:
    same = frechet_distance(gaussians(20_000), gaussians(20_000, seed=1))
    assert same == pytest.approx(0, abs=0.01)
    shifted = frechet_distance(gaussians(20_000), gaussians(20_000, shift=0.5, seed=1))
    assert shifted == pytest.approx(8 * 0.25, rel=0.05)
    wider = frechet_distance(gaussians(20_000), gaussians(20_000, scale=3, seed=1))
    assert wider == pytest.approx(8 * (3 - 1) ** 2, rel=0.05)


def test_equal_sets_are_near_and_blurred_or_collapsed_ones_far() -> None:
    rng = torch.Generator().manual_seed(0)
    faces = torch.rand(600, 3, 28, 28, generator=rng) - 0.5
    floor = fd_random(faces[:300], faces[300:])
    blurred = torch.nn.functional.avg_pool2d(faces[300:], 3, 1, 1)
    collapsed = faces[300:301].expand(300, -1, -1, -1)
    assert fd_random(faces[:300], blurred) > 5 * floor
    assert fd_random(faces[:300], collapsed) > 5 * floor
    assert fd_random(faces, faces) == pytest.approx(0, abs=1e-4)
