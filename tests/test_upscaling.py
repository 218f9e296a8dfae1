"""Enlarging: what every method must keep, and each kind of picture."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from conftest import draw_face
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralid.core.errors import ConfigError, ImageError
from neuralid.upscaling import enlarge
from neuralid.upscaling.config import METHODS, methods_on_device
from neuralid.upscaling.enlarge import has_byte_form, upscale_array, upscale_planes
from neuralid.upscaling.loading import load_function
from neuralid.upscaling.picture import from_planes, to_planes

methods = pytest.mark.parametrize("method", METHODS)
PIXELS = ("nearest", "scale2x", "scale3x", "area")  # these make no new colours, or few


# Upside down, mirrored, rows for columns.
TURNS: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda x: x[::-1],
    lambda x: x[:, ::-1],
    lambda x: x.transpose(1, 0, 2),
]


def face() -> np.ndarray:
    return np.asarray(draw_face(np.random.default_rng(1), 40, 40))


@methods
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 255), st.integers(1, 9), st.integers(1, 9), st.floats(1, 6))
def test_a_flat_picture_stays_flat(method: str, value: int, h: int, w: int, scale: float) -> None:
    large = upscale_array(np.full((h, w, 3), value, np.uint8), scale, method)
    assert large.shape == (round(h * scale), round(w * scale), 3)
    assert (large == value).all()


IN_BYTES = [name for name, info in METHODS.items() if info.in_bytes]


@pytest.mark.parametrize("method", IN_BYTES)
@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 30),
    st.integers(1, 30),
    st.sampled_from([(), (1,), (3,)]),
    st.floats(1, 9),
    st.integers(0, 2**31),
)
def test_in_bytes_a_method_gives_the_same_to_within_a_level(
    method: str, h: int, w: int, channels: tuple[int, ...], scale: float, seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (h, w, *channels), np.uint8)
    found = upscale_array(image, scale, method)
    assert has_byte_form(image, method) and found.dtype == np.uint8
    exact = from_planes(upscale_planes(to_planes(image), scale, method), image)
    assert found.shape == exact.shape
    assert np.abs(found.astype(int) - exact.astype(int)).max() <= 1


def test_only_plain_pictures_are_enlarged_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []

    def load(place: str) -> Callable[..., np.ndarray]:
        used.append(place)
        return load_function(place)

    monkeypatch.setattr(enlarge, "load_function", load)
    image = face()
    half = np.dstack([image, np.full(image.shape[:2], 128, np.uint8)])
    upscale_array(image, 2, "cubic", ["unsharp"])
    upscale_array(image, 2, "cubic", consistent=True)
    upscale_array(image.astype(np.uint16) * 257, 2, "cubic")
    upscale_array(half, 2, "cubic")
    assert used == [".opencv:cubic"] * 4
    half[..., 3] = 255
    upscale_array(half, 2, "cubic")  # the colours; alpha is set aside
    assert used[4:] == [".opencv:cubic_bytes"]


@methods
def test_a_large_picture_shrunk_again_is_the_small_one(method: str) -> None:
    large = upscale_array(face(), 4, method)
    small = cv2.resize(large, (40, 40), interpolation=cv2.INTER_AREA)
    most = 3 if method in ("linear", "dcci") else 2  # these blur a little
    assert np.abs(small.astype(int) - face().astype(int)).mean() < most


@pytest.mark.parametrize("method", [name for name in METHODS if name not in methods_on_device()])
@settings(max_examples=5, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.floats(1, 4), st.integers(0, 2**31))
def test_turned_then_enlarged_is_enlarged_then_turned(
    method: str, h: int, w: int, scale: float, seed: int
) -> None:
    """No method shifts a picture, or treats one direction otherwise than another."""
    if method == "nearest":
        scale = round(scale)  # else two pixels can be equally near
    planes = np.random.default_rng(seed).random((h, w, 3), np.float32)
    large = upscale_planes(planes, scale, method)
    for turn in TURNS:
        turned = upscale_planes(np.ascontiguousarray(turn(planes)), scale, method)
        # OpenCV's affine warp, at the end of DCCI, places pixels to a 32nd.
        atol = 0.03 if method == "dcci" else 1e-3
        np.testing.assert_allclose(turned, turn(large), atol=atol)


@methods
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_scale_of_1_changes_nothing(method: str, channels: int) -> None:
    picture = np.random.default_rng(0).integers(1, 256, (7, 5, channels), np.uint8)
    assert np.array_equal(upscale_array(picture, 1, method), picture)


def test_cubic_is_opencvs() -> None:
    planes = face().astype(np.float32) / 255
    wanted = cv2.resize(planes, (160, 160), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    assert np.array_equal(upscale_planes(planes, 4, "cubic"), wanted)


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
    assert np.array_equal(large[..., :3], upscale_array(face(), 2.5, method))


@methods
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_stays_grey_and_keeps_its_depth(method: str, dtype: type) -> None:
    grey: np.ndarray = np.linspace(0, np.iinfo(dtype).max, 64).reshape(8, 8).astype(dtype)
    large = upscale_array(grey, 2, method)
    assert large.shape == (16, 16)
    assert large.dtype == dtype
    assert len(np.unique(large)) > 64 or method in PIXELS


@methods
def test_colours_of_16_bits_keep_them(method: str) -> None:
    """A ramp of less than one step of 8 bits keeps its steps."""
    ramp = np.linspace(30_000, 30_255, 24).round().astype(np.uint16)
    deep = np.dstack([np.tile(ramp, (6, 1))] * 3)
    large = upscale_array(deep, 2, method)
    assert large.dtype == np.uint16
    assert large.shape == (12, 48, 3)
    assert len(np.unique(large)) >= 24
    most = 30 if METHODS[method].on_device else 5  # half of what the ramp rises over five pixels
    assert large.min() >= 30_000 - most and large.max() <= 30_255 + most


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": 0.5}, "scale`? must be from 1 to 64"),
        ({"scale": float("nan")}, "scale`? must be from 1 to 64"),
        ({"scale": 2, "method": "magic"}, "no method 'magic'"),
        ({"scale": 2, "filters": ["magic"]}, "no filter 'magic'"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        upscale_array(face(), **options)  # type: ignore[arg-type]


def test_a_result_too_large_is_refused_before_it_is_made() -> None:
    with pytest.raises(ImageError, match="megapixels"):
        upscale_array(np.zeros((1000, 1000), np.uint8), 64)
