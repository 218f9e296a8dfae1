"""PSNR, SSIM and MS-SSIM have the values their definitions give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn import functional as F

from neuralid.pictures.quality import ms_ssim, psnr, ssim


def pictures() -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    clean = torch.nn.functional.interpolate(
        torch.rand(2, 3, 7, 7, generator=rng) - 0.5, size=28, mode="bicubic"
    ).clamp(-0.5, 0.5)
    return clean, (clean + 0.1 * torch.randn(clean.shape, generator=rng)).clamp(-0.5, 0.5)


def light_and_structure(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    def mean(values: np.ndarray) -> np.ndarray:
        return np.asarray(gaussian_filter(values, 1.5, truncate=5 / 1.5)[5:-5, 5:-5])

    covariance = mean(x * y) - mean(x) * mean(y)
    variances = mean(x * x) - mean(x) ** 2 + mean(y * y) - mean(y) ** 2
    light = (2 * mean(x) * mean(y) + 1e-4) / (mean(x) ** 2 + mean(y) ** 2 + 1e-4)
    return light, (2 * covariance + 9e-4) / (variances + 9e-4)


def test_psnr_of_a_known_error() -> None:
    zero = torch.zeros(1, 3, 4, 4)
    assert float(psnr(zero, zero + 0.1)) == pytest.approx(20, abs=1e-4)


def test_ssim_of_equal_and_unlike_pictures() -> None:
    clean, noisy = pictures()
    torch.testing.assert_close(ssim(clean, clean), torch.ones(2))
    near, far = ssim(clean, noisy), ssim(clean, -clean)
    assert bool((near < 0.99).all() and (far < near).all())
    torch.testing.assert_close(ssim(clean, noisy), ssim(noisy, clean))


def test_ssim_is_the_formula_of_the_paper() -> None:
    clean, noisy = pictures()
    weights = np.array([0.299, 0.587, 0.114])
    x, y = (np.einsum("chw,c->hw", t[0].double().numpy() + 0.5, weights) for t in (clean, noisy))

    light, structure = light_and_structure(x, y)
    wanted = (light * structure).mean()
    assert float(ssim(clean, noisy)[0]) == pytest.approx(wanted, abs=1e-6)


def test_ms_ssim_of_equal_and_unlike_pictures() -> None:
    clean, noisy = pictures()
    torch.testing.assert_close(ms_ssim(clean, clean), torch.ones(2))
    near, far = ms_ssim(clean, noisy), ms_ssim(clean, -clean)
    assert bool((near < 0.99).all()) and far.tolist() == [0, 0]
    small = clean[:, :, :11, :11]
    torch.testing.assert_close(
        ms_ssim(small, -small).clamp_min(0), ssim(small, -small).clamp_min(0)
    )


@pytest.mark.parametrize(("size", "scales"), [(28, 2), (56, 3), (112, 4), (176, 5)])
def test_ms_ssim_is_the_formula_of_the_paper(size: int, scales: int) -> None:
    clean, noisy = (F.interpolate(each[:1], size=size) for each in pictures())
    noisy = noisy + 0.1 * torch.randn(noisy.shape, generator=torch.Generator().manual_seed(1))
    luma = np.array([0.299, 0.587, 0.114])
    x, y = (np.einsum("chw,c->hw", t[0].double().numpy() + 0.5, luma) for t in (clean, noisy))
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])[:scales]
    wanted = 1.0
    for scale, weight in enumerate(weights / weights.sum(), start=1):
        light, structure = light_and_structure(x, y)
        wanted *= (light * structure if scale == scales else structure).mean() ** weight
        half = len(x) // 2
        even = np.s_[: 2 * half, : 2 * half]
        x, y = (each[even].reshape(half, 2, half, 2).mean((1, 3)) for each in (x, y))
    assert float(ms_ssim(clean, noisy)[0]) == pytest.approx(wanted, abs=1e-6)
