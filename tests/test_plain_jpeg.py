"""JPEG files decoded in the fast way are, bit for bit, what they are in the other."""

import io
import random

import numpy as np
import pytest
from PIL import Image

from neuralid.core.errors import ImageError
from neuralid.pictures import plain_jpeg
from neuralid.pictures.images import load_rgb


def picture(width: int, height: int, channels: int = 3) -> Image.Image:
    """A gradient with noise."""
    rng = np.random.default_rng(width * height)
    ramp = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 120, width))[..., None]
    noisy = (ramp + rng.normal(0, 12, (height, width, channels))).clip(0, 255).astype(np.uint8)
    return Image.fromarray(noisy[..., 0] if channels == 1 else noisy)


def as_jpeg(of: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    of.save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (89, 109), (200, 200), (7, 301)])
@pytest.mark.parametrize("channels", [1, 3])
def test_plain_files_come_out_bit_for_bit(size: tuple[int, int], channels: int) -> None:
    for quality, sampling in ((30, 2), (85, 1), (95, 0)):
        content = as_jpeg(
            picture(*size, channels), quality=quality, subsampling=sampling, optimize=True
        )
        found = plain_jpeg.decode_plain(content)
        assert found is not None
        assert np.array_equal(found, load_rgb(io.BytesIO(content)))


def test_restarts_and_comments_are_plain_too() -> None:
    content = as_jpeg(picture(64, 48), restart_marker_rows=1, comment=b"hello \xff\xdb")
    found = plain_jpeg.decode_plain(content)
    assert found is not None and np.array_equal(found, load_rgb(io.BytesIO(content)))


def test_everything_else_is_left_to_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = picture(40, 30)
    exif = Image.Exif()
    exif[0x0112] = 6
    others = [
        as_jpeg(plain, exif=exif),
        as_jpeg(plain, icc_profile=b"x" * 200),
        as_jpeg(plain, progressive=True),
        as_jpeg(plain.convert("CMYK")),
        as_jpeg(plain)[:-2],
        as_jpeg(plain)[:-20] + b"\xff\xd9\n",
        b"",
        b"\xff\xd8\xff\xda",
    ]
    assert [plain_jpeg.decode_plain(each) for each in others] == [None] * len(others)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert plain_jpeg.decode_plain(as_jpeg(plain)) is None


def test_where_the_decoders_differ_pillow_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    content = as_jpeg(picture(40, 30))
    monkeypatch.setattr(plain_jpeg, "_decode", lambda content: np.zeros((45, 51, 3), np.uint8))
    plain_jpeg.agrees.cache_clear()
    try:
        assert plain_jpeg.decode_plain(content) is None
    finally:
        plain_jpeg.agrees.cache_clear()


def test_damaged_files_come_out_as_from_pillow_or_are_left_to_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    content, rng, decoded = as_jpeg(picture(48, 40), quality=80), random.Random(1), 0
    for _ in range(400):
        damaged = bytearray(content)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        if rng.random() < 0.2:
            del damaged[rng.randrange(len(damaged)) :]
            damaged += b"\xff\xd9"
        found = plain_jpeg.decode_plain(bytes(damaged))
        if found is not None:
            decoded += 1
            assert np.array_equal(found, load_rgb(io.BytesIO(bytes(damaged))))
    assert 100 < decoded < 400
    capfd.readouterr()  # what libjpeg says of the damage


def test_damage_that_pillow_refuses_is_refused() -> None:
    content = as_jpeg(picture(48, 40))
    with pytest.raises(ImageError):
        load_rgb(io.BytesIO(content[: len(content) // 2]))
    assert plain_jpeg.decode_plain(content[: len(content) // 2]) is None
