"""The network that enlarges faces: tiles, sizes, colours; and the resampling after it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import EXAMPLES, draw_face
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import neuralid
from neuralid.models.upscaler import FACTORS, REACH, FaceUpscaler
from neuralid.upscaling.enlarge import upscale_array, upscale_planes
from neuralid.upscaling.face import TILE, enlarge_light
from neuralid.upscaling.picture import luma, to_planes
from neuralid.upscaling.resample import lanczos

ASSET = Path(neuralid.__file__).parent / "assets" / "upscaler.safetensors"


def planes(side: int = 40, channels: int = 3) -> np.ndarray:
    picture = np.asarray(draw_face(np.random.default_rng(1), side, side))
    return to_planes(picture[..., :channels])


def decibels(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(found - wanted)[6:-6, 6:-6].mean()))


def test_the_weights_are_small() -> None:
    sharp = ASSET.with_name("upscaler-sharp.safetensors")
    assert ASSET.stat().st_size + sharp.stat().st_size < 1_500_000


def test_the_sharp_variant_is_sharper_and_hardly_farther_from_the_original() -> None:
    drawn = Image.open(EXAMPLES / "ada.png").resize((56, 56), Image.Resampling.BOX)
    small = to_planes(np.asarray(drawn.resize((28, 28), Image.Resampling.BICUBIC)))
    wanted = luma(to_planes(np.asarray(drawn)))
    plain, sharp = (luma(upscale_planes(small, 2, name)) for name in ("face", "face-sharp"))
    assert decibels(sharp, wanted) > decibels(plain, wanted) - 1
    steep = [np.abs(np.diff(light, axis=1)).mean() for light in (plain, sharp)]
    assert steep[1] > 1.005 * steep[0]


@pytest.mark.parametrize(("name", "factor"), [("ada", 2), ("ada", 4), ("bruno", 4)])
@pytest.mark.parametrize("kernel", ["BOX", "BILINEAR", "BICUBIC", "LANCZOS"])
def test_faces_come_out_nearer_than_by_cubic(name: str, factor: int, kernel: str) -> None:
    """Drawn faces, at the size they were drawn in."""
    drawn = Image.open(EXAMPLES / f"{name}.png").resize((56, 56), Image.Resampling.BOX)
    small = drawn.resize((56 // factor, 56 // factor), Image.Resampling[kernel])
    wanted = luma(to_planes(np.asarray(drawn)))
    face, cubic = (
        decibels(luma(upscale_planes(to_planes(np.asarray(small)), factor, method)), wanted)
        for method in ("face", "cubic")
    )
    assert face > cubic + 0.5


def test_the_network_is_read_without_touching_torchs_random_state() -> None:
    module = sys.modules[enlarge_light.__module__]
    module._read_network.cache_clear()
    state = torch.get_rng_state()
    for method in ("face", "face-sharp"):
        upscale_array(np.asarray(draw_face(np.random.default_rng(0), 9, 9)), 2, method)
    assert module._read_network.cache_info().misses == 2
    assert torch.get_rng_state().equal(state)


# --- Tiles --------------------------------------------------------------------------------------


@settings(max_examples=6, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(1, 40),
    st.sampled_from(FACTORS),
    st.integers(0, 2**31),
)
def test_tiles_give_the_whole(h: int, w: int, tile: int, factor: int, seed: int) -> None:
    light = np.random.default_rng(seed).random((h, w), np.float32)
    whole = enlarge_light(light, factor, tile=100)
    # In bfloat16 sums of another order may round otherwise.
    np.testing.assert_allclose(enlarge_light(light, factor, tile=tile), whole, atol=4e-3)


@pytest.mark.parametrize("factor", FACTORS)
def test_no_pixel_feels_what_is_out_of_reach(factor: int) -> None:
    torch.manual_seed(0)
    network = FaceUpscaler().double()
    small = torch.rand(1, 1, 3, 2 * REACH + 3, dtype=torch.float64, requires_grad=True)
    large = network(small, factor)
    middle = factor * (REACH + 1)
    (felt,) = torch.autograd.grad(large[..., middle : middle + factor].sum(), small)
    columns = felt.abs().sum((0, 1, 2))
    assert columns[[0, -1]].max() == 0
    assert columns[2:-2].min() > 0


def test_the_network_sees_a_tile_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the memory does not grow with the picture."""
    seen: list[tuple[int, ...]] = []

    def network(small: torch.Tensor, factor: int) -> torch.Tensor:
        seen.append(tuple(small.shape[-2:]))
        return small.repeat_interleave(factor, -1).repeat_interleave(factor, -2)

    module = sys.modules[enlarge_light.__module__]  # the package has a function of its name
    monkeypatch.setattr(module, "_network", lambda device, sharp: network)
    light = np.random.default_rng(0).random((3 * TILE + 5, TILE + 1), np.float32)
    large = enlarge_light(light, 2)
    assert np.array_equal(large, light.repeat(2, 0).repeat(2, 1))
    assert len(seen) == 8
    assert max(map(max, seen)) <= TILE + 2 * REACH


