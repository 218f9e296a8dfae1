"""Enlarging: what every method must keep, and each kind of picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from conftest import draw_face
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralid.errors import ConfigError, ImageError
from neuralid.upscaling import METHODS, upscale_array, upscale_planes
from neuralid.upscaling.sharpen import unsharp

methods = pytest.mark.parametrize("method", METHODS)
PIXELS = ("nearest", "scale2x", "scale3x", "area")  # these make no new colours, or few


def face() -> np.ndarray:
    return np.asarray(draw_face(np.random.default_rng(1), 40, 40))


@methods
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 255), st.integers(1, 9), st.integers(1, 9), st.floats(1, 6))
def test_a_flat_picture_stays_flat(method: str, value: int, h: int, w: int, scale: float) -> None:
    large = upscale_array(np.full((h, w, 3), value, np.uint8), scale, method)
    assert large.shape == (round(h * scale), round(w * scale), 3)
    assert (large == value).all()


@methods
def test_a_large_picture_shrunk_again_is_the_small_one(method: str) -> None:
    large = upscale_array(face(), 4, method, sharpen=0)
    small = cv2.resize(large, (40, 40), interpolation=cv2.INTER_AREA)
    most = 3 if method in ("linear", "dcci") else 2  # these blur a little
    assert np.abs(small.astype(int) - face().astype(int)).mean() < most


@methods
def test_nothing_is_shifted(method: str) -> None:
    """Mirrored, enlarged and mirrored back is enlarged."""
    there_and_back = upscale_array(face()[::-1, ::-1], 3, method)[::-1, ::-1]
    difference = there_and_back.astype(int) - upscale_array(face(), 3, method).astype(int)
    assert np.abs(difference).max() <= 1


def test_cubic_is_opencvs() -> None:
    planes = face().astype(np.float32) / 255
    wanted = cv2.resize(planes, (160, 160), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    assert np.array_equal(upscale_planes(planes, 4, "cubic", 0), wanted)


def test_sharpening_steepens_edges_without_halos() -> None:
    soft = upscale_planes(face().astype(np.float32) / 255, 4, "cubic", 0)
    sharp = unsharp(soft, 0.8, 4)
    assert np.abs(np.diff(sharp, axis=1)).max() > np.abs(np.diff(soft, axis=1)).max()
    assert sharp.min() >= soft.min() and sharp.max() <= soft.max()


@methods
def test_what_is_transparent_does_not_bleed_into_what_is_not(method: str) -> None:
    picture = np.zeros((12, 12, 4), np.uint8)
    picture[:, :6] = (200, 10, 10, 255)
    picture[:, 6:] = (0, 255, 0, 0)  # green, and invisible
    large = upscale_array(picture, 4, method)
    visible = large[large[..., 3] > 25]
    assert visible[:, 1].max() <= 12
    assert abs(int(visible[:, 0].min()) - 200) <= 4


@methods
def test_opaque_alpha_changes_nothing(method: str) -> None:
    opaque = np.dstack([face(), np.full((40, 40), 255, np.uint8)])
    large = upscale_array(opaque, 2.5, method)
    assert (large[..., 3] == 255).all()
    difference = large[..., :3].astype(int) - upscale_array(face(), 2.5, method).astype(int)
    assert np.abs(difference).max() <= 1


@methods
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_stays_grey_and_keeps_its_depth(method: str, dtype: type) -> None:
    grey: np.ndarray = np.linspace(0, np.iinfo(dtype).max, 64).reshape(8, 8).astype(dtype)
    large = upscale_array(grey, 2, method)
    assert large.shape == (16, 16)
    assert large.dtype == dtype
    assert len(np.unique(large)) > 64 or method in PIXELS


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": 0.5}, "scale must be from 1 to 64"),
        ({"scale": float("nan")}, "scale must be from 1 to 64"),
        ({"scale": 2, "method": "magic"}, "no method 'magic'"),
        ({"scale": 2, "sharpen": -1}, "sharpen must be from 0 to 5"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float | str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        upscale_array(face(), **options)  # type: ignore[arg-type]


def test_a_result_too_large_is_refused_before_it_is_made() -> None:
    with pytest.raises(ImageError, match="megapixels"):
        upscale_array(np.zeros((1000, 1000), np.uint8), 64)


def test_the_help_names_every_method() -> None:
    from neuralid.cli._upscale import METHODS as named

    assert set(named.rstrip(".").replace(" or ", ", ").split(", ")) == set(METHODS)
