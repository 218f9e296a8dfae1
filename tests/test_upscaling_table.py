"""A method or a filter is a function and an entry in a table; what an entry may ask for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import draw_face, fails, run

from neuralid.core.errors import ConfigError
from neuralid.pictures.images import load_rgb
from neuralid.upscaling import compare, face, hqx
from neuralid.upscaling.config import (
    FILTERS,
    METHODS,
    FilterInfo,
    MethodInfo,
    Requirement,
    methods_on_device,
)
from neuralid.upscaling.enlarge import upscale_array
from neuralid.upscaling.loading import list_available

SCALE = 3


def mosaic(planes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Every pixel of one colour, the picture's mean."""
    return np.broadcast_to(planes.mean((0, 1)), (height, width, planes.shape[2])).copy()


def placed(
    planes: np.ndarray, height: int, width: int, *, device: str | torch.device, on_part: object
) -> np.ndarray:
    assert torch.device(device).type == "cpu"
    return mosaic(planes, height, width)


def darker(colours: np.ndarray, amount: float, scale: float) -> np.ndarray:
    return colours - amount * scale / 10


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A method and a filter of this file, as an author would add them."""
    method = MethodInfo("the mean colour", f"{__name__}:mosaic")
    monkeypatch.setitem(METHODS, "mosaic", method)
    info = FilterInfo("takes some light away", 0.5, function=f"{__name__}:darker")
    monkeypatch.setitem(FILTERS, "darker", info)


@pytest.fixture
def picture() -> np.ndarray:
    drawn = draw_face(np.random.default_rng(0), 20, 20)
    drawn.save("in.png")
    return np.asarray(drawn)


@pytest.mark.usefixtures("entries")
def test_an_entry_is_all_that_a_method_and_a_filter_take(picture: np.ndarray) -> None:
    mean = picture.mean((0, 1))
    plain = upscale_array(picture, SCALE, "mosaic")
    assert plain.shape == (60, 60, 3)
    assert np.abs(plain - mean).max() <= 0.51
    dark = upscale_array(picture, SCALE, "mosaic", ["darker=0.2"])
    assert np.abs(dark - (mean - 255 * 0.2 * SCALE / 10).clip(0)).max() <= 0.51


@pytest.mark.usefixtures("entries")
def test_the_command_line_takes_them(picture: np.ndarray) -> None:
    options = ("--method", "mosaic", "--filter", "darker=0.2", "--scale", SCALE)
    assert run("upscale", "in.png", "-o", "out.png", *options).exit_code == 0
    wanted = upscale_array(picture, SCALE, "mosaic", ["darker=0.2"])
    assert np.array_equal(load_rgb(Path("out.png")), wanted)
    fails(run("upscale", "in.png", "--method", "x", "-o", "no.png"), 2, "no method 'x'", "mosaic")
    fails(run("upscale", "in.png", "--filter", "x", "-o", "no.png"), 2, "no filter 'x'", "darker")


@pytest.mark.usefixtures("entries", "picture")
def test_the_sheet_shows_a_new_method(monkeypatch: pytest.MonkeyPatch) -> None:
    labels: list[str] = []
    draw = compare._draw_label

    def label(text: str) -> np.ndarray:
        labels.append(text)
        return draw(text)

    monkeypatch.setattr(compare, "_draw_label", label)
    assert run("upscale", "in.png", "--compare", "-o", "sheet.png").exit_code == 0
    assert labels[-1] == "mosaic 4x" and len(labels) == len(METHODS)


def test_a_method_that_runs_on_a_device_is_given_it(
    picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = MethodInfo("the mean colour", f"{__name__}:placed", on_device=True)
    monkeypatch.setitem(METHODS, "placed", method)
    assert methods_on_device() == ["face", "face-sharp", "placed"]
    assert upscale_array(picture, 2, "placed", device="cpu").shape == (40, 40, 3)
    monkeypatch.setattr("neuralid.core.device._cuda_count", lambda: 1)
    refused = run("upscale", "in.png", "--method", "cubic", "--device", "cuda")
    fails(refused, 2, "'cubic' runs on the CPU only", "face, face-sharp, placed")


@pytest.mark.parametrize("content", [None, "raise ImportError('half of it is missing')", "1 / 0"])
def test_a_package_that_is_missing_or_broken_is_one_line(
    content: str | None, picture: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / "a_broken_package.py").write_text(content)
        monkeypatch.syspath_prepend(tmp_path)
    needs = Requirement("broken", "a_broken_package", extra="more", instead="cubic")
    method = MethodInfo("the mean colour", f"{__name__}:mosaic", requires=needs)
    monkeypatch.setitem(METHODS, "mosaic", method)
    with pytest.raises(ConfigError, match="method mosaic needs the package broken") as caught:
        upscale_array(picture, 2, "mosaic")
    assert caught.value.hint == "pip install 'neuralid[more]', or take cubic"
    assert "mosaic" not in list_available() and "cubic" in list_available()


@pytest.mark.parametrize("method", METHODS)
def test_several_threads_get_what_one_does(method: str) -> None:
    """The first of all pictures too, for which networks and filters are made ready."""
    pictures = [
        np.asarray(draw_face(np.random.default_rng(seed), 12 + seed % 3, 14)) for seed in range(12)
    ]
    face._read_network.cache_clear()
    hqx._graph.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda x: upscale_array(x, 3.5, method).tobytes(), pictures))
    assert found == [upscale_array(x, 3.5, method).tobytes() for x in pictures]
