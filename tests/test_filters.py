"""The filters after an enlargement: what each must keep, and what each is for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from conftest import draw_face
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import (  # type: ignore[import-untyped]
    gaussian_filter,
    maximum_filter,
    minimum_filter,
    uniform_filter,
)

from neuralid.core.errors import ConfigError
from neuralid.upscaling.auto import pick_filters, resolve
from neuralid.upscaling.config import AUTO, FILTERS
from neuralid.upscaling.denoise import remove_noise
from neuralid.upscaling.enlarge import upscale_array, upscale_planes
from neuralid.upscaling.filters import (
    Filter,
    apply_filters,
    bilateral,
    edge,
    parse,
    unsharp,
)
from neuralid.upscaling.measure import fineness, light_range, noise_level
from neuralid.upscaling.picture import to_planes

# Upside down, mirrored, rows for columns.
TURNS: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda x: x[::-1],
    lambda x: x[:, ::-1],
    lambda x: x.transpose(1, 0, 2),
]
filters = pytest.mark.parametrize("name", [name for name in FILTERS if name != AUTO])


def face(side: int = 48) -> np.ndarray:
    return np.asarray(draw_face(np.random.default_rng(1), side, side))


def noisy(sigma: float) -> np.ndarray:
    """A light disc on dark ground, and noise: float32 ``(96, 96, 3)``."""
    y, x = np.mgrid[-48:48, -48:48]
    clean = np.where(np.hypot(y, x) < 30, 0.85, 0.15)[..., None].repeat(3, axis=2)
    noise = np.random.default_rng(0).normal(0, sigma, clean.shape)
    return np.asarray(clean + noise, np.float32)


@filters
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 255), st.integers(1, 9), st.integers(1, 9), st.floats(1, 6))
def test_a_flat_picture_stays_flat(name: str, value: int, h: int, w: int, scale: float) -> None:
    flat = np.full((h, w, 3), value, np.uint8)
    assert (upscale_array(flat, scale, "nearest", [f"{name}=1"]) == value).all()


@filters
@settings(max_examples=10, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4), st.integers(0, 2**31))
@example(8, 6, 1, 97403578)  # bytes and floats round one pixel to different levels
def test_an_amount_of_0_changes_nothing(name: str, h: int, w: int, c: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(1, 256, (h, w, c), np.uint8)
    wanted = upscale_array(picture, 2, "cubic")
    assert np.array_equal(upscale_array(picture, 2, "cubic", [f"{name}=0"]), wanted)


@filters
@settings(max_examples=10, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 3]), st.integers(0, 2**31))
def test_no_side_is_treated_otherwise(name: str, h: int, w: int, c: int, seed: int) -> None:
    planes = np.random.default_rng(seed).random((h, w, c), np.float32)
    one = [parse(f"{name}=1")]
    for turn in TURNS:
        turned = apply_filters(np.ascontiguousarray(turn(planes)), one, 1)
        np.testing.assert_allclose(turned, turn(apply_filters(planes, one, 1)), atol=1e-4)


@filters
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [0, 2, 3, 4])
def test_kind_range_and_alpha_are_kept(name: str, dtype: type, channels: int) -> None:
    top = int(np.iinfo(dtype).max)
    shape = (9, 7, channels) if channels else (9, 7)
    picture = np.random.default_rng(0).integers(0, top, shape, dtype, endpoint=True)
    result = upscale_array(picture, 3, "linear", [f"{name}=1"])
    plain = upscale_array(picture, 3, "linear")
    assert (result.dtype, result.shape) == (plain.dtype, plain.shape)
    assert not np.array_equal(result, plain)
    if channels in (2, 4):
        assert np.array_equal(result[..., -1], plain[..., -1])


@filters
def test_the_edge_of_what_is_transparent_is_not_felt(name: str) -> None:
    """A disc of one colour, with a soft edge, keeps that colour."""
    y, x = np.mgrid[-8:8, -8:8] + 0.5
    alpha = ((7 - np.hypot(x, y)).clip(0, 1) * 255).round().astype(np.uint8)
    picture = np.dstack([np.full_like(alpha, v) for v in (200, 100, 30)] + [alpha])
    large = upscale_array(picture, 3, "cubic", [f"{name}=1"])
    seen = large[large[..., 3] > 8][:, :3].astype(int)
    assert np.abs(seen - (200, 100, 30)).max() <= 6


@filters
def test_16_bits_show_no_bands(name: str) -> None:
    """A slow ramp has as many steps after as before."""
    ramp = np.tile(np.linspace(20_000, 22_000, 160).astype(np.uint16), (12, 1))
    result = upscale_array(ramp, 1, "cubic", [f"{name}=1"])
    assert len(np.unique(result)) >= 150


def test_unsharp_steepens_edges_without_halos() -> None:
    soft = upscale_planes(to_planes(face()), 4, "cubic")
    sharp = unsharp(soft, 0.8, 4)
    assert np.abs(np.diff(sharp, axis=1)).max() > np.abs(np.diff(soft, axis=1)).max()
    assert sharp.min() >= soft.min() and sharp.max() <= soft.max()


@pytest.mark.parametrize("scale", [2, 4])
def test_unsharp_is_the_formula_with_a_blur_of_two_fifths_of_a_small_pixel(scale: int) -> None:
    x = noisy(0.05)[20:60, 20:60]
    blurred = gaussian_filter(x, (0.4 * scale, 0.4 * scale, 0), truncate=5)
    reach = (2 * scale + 1, 2 * scale + 1, 1)
    wanted = np.clip(x + 0.7 * (x - blurred), minimum_filter(x, reach), maximum_filter(x, reach))
    inner = np.s_[8:-8, 8:-8]
    np.testing.assert_allclose(unsharp(x, 0.7, scale)[inner], wanted[inner], atol=2e-4)


@pytest.mark.parametrize(("scale", "sigma"), [(1, 1.0), (2, 2.0), (4, 4.0), (6, 4.0)])
def test_bilateral_is_the_formula_as_wide_as_a_small_pixel(scale: int, sigma: float) -> None:
    """Tomasi and Manduchi 1998, in a disc of one and a half sigma; never wider than 4 pixels."""
    x = noisy(0.04)[20:60, 20:60].astype(float)
    reach = round(1.5 * sigma)
    total, weights = np.zeros_like(x), np.zeros((*x.shape[:2], 1))
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if np.hypot(down, right) <= reach:
                there = np.roll(x, (-down, -right), (0, 1))
                apart = np.abs(there - x).sum(2, keepdims=True) / (3 * 0.08)
                weight = np.exp(-(apart**2 + (down**2 + right**2) / sigma**2) / 2)
                total, weights = total + weight * there, weights + weight
    inner = np.s_[8:-8, 8:-8]
    wanted = x + 0.5 * (total / weights - x)
    found = bilateral(x.astype(np.float32), 0.5, scale)
    np.testing.assert_allclose(found[inner], wanted[inner], atol=2e-3)


@pytest.mark.parametrize("scale", [1, 4])
def test_edge_is_the_guided_filter_over_five_small_pixels(scale: int) -> None:
    """He et al. 2010, equations 5, 6 and 8, with an epsilon of 0.03^2."""
    x = noisy(0.04)[20:60, 20:60].astype(float)
    guide = (x @ [0.299, 0.587, 0.114])[..., None]

    def mean(of: np.ndarray) -> np.ndarray:
        return np.asarray(uniform_filter(of, (4 * scale + 1, 4 * scale + 1, 1)))

    variance = mean(guide * guide) - mean(guide) ** 2
    a = (mean(guide * x) - mean(guide) * mean(x)) / (variance + 0.0009)
    wanted = mean(a) * guide + mean(mean(x) - a * mean(guide))
    found = edge(x.astype(np.float32), 0.5, scale)
    np.testing.assert_allclose(found, (x + wanted) / 2, atol=1e-3)


@pytest.mark.parametrize("name", ["bilateral", "denoise", "edge"])
def test_what_smooths_takes_noise_and_keeps_edges(name: str) -> None:
    clean = noisy(0)
    rough = noisy(0.04)
    smooth = apply_filters(rough, [parse(f"{name}=1")], 1)
    ground = smooth[2:14, 2:94]
    assert ground.std() < 0.02
    assert np.square(smooth - clean).mean() < 0.3 * np.square(rough - clean).mean()


def test_denoise_leaves_detail_made_since_the_enlargement() -> None:
    """What is finer than the small picture's pixels is no noise of it."""
    large = np.full((64, 64, 1), 0.5, np.float32)
    large[::2] += 0.2
    np.testing.assert_allclose(apply_filters(large, [Filter("denoise", 1)], 2), large, atol=1e-5)


