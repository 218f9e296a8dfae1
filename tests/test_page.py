"""The page of a mix: what is on it, and what dragging does in a real browser."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browser import FOUND, Browser
from conftest import fails, run
from PIL import Image

import neuralid
from neuralid import weights
from neuralid.api._model import Model, quiet
from neuralid.api._page import PEOPLE, SCALE, STEPS, VALUES, Page, draw_page
from neuralid.core.errors import ConfigError
from neuralid.latents.attributes import Direction

NAMES = ["<b>a & co", "b"]


def shades() -> Page:
    """A page whose faces can be told apart: one grey a place and variant."""
    places, variants = 1 + STEPS, len(VALUES)
    faces = np.zeros((places, variants, 8, 8, 3), np.uint8)
    shade = 3 * (variants * np.arange(places)[:, None] + np.arange(variants))
    faces += shade.astype(np.uint8)[..., None, None, None]
    people = np.stack([faces[0, 0], faces[-1, 0]])
    return Page(NAMES, people, faces, ["age"], STEPS // 2)


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    loaded: dict[str, Any] = json.loads(found[1])
    return loaded


def shade(uri: str) -> int:
    head, content = uri.split(",")
    assert head == "data:image/webp;base64"
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
    return round(pixels.mean() / 3)


def test_the_page_holds_every_face_where_its_script_looks_for_it() -> None:
    data = data_of(shades().html())
    assert [person["name"] for person in data["people"]] == NAMES and data["start"] == STEPS // 2
    moved = [value for value in VALUES if value]
    assert data["variants"] == [{f"{v:g}": 1 + i for i, v in enumerate(moved)}]
    for place in (0, 3, STEPS):
        assert [shade(uri) for uri in data["faces"][place]] == [
            len(VALUES) * place + variant for variant in range(len(VALUES))
        ]


def test_nothing_on_the_page_is_loaded_or_leaves_its_element() -> None:
    page = shades().html()
    assert "<b>a" not in page.replace("&lt;b&gt;", "") and "&lt;b&gt;a &amp; co" in page
    assert not re.search(r"https?://|src=\"[^d]|@import", page)
    assert "default-src 'none'" in page


def test_faces_on_the_page_are_those_of_the_way_moved_along_each_attribute(
    trained: weights.Weights,
) -> None:
    model = Model.load(trained.path, "cpu", quiet)
    rng = torch.Generator().manual_seed(2)
    vectors = {name: torch.randn(model.latent_shape, generator=rng) for name in ("age", "gender")}
    known = {name: Direction(vector, 1.0, 1.0, {}) for name, vector in vectors.items()}
    model = replace(model, weights=replace(model.weights, directions=known))
    way = 0.5 * torch.randn(3, *model.latent_shape, generator=rng)
    people = np.zeros((2, model.size, model.size, 3), np.uint8)
    page = draw_page(model, ["x/ada.png", "bruno"], people, way, 0.5)
    assert page.names == ["ada", "bruno"] and page.start == 1
    assert page.attributes == ["age", "gender"]
    variants = page.faces.shape[1]
    assert variants == 1 + 2 * (len(VALUES) - 1)
    (wanted,) = model.draw((way[2] - 1.5 * vectors["gender"])[None], SCALE)
    assert np.array_equal(page.faces[2, len(VALUES)], wanted)
    (wanted,) = model.draw((way[0] + 0.5 * vectors["age"])[None], SCALE)
    assert np.array_equal(page.faces[0, 1 + [v for v in VALUES if v].index(0.5)], wanted)


def test_a_mix_brings_its_page_from_one_person_to_the_other(
    trained: weights.Weights, tmp_path: Path
) -> None:
    studio = neuralid.open(trained.path)
    a, b = studio.sample(seeds=[1, 2])
    mixed = studio.mix([a, b], weights=0.2, html=True)
    assert mixed.page is not None and mixed.page.start == round(0.2 * STEPS)
    ends = studio.mix([a, b], strip=2, scale=SCALE).image
    side = ends.shape[0]
    assert np.array_equal(mixed.page.faces[0, 0], ends[:, :side])
    assert np.array_equal(mixed.page.faces[-1, 0], ends[:, side:])
    assert mixed.page.save(tmp_path / "out.html").read_text() == mixed.page.html()
    assert studio.mix([a, b]).page is None
    strip, alone = (studio.mix([a, b], strip=n, html=True).page for n in (3, None))
    assert strip is not None and alone is not None  # it goes with any picture
    assert np.array_equal(strip.faces, alone.faces)
    with pytest.raises(ConfigError, match="number of people on a page"):
        studio.mix([a] * (PEOPLE + 1), html=True)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.mark.skipif(FOUND is None, reason="no chromium is installed")
@pytest.mark.parametrize("width", [1000, 360])
def test_dragging_in_a_browser(width: int, tmp_path: Path, browser: Browser) -> None:
    path = shades().save(tmp_path / "mix.html")
    data = data_of(path.read_text())
    browser.open(path, width=width)
    assert browser.value("document.documentElement.scrollWidth") == width
    assert browser.value("document.title") == "<b>a & co and b"
    face = "document.getElementById('face').src"
    told = "document.querySelector('output').textContent"
    assert browser.value(face) == data["faces"][STEPS // 2][0]
    assert browser.value(told) == "50% <b>a & co, 50% b"
    browser.value("document.getElementById('slider-0').focus()")
    browser.press("End")
    assert browser.value(face) == data["faces"][STEPS][0] and browser.value(told) == "100% b"
    browser.value("document.getElementById('slider-1').focus()")
    browser.press("ArrowRight")  # to 0.5
    assert browser.value(face) == data["faces"][STEPS][data["variants"][0]["0.5"]]
    browser.value("document.querySelector('.people button').click()")
    assert browser.value(face) == data["faces"][0][0]
    saved = "document.getElementById('save').href"
    assert browser.value(saved) == data["faces"][0][0]
    assert browser.complaints == []


def test_the_command_writes_the_page_beside_the_picture(tiny: Path) -> None:
    run("sample", "--seeds", "1,2", "--outdir", ".", "--weights", tiny)
    inputs = ("seed0001.png", "seed0002.png", "--weights", tiny)
    result = run("mix", *inputs, "-o", "out.png", "--html", "out.html")
    assert result.stdout.split() == ["out.png", "out.html"]
    names = [person["name"] for person in data_of(Path("out.html").read_text())["people"]]
    assert names == ["seed0001", "seed0002"]
    told = json.loads(run("mix", *inputs, "-o", "o.png", "--html", "o.html", "--json").stdout)
    assert told["files"] == ["o.png", "o.html"]
    wrong = run("mix", *inputs, "--html", "page.png")
    fails(wrong, 2, "page.png is not a name for a page", "end it in .html")
    fails(run("mix", *inputs, "--html", "gone/out.html"), 1, "gone")
