"""The fast forms of the paper's convolutions equal the plain ones, borders included."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from neuralid.models.convolution import (
    block_conv,
    block_kernels,
    phase_upsample_conv,
    plain_upsample_conv,
    spectral_conv7,
    spectral_upsample_conv,
)
from neuralid.models.winograd import rows_upsample_conv

Form = Callable[[Tensor, Tensor, Tensor | None], Tensor]
shapes = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**31))


def case(n: int, c: int, k: int, h: int, w: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Input, kernel and bias whose results are of order 1, as inside the networks."""
    rng = torch.Generator().manual_seed(seed)
    weight = torch.randn(k, c, 5, 5, generator=rng) / (25 * c) ** 0.5
    return torch.randn(n, c, h, w, generator=rng), weight, torch.randn(k, generator=rng)


def in_blocks(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return block_conv(x, block_kernels(weight), bias)


def assert_equal(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("form", [phase_upsample_conv, rows_upsample_conv])
@settings(max_examples=25, deadline=None)
@given(shape=shapes, h=st.integers(1, 15), w=st.integers(1, 15))
def test_phases_and_pairs_of_rows_equal_upsampling_and_convolution(
    form: Form, shape: tuple[int, int, int, int], h: int, w: int
) -> None:
    x, weight, bias = case(*shape[:3], h, w, shape[3])
    for used in (bias, None):
        assert_equal(form(x, weight, used), plain_upsample_conv(x, weight, used))


@settings(max_examples=25, deadline=None)
@given(shapes, st.integers(1, 4), st.integers(1, 4))
def test_spectra_equal_upsampling_and_convolution(
    shape: tuple[int, int, int, int], tiles_down: int, tiles_across: int
) -> None:
    x, weight, bias = case(*shape[:3], 7 * tiles_down, 7 * tiles_across, shape[3])
    assert_equal(spectral_upsample_conv(x, weight, bias), plain_upsample_conv(x, weight, bias))


@settings(max_examples=25, deadline=None)
@given(shapes, st.integers(1, 8), st.integers(1, 8))
def test_blocks_of_pixels_equal_single_ones(
    shape: tuple[int, int, int, int], h: int, w: int
) -> None:
    x, weight, bias = case(*shape[:3], 2 * h, 2 * w, shape[3])
    for used in (bias, None):
        assert_equal(in_blocks(x, weight, used), F.conv2d(x, weight, used, padding=2))


@settings(max_examples=25, deadline=None)
@given(shapes)
def test_the_spectral_convolution_of_a_seven_pixel_map(shape: tuple[int, int, int, int]) -> None:
    x, weight, bias = case(*shape[:3], 7, 7, shape[3])
    assert_equal(spectral_conv7(x, weight, bias), F.conv2d(x, weight, bias, padding=2))


@pytest.mark.parametrize(
    ("form", "plain"),
    [
        (phase_upsample_conv, plain_upsample_conv),
        (spectral_upsample_conv, plain_upsample_conv),
        (rows_upsample_conv, plain_upsample_conv),
        (in_blocks, partial(F.conv2d, padding=2)),
    ],
)
def test_gradients_of_the_fast_forms_are_those_of_the_plain_one(form: Form, plain: Form) -> None:
    def gradients(of: Form) -> list[Tensor]:
        inputs = [t.requires_grad_() for t in case(2, 3, 4, 14, 14, 5)]
        return list(torch.autograd.grad(of(*inputs).square().mean(), inputs))

    for found, wanted in zip(gradients(form), gradients(plain), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("wanted", range(3))
def test_each_gradient_of_pairs_of_rows_can_be_had_alone(wanted: int) -> None:
    def gradient(of: Form) -> Tensor:
        inputs = list(case(2, 3, 4, 13, 10, 5))
        inputs[wanted].requires_grad_()
        return torch.autograd.grad(of(*inputs).square().mean(), inputs[wanted])[0]

    found, plain = gradient(rows_upsample_conv), gradient(plain_upsample_conv)
    torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("form", "plain", "side"),
    [
        (rows_upsample_conv, plain_upsample_conv, 14),
        (spectral_upsample_conv, plain_upsample_conv, 14),
        (spectral_conv7, partial(F.conv2d, padding=2), 7),
    ],
)
def test_bfloat16_costs_the_forms_little(form: Form, plain: Form, side: int) -> None:
    x, weight, bias = case(4, 64, 32, side, side, 1)
    found, wanted = form(x.bfloat16(), weight, bias), plain(x, weight, bias)
    assert found.dtype == torch.bfloat16
    error = (found.float() - wanted).square().mean() / wanted.square().mean()
    assert error.sqrt() < 0.01  # a direct bfloat16 convolution: 0.003


def test_the_gradient_of_a_spectral_form_can_be_penalised() -> None:
    def penalty_gradient(form: Form) -> Tensor:
        x, weight, bias = (t.double().requires_grad_() for t in case(2, 3, 4, 7, 7, 2))
        (inner,) = torch.autograd.grad(form(x, weight, bias).sin().sum(), x, create_graph=True)
        return torch.autograd.grad(inner.square().sum(), weight)[0]

    torch.testing.assert_close(
        penalty_gradient(spectral_conv7), penalty_gradient(partial(F.conv2d, padding=2))
    )


def test_no_bias_is_a_bias_of_zero() -> None:
    x, weight, _ = case(1, 2, 3, 7, 7, 0)
    zero = torch.zeros(3)
    assert_equal(spectral_upsample_conv(x, weight, None), plain_upsample_conv(x, weight, zero))
    assert_equal(phase_upsample_conv(x, weight, None), plain_upsample_conv(x, weight, zero))


def test_pairs_of_rows_are_computed_in_the_type_of_their_surroundings() -> None:
    inputs = [t.requires_grad_() for t in case(4, 64, 32, 14, 14, 1)]
    with torch.autocast("cpu", torch.bfloat16):
        y = rows_upsample_conv(*inputs)
    assert y.dtype == torch.bfloat16
    wanted = plain_upsample_conv(*inputs)
    weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    gradients = [torch.autograd.grad((z * weights).sum(), inputs) for z in (y.float(), wanted)]
    for a, b in zip((y.float(), *gradients[0]), (wanted, *gradients[1]), strict=True):
        assert a.dtype == torch.float32
        assert ((a - b).square().mean() / b.square().mean()).sqrt() < 0.01
