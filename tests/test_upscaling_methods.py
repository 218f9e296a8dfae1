"""Each way of enlarging against an independent statement of what it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from neuralid.upscaling.area import area
from neuralid.upscaling.config import METHODS
from neuralid.upscaling.dcci import dcci
from neuralid.upscaling.dcci import double as dcci_double
from neuralid.upscaling.enlarge import upscale_planes
from neuralid.upscaling.fourier import fourier
from neuralid.upscaling.loading import load_function
from neuralid.upscaling.pixelart import double, scale2x, triple


def noise(h: int, w: int, c: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((h, w, c), dtype=np.float32)


# --- By a kernel, OpenCV's and box sampling ---------------------------------------------------


def bump(x: np.ndarray, a: float = -0.75) -> np.ndarray:
    """Cubic convolution's kernel (Keys 1981)."""
    x = np.abs(x)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "nearest": lambda x: ((x > -0.5) & (x <= 0.5)).astype(float),
    "linear": lambda x: (1 - np.abs(x)).clip(0),
    "cubic": bump,
    "lanczos": lambda x: np.sinc(x) * np.sinc(x / 4) * (np.abs(x) < 4),
}


def matrix(method: str, n: int, size: int) -> np.ndarray:
    """What each of ``size`` points takes from each of ``n``, borders repeated."""
    if method == "area":
        low, high = (np.arange(size) + d for d in (0, 1))
        edges = np.arange(n + 1) * size / n
        shares = np.minimum(high[:, None], edges[1:]) - np.maximum(low[:, None], edges[:-1])
        return shares.clip(0)
    centres = (np.arange(size) + 0.5) * n / size - 0.5
    places = np.arange(-5, n + 5)
    weights = KERNELS[method](centres[:, None] - places)
    weights /= weights.sum(1, keepdims=True)
    inside = np.eye(n)[places.clip(0, n - 1)]  # (n + 10, n)
    return np.asarray(weights @ inside)


@pytest.mark.parametrize("method", [*KERNELS, "area"])
@settings(max_examples=15, deadline=None)
@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 25), st.integers(0, 2**31))
@example(2, 12, 22, 0)  # 17 pixels of 34 end exactly where 6 of 12 do
def test_those_of_a_kernel_are_that_kernel(
    method: str, h: int, w: int, more: int, seed: int
) -> None:
    if method == "nearest":
        height, width = h * (1 + more % 5), w * (1 + more % 5)
    else:
        height, width = h + more, w + more
    x = noise(h, w, 1, seed)
    rows, columns = matrix(method, h, height), matrix(method, w, width)
    found = load_function(METHODS[method].function)(x, height, width)[..., 0]
    np.testing.assert_allclose(found, rows @ x[..., 0] @ columns.T, atol=1e-4)


@pytest.mark.parametrize("size", [34, 49 * 12, 98 * 6])
def test_a_box_that_begins_between_two_pixels_shows_the_right_one(size: int) -> None:
    """OpenCV's enlargement by area shows the other one at these sizes."""
    stripes = np.tile([0, 1], 6).astype(np.float32).reshape(1, 12, 1)
    found = area(stripes, 1, size)[0, :, 0]
    np.testing.assert_allclose(found, matrix("area", 12, size) @ stripes[0, :, 0], atol=1e-6)
    np.testing.assert_allclose(found, 1 - found[::-1], atol=1e-6)


# --- Fourier ----------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 12), st.integers(2, 12), st.floats(1, 5), st.integers(0, 2**31))
def test_fourier_reproduces_band_limited_pictures(h: int, w: int, scale: float, seed: int) -> None:
    height, width = round(h * scale), round(w * scale)
    strengths = np.random.default_rng(seed).normal(size=(h, w))

    def picture(rows: int, columns: int) -> np.ndarray:
        y = np.cos(np.pi * np.outer((np.arange(rows) + 0.5) / rows, np.arange(h)))
        x = np.cos(np.pi * np.outer((np.arange(columns) + 0.5) / columns, np.arange(w)))
        return np.asarray(y @ strengths @ x.T, dtype=np.float32)[..., None]

    large = fourier(picture(h, w), height, width)
    np.testing.assert_allclose(large, picture(height, width), atol=2e-4)