def test_nothing_is_lost_where_there_is_no_noise_to_take() -> None:
    plane = np.random.default_rng(0).random((20, 30), np.float32)
    assert remove_noise(plane, 0) is plane
    np.testing.assert_allclose(remove_noise(plane, 1e-9), plane, atol=1e-5)


def test_contrast_reaches_from_dark_to_light_on_a_straight_line() -> None:
    dull = 0.3 + 0.3 * noisy(0.02)
    wide = apply_filters(dull, [parse("contrast=1")], 1)
    low, high = light_range(wide[..., 0])
    assert low < 0.02 and high > 0.98
    inner = (wide > 0) & (wide < 1)
    slope, start = np.polyfit(dull[inner], wide[inner], 1)
    np.testing.assert_allclose(wide[inner], slope * dull[inner] + start, atol=1e-3)


def test_filters_follow_in_the_order_given() -> None:
    first = upscale_array(face(), 2, "cubic", ["unsharp=3", "bilateral=1"])
    other = upscale_array(face(), 2, "cubic", ["bilateral=1", "unsharp=3"])
    assert not np.array_equal(first, other)
    by_hand = upscale_planes(to_planes(face()), 2, "cubic", ["unsharp=3"])
    by_hand = apply_filters(by_hand, [parse("bilateral=1")], 2)
    assert np.array_equal(first, (by_hand * 255).round().astype(np.uint8))


