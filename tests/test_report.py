"""report.html: one file, offline, whatever the run's folder holds; and in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from browser import FOUND, Browser

from neuralid.pictures import images
from neuralid.training.runs import report
from neuralid.training.runs.history import History

NASTY = "<script>document.title = 'hacked'<!--"  # no slash: it must be a folder's name too


def write(folder: Path) -> dict[str, Any]:
    """Write the report of a folder; returns the data in it, as a browser would find them."""
    path = report.write_report(folder, History.read(folder / "log.jsonl"))
    parser = Parser()
    parser.feed(path.read_text(encoding="utf-8"))
    parser.close()
    assert parser.open == []
    (text,) = parser.data
    data: dict[str, Any] = json.loads(text, parse_constant=pytest.fail)
    return data


class Parser(HTMLParser):
    """Holds that elements are closed and nothing is loaded; keeps title and data."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.data: list[str] = []
        self.title = ""
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert "src" not in given, "nothing is loaded from elsewhere"
        assert (given.get("href") or "data:").startswith("data:")
        self._inside = given.get("id") == "data"
        if tag not in ("meta", "link", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.data.append(data)
        if self.open[-1:] == ["title"]:
            self.title += data


def add_grid(folder: Path, kimg: int) -> None:
    rng = np.random.default_rng(kimg)
    images.save_picture(
        folder / f"fakes{kimg:06d}.png", rng.integers(0, 255, (16, 16, 3), np.uint8)
    )


def add_lines(folder: Path, *lines: dict[str, Any]) -> None:
    with (folder / "log.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def tick(kimg: float, **values: Any) -> dict[str, Any]:
    losses = {"loss_d": 1.0 + kimg / 100, "loss_g": 0.75, "d_real": 0.6, "d_fake": 0.4}
    rest = {"images_per_second": 20.0, "memory_mb": 800, "device": "cpu", "time": kimg * 50}
    return {"kimg": kimg, **losses, **rest, **values}


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run of 80 of 100 kimg with everything a log can hold, and a name that is an attack."""
    folder = tmp_path / NASTY
    folder.mkdir()
    options = {"data": "</script><b>", "train": {"kimg": 100.0, "recipe": {"learning_rate": 2e-4}}}
    (folder / "options.json").write_text(json.dumps(options))
    add_lines(folder, {"skipped": "a.jpg", "why": "damaged"}, {"floors": {"fd": 0.01, "x": None}})
    for kimg in range(1, 81):
        add_lines(folder, tick(kimg, loss_g=float("nan") if kimg == 30 else 0.75))
        if kimg % 20 == 0:
            values = {"fd": 1 / kimg, "x": kimg if kimg > 20 else None}
            add_grid(folder, kimg)
            add_lines(folder, {"kimg": kimg, "metrics": values, "metrics_seconds": 3.0})
    add_lines(folder, {"event": "rollback", "kimg": 41.0, "why": "<i>", "learning_rate": 1e-4})
    with (folder / "log.jsonl").open("a") as file:
        file.write('{"kimg": 81.0, "loss')
    return folder


def test_the_page_holds_all_and_nothing_of_it_is_markup(run_folder: Path) -> None:
    data = write(run_folder)
    text = (run_folder / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|@import|url\(", text)
    assert NASTY not in text and "</script><b>" not in text and "<i>" not in text
    parser = Parser()
    parser.feed(text)
    assert parser.title == f"{NASTY} · neuralid"
    assert data["title"] == NASTY and (data["kimg"], data["total"]) == (80, 100)
    assert (data["used"], data["left"]) == ("1 h 7 min", "17 min")
    assert len(data["curves"]["kimg"]) == 80 and data["curves"]["loss_g"][29] is None
    fd, x = data["metrics"]
    assert fd["floor"] == 0.01 and fd["kimg"] == [20, 40, 60, 80]
    assert x["floor"] is None and x["values"] == [None, 40, 60, 80]
    assert data["events"][0]["facts"] == "why <i>, learning rate 0.0001"
    assert [grid["kimg"] for grid in data["grids"]] == [20, 40, 60, 80]
    assert all(grid["source"].startswith("data:image/webp;base64,") for grid in data["grids"])
    assert [table["title"] for table in data["options"]] == ["Run", "Train", "Recipe"]
    assert data["options"][2]["rows"] == [["learning rate", "0.0002"]]


def test_a_long_run_is_thinned_and_each_grid_compressed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kimg in range(0, 150):
        add_grid(tmp_path, kimg)
    add_lines(tmp_path, *(tick(kimg, loss_d=kimg % 2) for kimg in range(1, 2501)))
    data = write(tmp_path)
    kept = [grid["kimg"] for grid in data["grids"]]
    assert kept == [*range(0, 150, 4), 149]
    assert len(data["curves"]["kimg"]) == 834 and data["curves"]["kimg"][-1] == 2500
    assert set(data["curves"]["loss_d"][:-1]) == {0.33333, 0.66667}
    compressed: list[np.ndarray] = []
    compress = images.compress

    def counted(picture: np.ndarray) -> bytes:
        compressed.append(picture)
        return compress(picture)

    monkeypatch.setattr(images, "compress", counted)
    add_grid(tmp_path, 150)
    add_grid(tmp_path, 148)  # drawn again
    assert write(tmp_path)["grids"][1] == data["grids"][1]
    assert len(compressed) == 2


def test_what_is_missing_or_damaged_is_left_out(tmp_path: Path) -> None:
    data = write(tmp_path)
    assert data["grids"] == data["metrics"] == data["options"] == data["curves"]["kimg"] == []
    assert data["total"] is data["left"] is data["used"] is None
    add_grid(tmp_path, 1)
    (tmp_path / "fakes000002.png").write_bytes(b"no picture")
    (tmp_path / "fakes-mine.png").write_bytes(b"no picture")
    (tmp_path / "options.json").write_text('{"train": 3')
    (tmp_path / "report.html").write_bytes(b"\xff damaged")
    add_lines(tmp_path, {"event": "collapsed"}, tick(0.5, device=None))
    data = write(tmp_path)
    assert [grid["kimg"] for grid in data["grids"]] == [1]
    assert data["options"] == [] and data["events"][0]["kimg"] == 0
    (tmp_path / "options.json").write_text('["a list"]')
    assert write(tmp_path)["options"] == []


def test_training_writes_it(tiny: Path) -> None:
    folder = tiny.parents[2] / "00000-tiny"
    data = json.loads(report._DATA.findall((folder / "report.html").read_text())[0])
    assert data["kimg"] == data["total"] == 0.4 and data["left"] is None
    assert len(data["grids"]) == 1 and data["curves"]["loss_d"][0] > 0
    assert "28" in dict(map(tuple, data["options"][1]["rows"])).values()  # the model's size


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if FOUND is None:
        pytest.skip("no chromium is installed")
    with Browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def page(browser: Browser) -> Iterator[Browser]:
    """A browser that has nothing to complain of, in the end."""
    browser.complaints.clear()
    yield browser
    assert browser.complaints == []


def test_in_a_browser_the_slider_changes_the_faces(run_folder: Path, page: Browser) -> None:
    write(run_folder)
    page.open(run_folder / "report.html")
    assert page.value("document.title") == f"{NASTY} · neuralid"  # it did not run
    assert page.value("document.querySelector('h1').textContent") == NASTY
    at, source = (
        "document.getElementById('when').textContent",
        "document.getElementById('grid').src",
    )
    newest = page.value(source)
    assert page.value(at) == "80 kimg" and newest.startswith("data:image/webp")
    page.value("document.getElementById('slider').focus()")
    page.press("ArrowLeft")
    assert page.value(at) == "60 kimg" and page.value(source) != newest
    page.press("Home")
    assert page.value(at) == "20 kimg"
    assert page.value("document.getElementById('grid').decode().then(() => 1)", wait=True) == 1
    assert page.value("document.getElementById('grid').naturalWidth") == 16


def test_in_a_browser_pointing_at_a_curve_tells_its_values(
    run_folder: Path, page: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"fd": SimpleNamespace(label="FD-random", better="lower")}
    monkeypatch.setattr("neuralid.training.metrics.table.METRICS", known)
    write(run_folder)
    page.open(run_folder / "report.html")
    charts = page.value("[...document.querySelectorAll('.chart h3')].map((x) => x.textContent)")
    assert charts == ["Losses", "Discriminator's mean output", "Speed", "FD-random", "x"]
    text = "document.querySelector('.chart').innerText.replaceAll('\\n', ' ')"
    assert "discriminator 1.80" in page.value(text)
    page.point("#charts svg", 0.999)
    assert "at 80 kimg" in page.value(text)
    page.point("#charts svg", 0)
    assert "at 1 kimg" in page.value(text) and "discriminator 1.01" in page.value(text)
    page.value("document.querySelector('.chart svg').focus()")
    page.press("ArrowRight")
    assert "at 2 kimg" in page.value(text) and "discriminator 1.02" in page.value(text)
    page.point("h1")
    assert "at 2 kimg" not in page.value(text)
    assert page.value("document.querySelectorAll('.chart line.floor').length") == 1
    quality = page.value("document.getElementById('quality').innerText").replace("\t", " ")
    assert "FD-random 0.0125 0.0125 at 80 0.0100" in quality  # now, best, floor
    assert "x 80.0 – –" in quality  # noqa: RUF001


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser_it_fits_a_phone_and_has_the_readers_colours(
    scheme: str, run_folder: Path, page: Browser, tmp_path: Path
) -> None:
    write(run_folder)
    page.open(run_folder / "report.html", width=360, height=740, scheme=scheme)
    assert page.value("document.documentElement.scrollWidth") == 360
    page.screenshot(tmp_path / "shot.png")
    shot = images.load_rgb(tmp_path / "shot.png")
    assert shot.shape[1] == 360
    assert (np.median(shot) > 200) == (scheme == "light")


@pytest.mark.parametrize("ticks", [0, 1, 2])
def test_in_a_browser_the_first_minutes_of_a_run_are_sensible(
    ticks: int, tmp_path: Path, page: Browser
) -> None:
    add_lines(tmp_path, *(tick(kimg) for kimg in range(1, ticks + 1)))
    write(tmp_path)
    page.open(tmp_path / "report.html")
    shown = page.value("document.body.innerText")
    assert "No snapshot yet" in shown and ("No figures yet" in shown) == (ticks == 0)
    assert not re.search("NaN|undefined|null|Infinity", shown)
    drawn = page.value(
        "[...document.querySelectorAll('.chart path')].map((x) => x.getAttribute('d'))"
    )
    assert len(drawn) == (5 if ticks else 0) and not any("NaN" in path for path in drawn)