def test_opposite_borders_do_not_ring_into_each_other() -> None:
    ramp = np.linspace(0, 1, 32, dtype=np.float32)[None, :, None].repeat(4, axis=0)
    large = fourier(ramp, 16, 128)
    np.testing.assert_allclose(
        large[0, :, 0], np.clip((np.arange(128) - 1.5) / 124, 0, 1), atol=0.01
    )


# --- DCCI -------------------------------------------------------------------------------------


def slow_dcci(x: np.ndarray) -> np.ndarray:
    """The algorithm of Zhou et al. 2012 for one channel, place by place; inner places only."""
    h, w = x.shape
    y = np.full((2 * h - 1, 2 * w - 1), np.nan)
    y[::2, ::2] = x

    def pick(g1: float, g2: float, p1: float, p2: float) -> float:
        if (1 + g1) / (1 + g2) > 1.15:
            return p2
        if (1 + g2) / (1 + g1) > 1.15:
            return p1
        w1, w2 = 1 / (1 + g1**5), 1 / (1 + g2**5)
        return (w1 * p1 + w2 * p2) / (w1 + w2)

    for r in range(3, 2 * h - 4, 2):
        for c in range(3, 2 * w - 4, 2):
            a = y[r - 3 : r + 4, c - 3 : c + 4]
            g1 = sum(abs(a[i + 2, j] - a[i, j + 2]) for i in (0, 2, 4) for j in (0, 2, 4))
            g2 = sum(abs(a[i, j] - a[i + 2, j + 2]) for i in (0, 2, 4) for j in (0, 2, 4))
            p1 = (-a[6, 0] + 9 * a[4, 2] + 9 * a[2, 4] - a[0, 6]) / 16
            p2 = (-a[0, 0] + 9 * a[2, 2] + 9 * a[4, 4] - a[6, 6]) / 16
            y[r, c] = pick(g1, g2, p1, p2)
    for r in range(6, 2 * h - 7):
        for c in range(6 + (r + 1) % 2, 2 * w - 7, 2):
            a = y[r - 2 : r + 3, c - 2 : c + 3]
            pairs = ((0, 1), (2, 1), (4, 1), (1, 0), (1, 2), (3, 0), (3, 2))
            g1 = sum(abs(a[i, j] - a[i, j + 2]) for i, j in pairs)
            g2 = sum(abs(a[j, i] - a[j + 2, i]) for i, j in pairs)
            p1 = (-y[r, c - 3] + 9 * y[r, c - 1] + 9 * y[r, c + 1] - y[r, c + 3]) / 16
            p2 = (-y[r - 3, c] + 9 * y[r - 1, c] + 9 * y[r + 1, c] - y[r + 3, c]) / 16
            y[r, c] = pick(g1, g2, p1, p2)
    return y


@pytest.mark.parametrize("smooth", [0, 1])
def test_dcci_is_the_algorithm_of_its_paper(smooth: int) -> None:
    x = noise(12, 14, 1)
    if smooth:
        x = 0.5 + 0.02 * x  # where no direction stands out
    wanted = slow_dcci(x[..., 0].astype(np.float64))[6:-6, 6:-6]
    assert np.isfinite(wanted).all()
    np.testing.assert_allclose(dcci_double(x)[6:-6, 6:-6, 0], wanted, atol=1e-5)


def test_dcci_decides_once_for_all_channels() -> None:
    grey = noise(10, 10, 1)
    weights = np.array([1.0, 0.5, 0.25], np.float32)
    coloured = dcci_double(grey * weights)
    # The luma of the colours is 0.6 of the grey: other gradients, so compare with that alone.
    alone = dcci_double(grey * np.float32(weights @ [0.299, 0.587, 0.114]))
    np.testing.assert_allclose(coloured[..., 0] * 0.621, alone[..., 0], atol=2e-3)
    np.testing.assert_allclose(coloured[..., 1] * 2, coloured[..., 0], atol=1e-5)


