"""What formats hold: transparency, depth and size, known before computing and said when lost."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import icc
import numpy as np
import pytest
from conftest import fails, run
from PIL import Image

import neuralid
from neuralid.core.errors import ImageError
from neuralid.pictures import depth, formats
from neuralid.pictures.animation import save_film
from neuralid.pictures.formats import LONGEST_SIDE, check_format, check_size
from neuralid.pictures.images import load_rgb, save_picture
from neuralid.pictures.photo import Photo, save_exact

TWICE = ("-s", 2, "--method", "nearest")
Image.init()
SUFFIXES = {format_: suffix for suffix, format_ in sorted(Image.registered_extensions().items())}


def is_written(format_: str) -> bool:
    try:
        check_format(Path("a" + SUFFIXES[format_]))
    except ImageError:
        return False
    return True


# Pillow warns that IM is going to go.
WRITTEN = [f for f in SUFFIXES if f != "IM" and f in Image.SAVE and is_written(f)]
READ = [f for f in WRITTEN if f not in ("PDF", "EPS")]


def square(mode: str = "RGBA") -> Image.Image:
    """A red square on nothing: black that must not be seen."""
    values = np.zeros((32, 32, 4), np.uint8)
    values[8:24, 8:24] = (220, 20, 20, 255)
    return Image.fromarray(values).convert(mode)


# --- Transparency -------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("format_", READ)
def test_transparency_is_kept_or_laid_on_white_and_said(format_: str, mode: str) -> None:
    place = Path("out" + SUFFIXES[format_])
    lost = save_picture(place, square(mode))
    seen = load_rgb(place)
    assert (seen[2, 2] > 240).all() and (seen[29, 16] > 240).all()
    red = int(np.asarray(square(mode).convert("RGB"))[16, 16, 0])
    assert abs(int(seen[16, 16, 0]) - red) < 12
    with Image.open(place) as back:
        is_kept = back.has_transparency_data
    assert is_kept or lost == [f"{place}: {format_} holds no transparency; it was laid on white"]
    assert not (is_kept and lost)


@pytest.mark.parametrize("format_", WRITTEN)
def test_alpha_that_is_full_goes_without_a_word(format_: str) -> None:
    picture = Image.new("RGBA", (16, 16), (10, 200, 30, 255))
    assert save_picture(Path("out" + SUFFIXES[format_]), picture) == []


def test_a_picture_that_loses_its_transparency_says_so_in_one_line() -> None:
    square().save("in.png")
    for suffix in (".bmp", ".dib", ".ppm", ".jpg"):
        result = run("upscale", "in.png", "-o", "out" + suffix, *TWICE)
        assert result.exit_code == 0, result.output
        assert (load_rgb(Path("out" + suffix))[:8] > 250).all()
        said = [line for line in result.stderr.splitlines() if "transparency" in line]
        assert len(said) == 1 and said[0].startswith(f"out{suffix}: ")
    assert "transparency" not in run("upscale", "in.png", "-o", "out.webp", *TWICE).stderr


def test_a_gif_of_half_transparency_says_so() -> None:
    half = square()
    half.putalpha(half.getchannel("A").point(lambda value: 160 if value else 60))
    half.save("in.png")
    result = run("upscale", "in.png", "-o", "out.gif", *TWICE)
    assert "out.gif: GIF holds no half transparency" in result.stderr
    with Image.open("out.gif") as large:
        alpha = np.asarray(large.convert("RGBA"))[..., 3]
    assert alpha[32, 32] == 255 and alpha[2, 2] == 0


def test_the_library_tells_on_message(tiny: Path) -> None:
    said: list[str] = []
    studio = neuralid.open(tiny, on_message=said.append)
    studio.upscale(square(), scale=1).save("out.bmp")
    assert said[-1] == "out.bmp: BMP holds no transparency; it was laid on white"


@pytest.mark.parametrize("clear", [0, 1000, 65535])
def test_grey_of_16_bits_keeps_the_one_that_is_transparent(clear: int) -> None:
    values = np.full((4, 4), 20_000, np.uint16)
    values[0] = clear
    Image.fromarray(values).save("in.png", transparency=clear)
    exact = Photo.read("in.png").exact
    assert exact.shape == (4, 4, 2) and (exact[..., 0] == values).all()
    assert (exact[0, :, 1] == 0).all() and (exact[1:, :, 1] == 65535).all()
    assert (load_rgb(Path("in.png"))[0] == 255).all()
    assert run("upscale", "in.png", "-o", "out.png", *TWICE).exit_code == 0
    large = Photo.read("out.png").exact
    assert (
        large.dtype == np.uint16
        and (large[:2, :, 1] == 0).all()
        and (large[4:, :, 0] == 20_000).all()
    )


def test_colours_of_16_bits_keep_the_one_that_is_transparent() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    rows = np.full((2, 2, 3), 30_000, ">u2")
    rows[0, 0] = (1000, 2000, 3000)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0))
    content += chunk(b"tRNS", struct.pack(">HHH", 1000, 2000, 3000))
    packed = b"".join(b"\0" + row.tobytes() for row in rows)
    Path("in.png").write_bytes(
        content + chunk(b"IDAT", zlib.compress(packed)) + chunk(b"IEND", b"")
    )
    exact = Photo.read("in.png").exact
    assert exact.dtype == np.uint16 and exact[..., 3].tolist() == [[0, 65535], [65535, 65535]]


# --- Depth --------------------------------------------------------------------------------------


def tiff(values: np.ndarray, kind: int) -> bytes:
    """A TIFF of one channel; kind 1 has no sign, 2 has one, 3 is floating point."""
    height, width = values.shape
    data, bits = values.tobytes(), values.dtype.itemsize * 8
    entries = [(256, width), (257, height), (258, bits), (259, 1), (262, 1), (273, 134), (277, 1)]
    entries += [(278, height), (279, len(data)), (339, kind)]
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4) + data


def test_a_deep_pgm_stays_deep() -> None:
    values = np.arange(0, 65536, 4096, dtype=">u2").reshape(4, 4)
    Path("in.pgm").write_bytes(b"P5 4 4 65535\n" + values.tobytes())
    result = run("upscale", "in.pgm", *TWICE)
    assert result.stdout.split() == ["in_x2.png"] and "bits" not in result.stderr
    with Image.open("in_x2.png") as large:
        assert large.mode == "I;16"
        assert (np.asarray(large)[::2, ::2] == values).all()
    assert np.abs(load_rgb(Path("in.pgm"))[..., 0] - values / 257.0).max() <= 0.5


@pytest.mark.parametrize(
    ("values", "kind", "top"),
    [
        (np.array([[0, 1 << 31], [1 << 30, (1 << 32) - 1]], np.uint32), 1, (1 << 32) - 1),
        (np.array([[0, 1 << 30], [-5, (1 << 31) - 1]], np.int32), 2, (1 << 31) - 1),
        (np.array([[0, 1 << 22], [70_000, 1 << 23]], np.uint32), 1, (1 << 24) - 1),
        (np.array([[0, 300], [40_000, 65_535]], np.uint32), 1, 65_535),
        (np.array([[0, 0.5], [0.25, 0.75]], np.float32), 3, 1),
        (np.array([[0, np.nan], [100, 200]], np.float32), 3, 255),
        (np.array([[0, 1e9], [2e9, 5e8]], np.float32), 3, 2e9),
    ],
)
def test_32_bits_become_16_and_nothing_clips(values: np.ndarray, kind: int, top: float) -> None:
    Path("in.tif").write_bytes(tiff(values, kind))
    wanted = np.nan_to_num(values.astype(float)).clip(0) / top * 65535
    exact = Photo.read("in.tif").exact
    assert exact.dtype == np.uint16 and np.abs(exact - wanted).max() <= 1
    assert np.abs(load_rgb(Path("in.tif"))[..., 0] - wanted / 257).max() <= 1
    result = run("upscale", "in.tif", "-o", "out.png", *TWICE)
    assert "in.tif: 32 bits a colour become 16" in result.stderr
    assert np.abs(Photo.read("out.png").exact[::2, ::2] - wanted).max() <= 1


def test_colours_that_can_only_be_read_at_8_bits_say_so() -> None:
    deep = np.arange(4 * 4 * 3, dtype=np.uint16).reshape(4, 4, 3) * 1000
    Path("in.ppm").write_bytes(b"P6 4 4 65535\n" + deep.astype(">u2").tobytes())
    data = deep.tobytes()
    entries = [(256, 3, 1, 4), (257, 3, 1, 4), (258, 3, 3, 134), (259, 3, 1, 1), (262, 3, 1, 2)]
    entries += [
        (273, 4, 1, 140),
        (277, 3, 1, 3),
        (278, 3, 1, 4),
        (279, 4, 1, len(data)),
        (284, 3, 1, 1),
    ]
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4)
    Path("in.tif").write_bytes(head + struct.pack("<3H", 16, 16, 16) + data)
    for name in ("in.ppm", "in.tif"):
        result = run("upscale", name, "-o", "out.png", *TWICE)
        assert result.exit_code == 0, result.output
        assert f"{name}: only 8 bits a colour can be read" in result.stderr
    Path("flat.ppm").write_bytes(b"P6 1 1 255\n\1\2\3")
    assert "bits" not in run("upscale", "flat.ppm", "-o", "out.png", *TWICE).stderr


def test_the_header_says_how_deep_a_picture_is() -> None:
    """Where Pillow does not: JPEG 2000, as OpenCV writes it, and AVIF."""
    deep = np.random.default_rng(0).integers(0, 65536, (64, 64, 3), np.uint16)
    is_there, content = cv2.imencode(".jp2", deep)
    assert is_there
    Path("deep.jp2").write_bytes(content.tobytes())
    assert Photo.read("deep.jp2").loss == "only 8 bits a colour can be read"
    square("RGB").save("flat.jp2")
    assert Photo.read("flat.jp2").loss is None
    if ".avif" in Image.registered_extensions():
        square("RGB").save("flat.avif")
        eight = Path("flat.avif").read_bytes()
        flat = Photo.read("flat.avif")
        assert flat.loss is None
        ten = eight.replace(b"pixi\0\0\0\0\3\x08", b"pixi\0\0\0\0\3\x0a")
        assert ten != eight
        with Image.open("flat.avif") as picture:
            assert depth.find_loss(picture, ten) == "only 8 bits a colour can be read"


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("format_", READ)
def test_16_bits_are_kept_or_that_is_said(format_: str, channels: int) -> None:
    deep = np.full((16, 16, channels), 0x8123, np.uint16)
    deep[..., 3:] = 65535
    deep = deep[..., 0] if channels == 1 else deep
    place = Path("out" + SUFFIXES[format_])
    like = Image.new("L", (1, 1))
    lost = save_exact(place, deep, like)
    back = Photo.read(place).exact
    if back.dtype == np.uint16:
        assert lost == [] and (back[..., :1] == 0x8123).all()
    else:
        assert lost[0] == f"{place}: {format_} holds only 8 bits a colour here"
        grey = 191 if channels == 2 and format_ != "GIF" else 0x8123 / 257  # half of it on white
        assert np.abs(load_rgb(place) - grey).max() < 4


# --- Size ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", sorted(set(LONGEST_SIDE) - {"MP4", "AVIF", "MPO"}))
def test_the_longest_side_is_the_formats_own(format_: str) -> None:
    longest = LONGEST_SIDE[format_]
    buffer = io.BytesIO()
    Image.new("RGB", (longest, 1)).save(buffer, format_)
    assert Image.open(buffer).size == (longest, 1)
    with pytest.raises(formats.UNWRITABLE):
        Image.new("RGB", (longest + 1, 1)).save(io.BytesIO(), format_)
    place = Path("a" + SUFFIXES[format_])
    check_size(place, 1, longest)
    with pytest.raises(ImageError, match=f"1x{longest + 1}; this format has at most {longest}"):
        check_size(place, 1, longest + 1)


def test_what_a_format_cannot_hold_is_known_before_computing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Image.new("RGB", (2, 9000)).save("tall.webp")
    Image.new("RGB", (9000, 2)).save("wide.png")
    monkeypatch.setattr("neuralid.upscaling.enlarge.upscale_array", None)
    words = ("18000x4; this format has at most 16383 pixels a side", "use .png")
    fails(run("upscale", "wide.png", "-o", "wide.webp", *TWICE), 1, *words)
    fails(run("upscale", "tall.webp", *TWICE), 1, "tall_x2.webp would be 4x18000")
    for name in ("a.ico", "a.icns"):
        fails(run("upscale", "wide.png", "-o", name), 1, f"cannot write {name}", "changes the size")
    assert not list(Path().glob("a.*"))


@pytest.mark.parametrize("command", [("sample", "-n", 1), ("mix", "a.png", "b.png")])
def test_icons_are_refused_by_every_command(command: tuple[object, ...]) -> None:
    fails(run(*command, "-o", "face.ico"), 1, "cannot write face.ico: ICO changes the size")


def test_a_mix_too_wide_is_refused_before_inverting(
    tiny: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuralid.api._people.invert_framed", None)
    options = ("--no-align", "--weights", tiny)
    strip = run("mix", photo, photo, "--strip", 20, "--scale", 32, "-o", "s.webp", *options)
    fails(strip, 1, "s.webp would be 17920x896")
    Image.new("RGB", (17_000, 40)).save("wide.png")
    kept = run("mix", photo, "wide.png", "--keep", "wide.png", "-o", "k.webp", *options)
    fails(kept, 1, "k.webp would be 17000x40")


def test_a_film_too_large_for_mp4_is_refused() -> None:
    with pytest.raises(ImageError, match="at most 8191") as caught:
        save_film(Path("a.mp4"), np.zeros((2, 2, 8200, 3), np.uint8), 20)
    assert ".webp" in (caught.value.hint or "")


def test_a_writer_that_changes_the_size_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def shrink(self: Image.Image, buffer: Any, format_: str, **options: Any) -> None:
        save(self.resize((4, 4)), buffer, format_)

    save = Image.Image.save
    monkeypatch.setattr(Image.Image, "save", shrink)
    with pytest.raises(ImageError, match="9x9 became 4x4"):
        save_picture(Path("a.png"), np.zeros((9, 9, 3), np.uint8))
    assert not Path("a.png").exists()


def test_depth_comes_and_goes() -> None:
    values = np.arange(256, dtype=np.uint8)
    deep = depth.to_depth(values, np.dtype(np.uint16))
    assert deep[-1] == 65535 and np.array_equal(depth.to_8_bits(deep), values)


@pytest.mark.parametrize("clear", [None, 0])
@pytest.mark.parametrize("mode", ["P", "1", "L", "RGB"])
def test_palettes_become_colours_and_a_clear_colour_alpha(mode: str, clear: int | None) -> None:
    values = np.arange(64, dtype=np.uint8).reshape(8, 8) % 2
    picture = Image.fromarray(values if mode == "P" else 255 * values)
    picture = picture if mode == "P" else picture.convert(mode)
    if mode == "P":
        picture.putpalette([10, 20, 30, 200, 100, 50])
    if clear is not None:
        picture.info["transparency"] = (0, 0, 0) if mode == "RGB" else clear
    picture.info["comment"] = "kept"
    fitted, lost = formats.fit(picture, "PNG")
    colours = {"P": ((10, 20, 30), (200, 100, 50))}.get(mode, ((0, 0, 0), (255, 255, 255)))
    alpha = 255 if clear is None else 0
    wanted = np.where(values[..., None] == 0, (*colours[0], alpha), (*colours[1], 255))
    assert np.array_equal(np.asarray(fitted.convert("RGBA")), wanted) and lost == []
    assert fitted.mode in ("1", "L", "LA", "RGB", "RGBA") and fitted.info["comment"] == "kept"


def test_a_format_that_fails_with_a_profile_gets_srgb(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_back(format_: str, mode: str, profile: bytes | None = None) -> Image.Image:
        if profile:
            raise OSError("encoder error")
        return Image.new(mode, (48, 48))

    monkeypatch.setattr(formats, "_give_back", give_back)
    monkeypatch.setattr(formats, "_holds_profiles", formats._holds_profiles.__wrapped__)
    wide = Image.new("RGB", (4, 4), (0, 255, 0))
    wide.info["icc_profile"] = icc.rgb()
    fitted, lost = formats.fit(wide, "PNG")
    assert "icc_profile" not in fitted.info
    assert lost == ["PNG holds no colour profile; colours were converted to sRGB"]
