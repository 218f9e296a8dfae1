"""The fast forms of the paper's convolutions equal the plain ones, borders included."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from neuralid.models.convolution import (
    phase_upsample_conv,
    plain_upsample_conv,
    spectral_conv7,
    spectral_upsample_conv,
)

Form = Callable[[Tensor, Tensor, Tensor | None], Tensor]
shapes = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**31))


def case(n: int, c: int, k: int, h: int, w: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Input, kernel and bias whose results are of order 1, as inside the networks."""
    rng = torch.Generator().manual_seed(seed)
    weight = torch.randn(k, c, 5, 5, generator=rng) / (25 * c) ** 0.5
    return torch.randn(n, c, h, w, generator=rng), weight, torch.randn(k, generator=rng)


def assert_equal(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(shapes, st.integers(1, 15), st.integers(1, 15))
def test_phases_equal_upsampling_and_convolution(
    shape: tuple[int, int, int, int], h: int, w: int
) -> None:
    x, weight, bias = case(*shape[:3], h, w, shape[3])
    assert_equal(phase_upsample_conv(x, weight, bias), plain_upsample_conv(x, weight, bias))


@settings(max_examples=25, deadline=None)
@given(shapes, st.integers(1, 4), st.integers(1, 4))
def test_spectra_equal_upsampling_and_convolution(
    shape: tuple[int, int, int, int], tiles_down: int, tiles_across: int
) -> None:
    x, weight, bias = case(*shape[:3], 7 * tiles_down, 7 * tiles_across, shape[3])
    assert_equal(spectral_upsample_conv(x, weight, bias), plain_upsample_conv(x, weight, bias))


@settings(max_examples=25, deadline=None)
@given(shapes)
def test_the_spectral_convolution_of_a_seven_pixel_map(shape: tuple[int, int, int, int]) -> None:
    x, weight, bias = case(*shape[:3], 7, 7, shape[3])
    assert_equal(spectral_conv7(x, weight, bias), F.conv2d(x, weight, bias, padding=2))


@pytest.mark.parametrize("form", [phase_upsample_conv, spectral_upsample_conv])
def test_gradients_of_the_fast_forms_are_those_of_the_plain_one(form: Form) -> None:
    def gradients(of: Form) -> list[Tensor]:
        inputs = [t.requires_grad_() for t in case(2, 3, 4, 14, 14, 5)]
        return list(torch.autograd.grad(of(*inputs).square().mean(), inputs))

    for found, wanted in zip(gradients(form), gradients(plain_upsample_conv), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


def test_no_bias_is_a_bias_of_zero() -> None:
    x, weight, _ = case(1, 2, 3, 7, 7, 0)
    zero = torch.zeros(3)
    assert_equal(spectral_upsample_conv(x, weight, None), plain_upsample_conv(x, weight, zero))
    assert_equal(phase_upsample_conv(x, weight, None), plain_upsample_conv(x, weight, zero))