def test_dcci_keeps_a_diagonal_edge_smoother_than_cubic_does() -> None:
    def step(side: int) -> np.ndarray:
        """An edge at 45 degrees, averaged over each pixel of a 16x16 picture's scale."""
        fine = 16 * 32
        y, x = np.mgrid[0:fine, 0:fine]
        edge = (x + y > fine).astype(np.float32)
        k = fine // side
        return np.asarray(edge.reshape(side, k, side, k).mean((1, 3)))[..., None]

    wanted = step(32)[4:-4, 4:-4]
    errors = {
        method: np.square(upscale_planes(step(16), 2, method)[4:-4, 4:-4] - wanted).mean()
        for method in ("dcci", "cubic")
    }
    assert errors["dcci"] < errors["cubic"]


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 50), st.sampled_from([1.5, 2, 3, 4, 8]), st.integers(1, 20))
def test_stripes_of_dcci_give_the_whole(h: int, scale: float, rows: int) -> None:
    x = noise(h, 9, 3)
    size = round(h * scale), round(9 * scale)
    # Other places of the affine warp's start may round to another 32nd of a pixel.
    atol = 0.05 if scale in (1.5, 3) else 1e-5
    np.testing.assert_allclose(dcci(x, *size, rows=rows), dcci(x, *size, rows=h), atol=atol)


def test_dcci_does_not_shift() -> None:
    y, x = np.mgrid[0:20, 0:24].astype(np.float32)
    ramp = (0.02 * x + 0.01 * y)[..., None]
    large = dcci(ramp, 50, 72)
    places_y, places_x = (np.arange(50) + 0.5) / 2.5 - 0.5, (np.arange(72) + 0.5) / 3 - 0.5
    wanted = 0.02 * places_x[None, :] + 0.01 * places_y[:, None]
    np.testing.assert_allclose(large[6:-6, 8:-8, 0], wanted[6:-6, 8:-8], atol=1e-3)


@pytest.mark.parametrize("scale", [2, 4])
def test_beyond_its_border_dcci_sees_the_border_go_on(scale: int) -> None:
    x = noise(9, 11, 3)
    more = np.pad(x, ((8, 8), (8, 8), (0, 0)), mode="edge")
    inner = dcci(more, 25 * scale, 27 * scale)[8 * scale : -8 * scale, 8 * scale : -8 * scale]
    np.testing.assert_allclose(dcci(x, 9 * scale, 11 * scale), inner, atol=1e-4)


# --- Scale2x and Scale3x ----------------------------------------------------------------------

neighbourhoods = st.lists(st.integers(0, 2), min_size=9, max_size=9)


@settings(max_examples=300, deadline=None)
@given(neighbourhoods)
def test_scale2x_follows_its_table(values: list[int]) -> None:
    _, b, _, d, e, f, _, h, _ = values
    wanted = [e] * 4
    if b != h and d != f:
        wanted = [d if d == b else e, f if b == f else e, d if d == h else e, f if h == f else e]
    large = double(np.array(values, np.float32).reshape(3, 3, 1))
    assert large[2:4, 2:4].ravel().tolist() == wanted


@settings(max_examples=300, deadline=None)
@given(neighbourhoods)
def test_scale3x_follows_its_table(values: list[int]) -> None:
    a, b, c, d, e, f, g, h, i = values
    wanted = [e] * 9
    if b != h and d != f:
        wanted = [
            d if d == b else e,
            b if (d == b and e != c) or (b == f and e != a) else e,
            f if b == f else e,
            d if (d == b and e != g) or (d == h and e != a) else e,
            e,
            f if (b == f and e != i) or (h == f and e != c) else e,
            d if d == h else e,
            h if (d == h and e != i) or (h == f and e != g) else e,
            f if h == f else e,
        ]
    large = triple(np.array(values, np.float32).reshape(3, 3, 1))
    assert large[3:6, 3:6].ravel().tolist() == wanted


def test_colours_are_compared_whole() -> None:
    red, green = [1.0, 0, 0], [0, 1.0, 0]
    x = np.array([[red, red], [red, green]], np.float32)
    assert scale2x(x, 8, 8).reshape(-1, 3).sum(1).tolist() == [1.0] * 64
