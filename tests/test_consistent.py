"""Back-projection: the large picture, shrunk by box averaging, is the small one."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import draw_face, run
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neuralid.upscaling.config import METHODS
from neuralid.upscaling.consistent import make_consistent, shrink
from neuralid.upscaling.enlarge import upscale_array, upscale_planes
from neuralid.upscaling.picture import to_planes

ROUNDING = 0.5 / 255 + 1e-5


def boxes(large: np.ndarray, scale: int) -> np.ndarray:
    """Means of squares, by definition: ``(H, W, C)`` -> ``(H / scale, W / scale, C)``."""
    h, w, c = large.shape
    return np.asarray(large.reshape(h // scale, scale, w // scale, scale, c).mean((1, 3)))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=5, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(2, 5), st.integers(0, 2**31))
def test_any_picture_comes_back(method: str, h: int, w: int, scale: int, seed: int) -> None:
    small = np.random.default_rng(seed).integers(0, 256, (h, w, 3), np.uint8)
    large = upscale_array(small, scale, method, consistent=True)
    assert np.abs(boxes(large / 255, scale) - small / 255).max() <= ROUNDING


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(2, 5), st.sampled_from([2, 4]), st.data())
def test_so_does_one_with_alpha(h: int, w: int, scale: int, c: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    small = to_planes(rng.integers(0, 256, (h, w, c), np.uint8))
    start = rng.random((h * scale, w * scale, c), np.float32)
    large = make_consistent(start, small)
    np.testing.assert_allclose(boxes(large, scale), small, atol=1e-5)
    assert large.min() >= 0 and large.max() <= 1
    assert (large[..., :-1] <= large[..., -1:]).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(4, 20), st.integers(4, 20), st.floats(2, 8), st.integers(0, 2**31))
def test_by_a_factor_that_is_not_whole(h: int, w: int, scale: float, seed: int) -> None:
    small = 0.3 + 0.4 * np.random.default_rng(seed).random((h, w, 1), np.float32)
    large = upscale_planes(small, scale, "cubic", consistent=True)
    np.testing.assert_allclose(shrink(large, h, w), small, atol=ROUNDING)


def test_after_filters_and_in_16_bits() -> None:
    small = np.random.default_rng(0).integers(0, 65536, (8, 6, 3), np.uint16)
    large = upscale_array(small, 3, "lanczos", ["unsharp=2", "contrast=1"], consistent=True)
    assert np.abs(boxes(large.astype(float), 3) - small).max() <= 1


def test_what_is_consistent_already_stays() -> None:
    small = to_planes(np.asarray(draw_face(np.random.default_rng(0), 12, 12)))
    large = upscale_planes(small, 4, "nearest")
    np.testing.assert_allclose(make_consistent(large, small), large, atol=1e-5)


def test_the_option() -> None:
    draw_face(np.random.default_rng(0), 20, 20).save("in.png")
    small = np.asarray(Image.open("in.png")) / 255
    errors = []
    for options in ((), ("--consistent",)):
        result = run("upscale", "in.png", "-o", "out.png", *options)
        assert result.exit_code == 0, result.stderr
        errors.append(np.abs(boxes(np.asarray(Image.open("out.png")) / 255, 4) - small).max())
    assert errors[1] <= ROUNDING < errors[0]
