"""HEIC and AVIF, as phones write them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import draw_face, fails, run
from PIL import Image

from neuralid.data.listing import list_pictures
from neuralid.pictures import phones
from neuralid.pictures.images import load_rgb
from neuralid.pictures.photo import Photo

CUBIC = ("--method", "cubic", "-s", 2)


@pytest.fixture
def face() -> Image.Image:
    return draw_face(np.random.default_rng(0), 64, 48)


@pytest.fixture
def heic(face: Image.Image) -> Path:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(face).save("a.heic", quality=95)
    return Path("a.heic")


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither pillow-heif nor a Pillow that reads AVIF."""
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setitem(sys.modules, "PIL.AvifImagePlugin", None)
    for known in (phones._reads_avif, phones._reads_heic):
        known.cache_clear()
        monkeypatch.setattr(phones, known.__name__, known.__wrapped__)


def test_a_heic_is_read_from_a_file_bytes_and_a_set_of_pictures(
    heic: Path, face: Image.Image
) -> None:
    wanted = np.asarray(face).astype(int)
    assert np.abs(load_rgb(heic).astype(int) - wanted).mean() < 4
    assert np.array_equal(Photo.read(heic.read_bytes()).pixels, load_rgb(heic))
    assert [entry.name for entry in list_pictures(Path())] == ["a.heic"]


def test_a_heic_is_enlarged_to_a_png_and_a_folder_has_it(heic: Path) -> None:
    result = run("upscale", heic, *CUBIC)
    assert "8 bits" not in result.stderr  # it has no more
    assert result.stdout.split() == ["a_x2.png"]
    assert run("upscale", ".", "--outdir", "o", *CUBIC).stdout.split()[0] == "o/a_x2.png"


def test_an_avif_needs_nothing_else_with_this_pillow(face: Image.Image) -> None:
    pytest.importorskip("PIL.AvifImagePlugin")
    face.save("a.avif", quality=90)
    assert np.abs(load_rgb(Path("a.avif")).astype(int) - np.asarray(face)).mean() < 6


@pytest.mark.usefixtures("without")
@pytest.mark.parametrize("kind", [b"heic", b"mif1"])
def test_a_heic_without_its_package_names_it(kind: bytes) -> None:
    Path("a.heic").write_bytes(b"\0\0\0\x18ftyp" + kind + b"\0\0\0\0mif1heic" + bytes(40))
    for command in ("upscale", "invert"):
        words = ("a.heic is HEIC, which needs the package pillow-heif", "neuralid[heif]")
        fails(run(command, "a.heic"), 1, *words)


@pytest.mark.usefixtures("without")
def test_an_avif_with_an_old_pillow_says_which_is_needed() -> None:
    Path("a.avif").write_bytes(b"\0\0\0\x18ftypmif1\0\0\0\0avifmiaf" + bytes(40))
    fails(run("upscale", "a.avif"), 1, "a.avif is AVIF, which needs Pillow 11.3", "pip install -U")


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\0\x18ftyp", b"\xff\xff\xff\xffftypheic" + bytes(9)]
)
def test_files_that_only_look_like_it_are_no_pictures(content: bytes) -> None:
    Path("a.heic").write_bytes(content)
    result = run("upscale", "a.heic")
    assert result.exit_code == 1 and "error: a.heic " in result.stderr
    assert "Traceback" not in result.stderr