@pytest.mark.parametrize("sigma", [0.02, 0.04, 0.08])
def test_noise_is_measured(sigma: float) -> None:
    assert noise_level(noisy(sigma)[..., 0]) == pytest.approx(sigma, rel=0.1)
    assert noise_level(noisy(0)[..., 0]) < 0.001


def test_auto_picks_what_is_needed_and_nothing_for_a_good_picture() -> None:
    def picks(planes: np.ndarray) -> list[str]:
        return [each.name for each in pick_filters(planes)]

    good = noisy(0.01)
    assert picks(good) == []
    assert picks(noisy(0.05)) == ["denoise"]
    assert picks(0.3 + 0.4 * good) == ["contrast"]
    assert picks(upscale_planes(noisy(0), 3, "cubic")) == ["unsharp"]
    assert picks(np.full((8, 8, 3), 0.5, np.float32)) == []
    assert picks(np.ones((1, 1, 4), np.float32)) == []
    mixed = resolve(["bilateral=0.2", "auto"], noisy(0.05))
    assert list(map(str, mixed)) == ["bilateral=0.2", "denoise=1"]


def test_a_picture_that_was_enlarged_has_nothing_fine() -> None:
    light = noisy(0.01)[..., 0]
    large = upscale_planes(light[..., None], 3, "cubic")[..., 0]
    assert fineness(light) > 0.04 > fineness(large)
    assert fineness(np.zeros((9, 9), np.float32)) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("paint", "no filter 'paint'"),
        ("unsharp=much", "'much' is not an amount of unsharp"),
        ("unsharp=", "'' is not an amount of unsharp"),
        ("unsharp=6", "amount of unsharp must be from 0 to 5"),
        ("edge=-0.1", "amount of edge must be from 0 to 1"),
        ("contrast=nan", "amount of contrast must be from 0 to 1"),
        ("auto=1", "auto takes no amount"),
    ],
)
def test_amounts_are_checked(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse(text)
    assert "--" not in f"{caught.value} {caught.value.hint}"  # a Python caller reads it too
