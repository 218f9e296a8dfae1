"""Pictures in, pictures out: every mode, every way a file can be broken."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL
import pytest
from conftest import draw_face
from PIL import Image

from neuralid.core.errors import ImageError, OutputError
from neuralid.pictures.images import (
    LATENT_KEY,
    from_array,
    grid,
    load_rgb,
    open_picture,
    save_picture,
    to_array,
)
from neuralid.pictures.photo import Photo


def bomb(path: Path, width: int = 20_000, height: int = 10_000) -> Path:
    """A PNG of a few bytes that claims 200 megapixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0")
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    return path


def truncated(path: Path) -> Path:
    buffer = io.BytesIO()
    draw_face(np.random.default_rng(0), 200, 200).save(buffer, "JPEG")
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    return path


def test_broken_files_are_told_apart(tmp_path: Path) -> None:
    text, empty = tmp_path / "text.jpg", tmp_path / "empty.jpg"
    text.write_text("not a picture")
    empty.touch()
    for path, words in [
        (text, "is not a picture"),
        (empty, "is not a picture"),
        (truncated(tmp_path / "half.jpg"), "cannot be read"),
        (bomb(tmp_path / "bomb.png"), "too many pixels"),
        (bomb(tmp_path / "small-bomb.png", 10_000, 10_000), "too many pixels"),
        (tmp_path / "missing.jpg", "does not exist"),
        (tmp_path, "is a folder"),
    ]:
        with pytest.raises(ImageError, match=words):
            load_rgb(path)


PLAIN_YCBCR = pytest.param(
    "YCbCr",
    marks=pytest.mark.skipif(
        int(PIL.__version__.split(".")[0]) < 13,
        reason="Pillow before 13 refuses TIFF files that hold YCbCr without compression",
    ),
)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", PLAIN_YCBCR, "I;16"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(np.linspace(0, 255, 64, dtype=np.uint8).reshape(8, 8))
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    else:
        colours = grey.convert("RGB")
        picture = colours.quantize() if mode == "P" else colours.convert(mode)
    path = tmp_path / ("p.tif" if mode in ("CMYK", "YCbCr") else "p.png")
    picture.save(path)
    pixels = load_rgb(path).astype(int)
    assert pixels.shape == (8, 8, 3)
    wanted = grey.convert("1" if mode == "1" else "L").convert("RGB")  # black and white, dithered
    assert np.abs(pixels - np.asarray(wanted).astype(int)).max() <= (0 if mode in "1LA" else 6)


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (200, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (load_rgb(tmp_path / "clear.png") == 255).all()


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    picture = Image.new("RGB", (6, 4))
    exif = picture.getexif()
    exif[0x0112] = 6  # turned by a quarter
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert load_rgb(tmp_path / "turned.jpg").shape == (6, 4, 3)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_to_array_and_back_keeps_grey_alpha_and_depth(mode: str) -> None:
    rng = np.random.default_rng(0)
    if mode == "I;16":
        picture = Image.fromarray(rng.integers(0, 65536, (5, 7), dtype=np.uint16))
    else:
        channels = len(mode)
        values = rng.integers(0, 256, (5, 7, channels), dtype=np.uint8)
        picture = Image.fromarray(values.squeeze())
    again = from_array(to_array(picture), picture)
    assert again.mode == picture.mode == mode
    assert np.array_equal(np.asarray(again), np.asarray(picture))


def test_a_grid_is_read_row_by_row() -> None:
    faces = np.stack([np.full((2, 3, 3), i, np.uint8) for i in range(5)])
    sheet = grid(faces, columns=3, gap=1)
    assert sheet.shape == (5, 11, 3)
    assert sheet[0, 0, 0] == 0 and sheet[0, 4, 0] == 1 and sheet[3, 0, 0] == 3
    assert sheet[2, 0, 0] == 255 and sheet[4, 8, 0] == 255  # gap, and the empty place


def test_text_travels_in_png_files(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8), {LATENT_KEY: "abc"})
    assert Photo.read(tmp_path / "a.png").text == {LATENT_KEY: "abc"}


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="unknown suffix"):
        save_picture(tmp_path / "a.xyz", np.zeros((2, 2, 3), np.uint8))


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    save_picture(path, np.zeros((2, 2, 3), np.uint8))
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left") as caught:
        save_picture(path, np.ones((2, 2, 3), np.uint8))
    assert "disk is full" in (caught.value.hint or "")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["a.png"]


def test_alpha_is_dropped_for_jpeg(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.jpg", Image.new("RGBA", (8, 8), (0, 0, 0, 0)))
    assert open_picture(tmp_path / "a.jpg").mode == "RGB"
