"""Large results are made, and written, in little more memory than they take themselves."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import draw_face, peak_of
from PIL import Image

from neuralid.pictures import jpeg_parts, photo, png
from neuralid.pictures.photo import Photo, kind_of, save_exact
from neuralid.upscaling import blocks
from neuralid.upscaling.config import METHODS
from neuralid.upscaling.enlarge import has_byte_form, needed_memory, upscale_array

NEAR = [name for name, info in METHODS.items() if info.reach is not None]


def drawing(width: int, height: int, channels: int, dtype: type = np.uint8) -> np.ndarray:
    """A face with noise; alpha, if there is any, differs from place to place."""
    rng = np.random.default_rng(width)
    face = np.asarray(draw_face(rng, width, height)).astype(int)
    grey = face + rng.integers(-20, 20, face.shape)
    values = np.dstack([grey, rng.integers(0, 256, (height, width))])
    chosen = {1: [0], 2: [0, 3], 3: [0, 1, 2], 4: [0, 1, 2, 3]}[channels]
    image: np.ndarray = values[..., chosen].clip(0, 255).astype(dtype)
    image = image if dtype == np.uint8 else image * dtype(257)
    return image[..., 0] if channels == 1 else image


@pytest.mark.parametrize("method", NEAR)
@pytest.mark.parametrize(("channels", "scale"), [(1, 2), (3, 3), (3, 4)])
def test_blocks_give_what_the_whole_does(
    method: str, channels: int, scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for dtype in (np.uint8, np.uint16):
        image = drawing(83, 70, channels, dtype)
        whole = upscale_array(image, scale, method).astype(int)
        with monkeypatch.context() as patch:
            patch.setattr(blocks, "LARGE", 1)
            patch.setattr(blocks, "VALUES", channels * (27 * scale) ** 2)
            assert blocks.can_be_in_blocks(image.shape, scale, method)
            found = upscale_array(image, scale, method)
        assert found.dtype == dtype and found.shape == whole.shape
        most = 1 if dtype == np.uint8 else 257 // 8  # rounding of bfloat16, in a network
        assert np.abs(found - whole).max() <= (most if METHODS[method].on_device else 1)


@pytest.mark.parametrize("method", ["area", "cubic", "lanczos", "nearest"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_large_result_takes_half_as_much_again(
    method: str, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a hundredth of the real size, in blocks of a hundredth."""
    monkeypatch.setattr(blocks, "LARGE", blocks.LARGE // 100)
    monkeypatch.setattr(blocks, "VALUES", blocks.VALUES // 100)
    image = drawing(250, 250, 3, dtype)
    upscale_array(image[:8, :8], 4, method)  # what is read once
    size = image.nbytes * 16
    assert peak_of(lambda: upscale_array(image, 4, method)) < 1.5 * size


@pytest.mark.parametrize("method", METHODS)
def test_what_a_result_needs_is_known(method: str) -> None:
    most = needed_memory((2500, 2500, 3), 4, method)
    assert (most < 800e6) == (method in NEAR)
    assert needed_memory((2500, 2500, 3), 4, method, ["unsharp"]) > 2e9


def test_only_whole_factors_and_no_alpha_are_made_in_blocks() -> None:
    large = (3000, 3000, 3)
    assert blocks.can_be_in_blocks(large, 2, "face")
    assert not blocks.can_be_in_blocks(large, 2.5, "face")
    assert not blocks.can_be_in_blocks((*large[:2], 4), 2, "face")
    assert not blocks.can_be_in_blocks(large, 2, "fourier")
    assert not blocks.can_be_in_blocks((100, 100, 3), 2, "face")
    assert not has_byte_form(np.zeros((2, 2, 3), np.uint16), "cubic")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("height", [1, 5, 40])
def test_pillow_reads_the_png_files_that_it_did_not_write(
    channels: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(png, "STRIP", 500)  # bytes: a few rows
    image = drawing(60, 40, channels)[:height]
    content = png.encode(image, b"a profile", {"key": "words"})
    with Image.open(io.BytesIO(content)) as read:
        assert np.array_equal(np.asarray(read), image)
        assert read.info["icc_profile"] == b"a profile" and read.info["key"] == "words"


@pytest.mark.parametrize("shape", [(100, 70, 3), (101, 71, 3), (33, 500, 3), (1, 1, 3), (257, 9)])
def test_a_jpeg_in_strips_is_the_one_in_a_piece(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jpeg_parts, "STRIP", 7000)  # values: 16 or 32 rows, up to 17 strips
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    content = b"".join(jpeg_parts.encode_parts(image, quality=95, icc_profile=b"a profile"))
    whole = io.BytesIO()
    Image.fromarray(image).save(whole, "JPEG", quality=95)
    with Image.open(io.BytesIO(content)) as read, Image.open(whole) as wanted:
        assert np.array_equal(np.asarray(read), np.asarray(wanted))
        assert read.info["icc_profile"] == b"a profile"
    both = [np.frombuffer(each, np.uint8) for each in (content, whole.getvalue())]
    ours, theirs = (np.asarray(cv2.imdecode(each, cv2.IMREAD_COLOR)) for each in both)
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("shape", [(1, 65_500, 3), (1, 65_500), (17, 65_500)])
def test_strips_of_the_widest_jpeg_fit_between_restarts(shape: tuple[int, ...]) -> None:
    content = b"".join(jpeg_parts.encode_parts(np.full(shape, 90, np.uint8), quality=95))
    place = content.index(b"\xff\xdd")
    assert content[place + 2 : place + 4] == b"\0\4"
    units = int.from_bytes(content[place + 4 : place + 6], "big")
    assert units > 0 and units % (4094 if len(shape) == 3 else 8188) == 0
    with Image.open(io.BytesIO(content)) as read:
        assert np.abs(np.asarray(read).astype(int) - 90).max() <= 1


def test_a_picture_jpeg_cannot_hold_is_not_made_in_strips() -> None:
    assert not jpeg_parts.can_encode(np.zeros((2, 65_501), np.uint8))
    assert not jpeg_parts.can_encode(np.zeros((2, 2, 4), np.uint8))
    assert not jpeg_parts.can_encode(np.zeros((2, 2), np.uint16))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_large_picture_is_written_in_little_memory(
    suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(png, "STRIP", png.STRIP // 10)
    monkeypatch.setattr(jpeg_parts, "STRIP", jpeg_parts.STRIP // 10)
    image = np.ascontiguousarray(np.tile(drawing(50, 50, 3), (20, 20, 1)))
    like = kind_of(Photo.read(image))
    plain, large = Path("plain").with_suffix(suffix), Path("large").with_suffix(suffix)
    save_exact(plain, image, like)
    monkeypatch.setattr(photo, "LARGE", 1)
    copied: list[int] = []  # by Pillow, whose memory Python doesn't know

    def watched(array: np.ndarray) -> Image.Image:
        copied.append(array.nbytes)
        return from_array(array)

    from_array = Image.fromarray
    with monkeypatch.context() as patch:
        patch.setattr(Image, "fromarray", watched)
        assert peak_of(lambda: save_exact(large, image, like)) < 0.5 * image.nbytes
    assert max(copied, default=0) < 0.2 * image.nbytes
    assert np.array_equal(Photo.read(large).exact, Photo.read(plain).exact)


def test_a_file_that_fails_halfway_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Iterable[bytes]:
        yield b"a part"
        raise MemoryError

    monkeypatch.setattr(photo, "LARGE", 1)
    monkeypatch.setattr(png, "encode_parts", fail)
    image = drawing(8, 8, 3)
    with pytest.raises(MemoryError):
        save_exact(Path("out.png"), image, kind_of(Photo.read(image)))
    assert not [*Path().iterdir()]
