"""hqx: FFmpeg's filter, asked for its shares, against what the filter itself draws."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from conftest import fails, run
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neuralid.core.errors import ConfigError, ImageError
from neuralid.upscaling.config import METHODS
from neuralid.upscaling.enlarge import upscale_array, upscale_planes
from neuralid.upscaling.hqx import _next_factor, hqx, magnify
from neuralid.upscaling.loading import list_available

av = pytest.importorskip("av")


def by_ffmpeg(image: np.ndarray, times: int) -> np.ndarray:
    """What FFmpeg's filter makes of uint8 ``(H, W, 3)``, in 8 bits, rounded down."""
    from av.filter import Graph

    h, w = image.shape[:2]
    graph = Graph()
    source = graph.add_buffer(
        width=w, height=h, format=av.VideoFormat("bgra", w, h), time_base=Fraction(1)
    )
    magnify, sink = graph.add("hqx", f"n={times}"), graph.add("buffersink")
    source.link_to(magnify)
    magnify.link_to(sink)
    graph.configure()
    opaque = np.dstack([image[..., ::-1], np.full((h, w), 255, np.uint8)])
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(opaque), format="bgra")
    frame.pts = 0
    graph.push(frame)
    return np.asarray(graph.pull().to_ndarray()[..., 2::-1])


def few_colours(h: int, w: int, seed: int) -> np.ndarray:
    """A random drawing: some colours alike, some not."""
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (4, 3), dtype=np.uint8)
    near = rng.integers(0, 12, (h, w, 3), dtype=np.uint8)
    return np.asarray(palette[rng.integers(0, 4, (h, w))] // 2 + near)


@pytest.mark.parametrize("times", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 2), (37, 50)])
def test_it_is_ffmpegs_but_for_rounding(times: int, size: tuple[int, int]) -> None:
    drawing = few_colours(*size, seed=times)
    found = magnify(drawing.astype(np.float32) / 255, times) * 255
    difference = found - by_ffmpeg(drawing, times)
    assert difference.min() > -1e-3
    assert difference.max() < 1


def test_like_colours_are_blended_with_the_nearer_two() -> None:
    """The first row of hq2x's table [1]: where nothing differs, half of E, a quarter of B and D."""
    x = (0.5 + 0.05 * np.random.default_rng(0).random((6, 7, 1))).astype(np.float32)
    large = magnify(x, 2)
    e, b, d = x[1:-1, 1:-1], x[:-2, 1:-1], x[1:-1, :-2]
    np.testing.assert_allclose(large[2:-2:2, 2:-2:2], (2 * e + b + d) / 4, atol=1e-6)


def test_a_straight_edge_stays_hard_and_a_slanting_one_gets_soft() -> None:
    straight = np.zeros((8, 8, 3), np.uint8)
    straight[:, 4:] = 255
    assert set(np.unique(upscale_array(straight, 4, "hqx"))) == {0, 255}
    slanting = np.triu(np.full((8, 8), 255, np.uint8))
    assert len(np.unique(upscale_array(slanting, 4, "hqx"))) > 2


def test_sixteen_bits_stay_sixteen() -> None:
    deep = (few_colours(20, 20, 1).astype(np.uint16) << 8) + 77
    large = upscale_array(deep, 3, "hqx")
    assert large.dtype == np.uint16
    assert (large[1::3, 1::3] == deep).all()  # hq3x leaves the middle pixel as it is


def test_a_black_outline_is_told_from_the_nothing_beside_it() -> None:
    """Colours are multiplied by alpha, so both would be black."""
    disc = np.zeros((16, 16, 4), np.uint8)
    y, x = np.mgrid[:16, :16] - 7.5
    disc[..., 3] = 255 * (np.hypot(y, x) < 6)
    large = upscale_array(disc, 4, "hqx")
    assert (large[..., :3] == 0).all()
    assert len(np.unique(large[..., 3])) > 2  # soft where it slants


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 0, 255), (0, 255, 0), (250, 5, 245)])
def test_a_straight_edge_to_nothing_stays_hard_in_any_colour(colour: tuple[int, int, int]) -> None:
    half = np.zeros((8, 8, 4), np.uint8)
    half[:, :4] = *colour, 255
    assert set(np.unique(upscale_array(half, 4, "hqx")[..., 3])) == {0, 255}


def test_an_interrupted_picture_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing, other = (few_colours(20, 20, seed) for seed in (1, 2))
    wanted = upscale_array(drawing, 2, "hqx")

    module = sys.modules["neuralid.upscaling.hqx"]
    graph = module._graph(20, 20, 2)

    def pushed_only(frame: object) -> None:
        graph.push(frame)
        raise KeyboardInterrupt

    stand_in = Mock(return_value=Mock(push=pushed_only), cache_clear=module._graph.cache_clear)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "_graph", stand_in)
        upscale_array(other, 2, "hqx")
    assert (upscale_array(drawing, 2, "hqx") == wanted).all()


def test_a_forked_process_can_do_it_too() -> None:
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    drawing = few_colours(9, 9, 1)
    wanted = upscale_array(drawing, 2, "hqx")
    script = """
import os, sys
import numpy as np
from neuralid.upscaling.enlarge import upscale_array
drawing = np.load(sys.argv[1])
upscale_array(drawing, 2, "hqx")
child = os.fork()
if child == 0:
    np.save(sys.argv[2], upscale_array(drawing, 2, "hqx"))
    os._exit(0)
os.waitpid(child, 0)
"""
    np.save("drawing.npy", drawing)
    words = [sys.executable, "-c", script, "drawing.npy", "found.npy"]
    subprocess.run(words, check=True, timeout=60)
    assert (np.load("found.npy") == wanted).all()


def test_what_is_too_large_for_ffmpeg_is_one_line() -> None:
    with pytest.raises(ImageError, match="6000000x6 pixels are too many"):
        upscale_array(np.zeros((2, 2_000_000), np.uint8), 3, "hqx")


@given(st.floats(1.001, 64))
def test_steps_are_two_to_four_times_and_few(factor: float) -> None:
    left, steps = factor, []
    while left > 1:
        steps.append(_next_factor(left))
        left /= steps[-1]
    assert set(steps) <= {2, 3, 4}
    assert len(steps) <= 3


def test_six_times_is_three_times_two() -> None:
    assert [_next_factor(each) for each in (6, 2, 4, 16, 2.5)] == [3, 2, 4, 4, 3]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.floats(1.1, 7), st.integers(1, 4))
def test_every_layout_and_factor(h: int, w: int, scale: float, channels: int) -> None:
    planes = np.random.default_rng(0).random((h, w, channels), dtype=np.float32)
    height, width = round(h * scale), round(w * scale)
    if (height, width) != (h, w):
        large = hqx(planes, height, width)
        assert large.shape == (height, width, channels)
        assert large.min() >= 0
        assert large.max() <= 1 + 1e-6


def test_without_the_package_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "av.filter", None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="needs the package av"):
        upscale_planes(np.zeros((2, 2, 3), np.float32), 2, "hqx")
    Image.new("RGB", (8, 8)).save("a.png")
    result = run("upscale", "a.png", "--method", "hqx", "-o", "out.png")
    fails(result, 2, "needs the package av", "pip install 'neuralid[hqx]'")
    assert not Path("out.png").exists()
    assert list_available() == [name for name in METHODS if name != "hqx"]
    assert run("upscale", "a.png", "--compare", "-o", "sheet.png").exit_code == 0