# --- Sizes, colours, alpha ----------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.1, 2, 2.7, 3, 5.3, 16])
def test_no_factor_shifts_the_picture(scale: float) -> None:
    """It lies where cubic's lies, turned or not."""
    small = planes(24)
    for turned in (small, small[::-1].copy(), small.transpose(1, 0, 2).copy()):
        found, cubic = (upscale_planes(turned, scale, method) for method in ("face", "cubic"))
        step = max(1, round(scale / 4))
        shifts = [(0, 0), (0, step), (0, -step), (step, 0), (-step, 0)]
        errors = [np.square(np.roll(found, by, (0, 1)) - cubic).mean() for by in shifts]
        assert errors[0] < 0.7 * min(errors[1:])


def test_the_network_makes_the_light_and_cubic_the_colours() -> None:
    found, cubic = (upscale_planes(planes(), 4, method) for method in ("face", "cubic"))
    inside = ((found > 0) & (found < 1) & (cubic > 0) & (cubic < 1)).all(axis=2)
    colours, plain = (x - luma(x)[..., None] for x in (found, cubic))
    np.testing.assert_allclose(colours[inside], plain[inside], atol=1e-5)
    assert np.abs(luma(found) - luma(cubic)).mean() > 0.005


def test_grey_is_the_light() -> None:
    grey = planes(channels=1)
    coloured = upscale_planes(grey.repeat(3, axis=2), 3, "face")
    np.testing.assert_allclose(coloured, upscale_planes(grey, 3, "face").repeat(3, 2), atol=1e-3)


def test_an_edge_of_alpha_has_no_fringe() -> None:
    """A disc of one colour on nothing: one colour, wherever it can be seen."""
    y, x = np.mgrid[-20:20, -20:20] + 0.5
    alpha = ((16 - np.hypot(x, y)).clip(0, 1) * 255).round().astype(np.uint8)
    disc = np.dstack([np.full_like(alpha, value) for value in (200, 120, 40)] + [alpha])
    large = upscale_array(disc, 4, "face")
    seen = large[large[..., 3] > 20][:, :3].astype(int)
    assert np.abs(seen - (200, 120, 40)).max() <= 3
    assert (large[..., 3] == upscale_array(alpha, 4, "cubic")).all()


# --- Resampling ---------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(8, 40), st.integers(8, 40), st.floats(0.3, 3), st.integers(0, 2**31))
def test_lanczos_is_pillows(h: int, w: int, scale: float, seed: int) -> None:
    """Except near borders, which Pillow leaves out of the sum instead of repeating them."""
    plane = np.random.default_rng(seed).random((h, w), np.float32)
    height, width = max(1, round(h * scale)), max(1, round(w * scale))
    found = lanczos(plane, height, width)
    wanted = np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.LANCZOS))
    edge = int(np.ceil(3 * max(1, scale))) + 1
    inner = slice(edge, -edge), slice(edge, -edge)
    np.testing.assert_allclose(found[inner], wanted[inner], atol=1e-5)


@pytest.mark.parametrize("side", [1, 7, 24, 25])
def test_lanczos_keeps_flat_planes(side: int) -> None:
    np.testing.assert_allclose(lanczos(np.full((5, 9), 0.3, np.float32), side, side), 0.3, 1e-6)
