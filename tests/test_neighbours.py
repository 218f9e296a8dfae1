"""Copies of training faces are found and told from new faces; the page that shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from browser import FOUND, Browser
from test_metrics import pictures
from torch import Tensor
from torch.nn import functional as F

from neuralid.pictures import images
from neuralid.training.metrics import neighbours
from neuralid.training.metrics.neighbours import (
    Study,
    find_nearest,
    shrunk_pixels,
    study,
)
from neuralid.training.runs.neighbours_page import write_neighbours

HELD_OUT, TRAINING = np.arange(120), np.arange(120, 520)
NASTY = "<script>alert(1)<!--"


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    """uint8 (520, 28, 28, 3): held-out ones, then training ones."""
    return images.to_uint8(pictures(520))


def copies(photos: np.ndarray, count: int = 100) -> Tensor:
    """Training faces, every other one mirrored."""
    faces = images.to_tensor(photos[TRAINING[:count]])
    faces[::2] = faces[::2].flip(3)
    return faces


def test_copies_are_found_and_whether_they_are_mirrored(
    photos: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = torch.full((100,), -1)
    found = find_nearest(shrunk_pixels, copies(photos), photos, TRAINING, nowhere)
    assert found.places.tolist() == TRAINING[:100].tolist()
    assert found.mirrored.tolist() == [True, False] * 50
    assert found.nearest.max() < 1e-3 and found.ratio.max() < 0.01
    assert found.distances.shape == (100, neighbours.K)
    assert bool((found.distances.diff() >= 0).all())
    monkeypatch.setattr(neighbours, "CHUNK", 7)
    again = find_nearest(shrunk_pixels, copies(photos), photos, TRAINING, nowhere)
    assert again.places.equal(found.places)
    torch.testing.assert_close(again.distances, found.distances, atol=1e-3, rtol=1e-3)


def test_a_distance_is_of_pixels_and_a_face_is_not_its_own_neighbour(photos: np.ndarray) -> None:
    faces = images.to_tensor(photos[:2])
    both = np.concatenate([photos[:1], images.to_uint8(faces[:1] * 0.5), photos[1:2]])
    found = find_nearest(
        shrunk_pixels, faces[:1], both, np.arange(3), torch.zeros(1, dtype=torch.long)
    )
    assert found.places.tolist() == [1]
    soft = F.avg_pool2d(faces[:1], 3, 1, 1, count_include_pad=False)
    wanted = float((soft / 2).square().mean().sqrt())
    assert float(found.nearest) == pytest.approx(wanted, abs=0.003)


def test_new_faces_are_as_near_as_held_out_ones_and_copies_nearer(photos: np.ndarray) -> None:
    new = study(pictures(200, seed=7), photos, TRAINING, HELD_OUT)
    assert [c.name for c in new.comparisons] == ["pixels", "random features"]
    for each in new.comparisons:
        assert each.near() < 0.06 and each.alone() < 0.06 and each.searched == len(TRAINING)
    assert len(new.real) == new.held_out == len(HELD_OUT)
    blurred = F.avg_pool2d(copies(photos), 3, 1, 1, count_include_pad=False)
    for drawn in (copies(photos), blurred):
        for each in study(drawn, photos, TRAINING, HELD_OUT).comparisons:
            assert each.alone() > 0.9
            assert each.near() > 0.9 or drawn is blurred


def test_where_few_are_held_out_training_faces_stand_in_for_them(photos: np.ndarray) -> None:
    found = study(pictures(20, seed=7), photos, TRAINING, HELD_OUT[:3])
    assert found.held_out == 3 and len(found.real) == neighbours.FEWEST
    assert all(float(c.real.nearest.min()) > 0.01 for c in found.comparisons)  # not themselves
    none = study(pictures(5, seed=7), photos, TRAINING[:64], HELD_OUT[:0])
    assert none.held_out == 0 and len(none.real) == 32


def page_of(found: Study, photos: np.ndarray, folder: Path) -> str:
    names = [f"{i}{NASTY}.jpg" for i in range(len(photos))]
    folder.mkdir(exist_ok=True)
    path = write_neighbours(folder, found, photos, names, kimg=12.5)
    assert path == folder / "neighbours.html"
    return path.read_text(encoding="utf-8")


def test_the_page_is_one_file_that_loads_nothing(photos: np.ndarray, tmp_path: Path) -> None:
    found = study(pictures(60, seed=7), photos, TRAINING, HELD_OUT)
    text = page_of(found, photos, tmp_path / NASTY)
    assert not re.search(r"https?:|@import|url\(|\{\{", text) and NASTY not in text
    sources = re.findall(r'<img src="([^"]*)"', text)
    assert len(sources) == 3 * 24 and all(s.startswith("data:image/webp;base64,") for s in sources)
    assert "after 12.5 kimg" in text
    assert "60 drawn faces, and 120 photographs" in text and "among 400 training faces" in text
    assert "Nothing here looks like copying." in text
    nearest = found.comparisons[0].drawn
    place = int(nearest.places[nearest.nearest.argmin()])
    assert f"{float(nearest.nearest.min()):.3g}</b> {place}&lt;script&gt;" in text
    assert text.count("<rect") == 2 * 2 * 40


def test_the_page_tells_of_copies_and_of_too_few(photos: np.ndarray, tmp_path: Path) -> None:
    text = page_of(study(copies(photos), photos, TRAINING, HELD_OUT), photos, tmp_path)
    assert "More drawn faces than photographs are near a training face" in text
    assert "mirrored" in text and "100.0%" in text
    few = study(copies(photos), photos, TRAINING, HELD_OUT[:3])
    text = page_of(few, photos, tmp_path)
    assert "Too few photographs were held out to tell" in text
    assert "Only 3 faces were held out" in text


@pytest.mark.skipif(FOUND is None, reason="no chromium is installed")
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (360, "dark")])
def test_in_a_browser(
    width: int, scheme: str, photos: np.ndarray, tmp_path: Path, browser: Browser
) -> None:
    page_of(study(pictures(60, seed=7), photos, TRAINING, HELD_OUT), photos, tmp_path)
    browser.open(tmp_path / "neighbours.html", width=width, scheme=scheme)
    assert browser.value("document.documentElement.scrollWidth") == width
    loaded = "[...document.images].every((x) => x.complete && x.naturalWidth == 56)"
    assert browser.value(loaded) and browser.value("document.images.length") == 72
    heights = "[...document.querySelectorAll('rect')].map((x) => x.getBoundingClientRect().height)"
    assert max(browser.value(heights)) > 50
    browser.screenshot(tmp_path / "shot.png")
    shot = images.load_rgb(tmp_path / "shot.png")
    assert shot.shape[1] == width and (np.median(shot) > 200) == (scheme == "light")
    assert browser.complaints == []


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as page:
        yield page
