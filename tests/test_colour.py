"""Colour profiles: pictures are read in sRGB, and keep their own colours where they are kept."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import icc
import numpy as np
import pytest
from conftest import draw_face, run
from PIL import Image, ImageCms

import neuralid
from neuralid.api._people import _picture_of
from neuralid.data.listing import list_pictures
from neuralid.data.reading import Cutter, Reader
from neuralid.faces.config import CropConfig
from neuralid.pictures import colour, jpeg, png
from neuralid.pictures.canvas import Canvas
from neuralid.pictures.images import ORIENTATION, load_rgb, to_rgb
from neuralid.pictures.photo import Photo, save_exact
from neuralid.upscaling.enlarge import upscale_array

SCREEN = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
CUBIC = ("--method", "cubic", "-s", 2)


def colours(side: int = 24, channels: int = 3) -> np.ndarray:
    """Smooth colours of all kinds, and a band that sRGB does not have."""
    small = np.random.default_rng(0).integers(0, 256, (4, 4, channels), np.uint8)
    large = Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)
    values = np.asarray(large).copy()
    values[:4, :, :3] = (0, 255, 0)
    return values


def off(a: np.ndarray, b: np.ndarray) -> int:
    """The largest difference, in levels."""
    return int(np.abs(a.astype(int) - b.astype(int)).max())


# --- Reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg"])
def test_colours_of_a_profile_are_read_as_srgb(suffix: str) -> None:
    values = colours()
    options = {"lossless": True} if suffix == ".webp" else {"quality": 100, "subsampling": 0}
    Image.fromarray(values).save("in" + suffix, icc_profile=icc.rgb(), **options)
    stored = np.asarray(Image.open("in" + suffix).convert("RGB"))
    wanted = icc.seen(stored)
    assert off(stored, wanted) > 60  # it matters
    assert off(load_rgb(Path("in" + suffix)), wanted) <= 1
    assert off(Photo.read("in" + suffix).pixels, wanted) <= 1
    with Image.open("in" + suffix) as picture:
        assert off(Photo.read(picture).pixels, wanted) <= 1  # a picture in memory


def test_transparency_and_palettes_are_read_with_their_profile() -> None:
    values = colours(channels=4)
    values[..., 3] = np.linspace(0, 255, 24).astype(np.uint8)
    Image.fromarray(values).save("in.png", icc_profile=icc.rgb())
    alpha = values[..., 3:] / 255
    wanted = icc.seen(values[..., :3]) * alpha + 255 * (1 - alpha)
    assert np.abs(load_rgb(Path("in.png")) - wanted).max() <= 2
    few = Image.fromarray(values[..., :3]).quantize(16)
    few.save("few.png", icc_profile=icc.rgb(), transparency=3)
    wanted = icc.seen(np.asarray(few.convert("RGB")))
    clear = np.asarray(few) == 3
    assert off(load_rgb(Path("few.png"))[~clear], wanted[~clear]) <= 1
    assert (load_rgb(Path("few.png"))[clear] == 255).all()


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_grey_has_profiles_too(mode: str) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    wanted = icc.seen_grey(values)
    if mode == "I;16":
        picture = Image.fromarray(values.astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(values).convert(mode)
    picture.save("in.png", icc_profile=icc.grey())
    assert off(load_rgb(Path("in.png")), wanted[..., None]) <= 1


def test_inks_are_read_by_their_profile() -> None:
    """Of a JPEG and a TIFF; without a profile, and by one that is not of inks, as before."""
    Image.new("CMYK", (16, 16), (255, 0, 0, 0)).save("in.jpg", icc_profile=icc.inks(), quality=100)
    Image.new("CMYK", (16, 16), (255, 0, 0, 0)).save("in.tif", icc_profile=icc.inks())
    assert off(load_rgb(Path("in.jpg")), np.array([0, 160, 214])) <= 2
    assert off(load_rgb(Path("in.tif")), np.array([0, 160, 214])) <= 1
    assert off(Photo.read("in.tif").exact, np.array([0, 160, 214])) <= 1
    for profile in (b"", icc.rgb()):
        Image.new("CMYK", (4, 4), (255, 0, 0, 0)).save("in.tif", icc_profile=profile)
        assert off(load_rgb(Path("in.tif")), np.array([0, 255, 255])) == 0


def test_lab_is_converted() -> None:
    Image.new("LAB", (4, 4), (135, 128, 128)).save("in.tif")  # a middle grey
    assert off(load_rgb(Path("in.tif")), np.array([126, 126, 126])) <= 2
    assert run("upscale", "in.tif", "-o", "out.png", *CUBIC).exit_code == 0
    assert off(load_rgb(Path("out.png")), np.array([126, 126, 126])) <= 2


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "CMYK"])
def test_a_broken_profile_is_ignored(mode: str) -> None:
    picture = Image.fromarray(colours()).convert(mode)
    plain = to_rgb(picture)
    own = {"L": icc.grey(), "CMYK": icc.inks()}.get(mode, icc.rgb())
    others = [icc.inks() if mode != "CMYK" else icc.rgb(), icc.grey() if mode != "L" else icc.rgb()]
    for profile in (b"junk", own[:100], own[:200], own[:-60], bytes(len(own)), *others):
        picture.info["icc_profile"] = profile
        assert to_rgb(picture).shape == plain.shape
        if profile in (b"junk", own[:100], *others):
            assert np.array_equal(to_rgb(picture), plain)


def test_damaged_profiles_never_break_reading() -> None:
    rng = np.random.default_rng(0)
    for own, mode in ((icc.rgb(), "RGB"), (icc.grey(), "L"), (icc.inks(), "CMYK")):
        picture = Image.new(mode, (2, 2))
        for _ in range(25):
            bad = bytearray(own)
            for place in rng.integers(0, min(len(own), 400), 3):
                bad[place] = rng.integers(0, 256)
            picture.info["icc_profile"] = bytes(bad)
            assert to_rgb(picture).shape == (2, 2, 3)
            colour.can_return(picture)


def test_a_profile_that_means_srgb_changes_nothing_and_costs_nothing() -> None:
    picture = Image.fromarray(colours())
    picture.info["icc_profile"] = SCREEN
    assert colour.to_screen(picture) is picture
    assert np.array_equal(to_rgb(picture), colours())
    plain = Image.fromarray(colours())
    assert colour.to_screen(plain) is plain


def test_training_reads_pictures_in_srgb(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    Image.fromarray(colours()).save(folder / "a.png", icc_profile=icc.rgb())
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.write(folder / "a.png", "a.png")
    for source in (folder, tmp_path / "set.zip"):
        reader = Reader(source, Cutter(24, CropConfig(24), None))
        face = reader.read(list_pictures(source)[0])
        reader.close()
        assert not isinstance(face, str)
        assert off(face.pixels, icc.seen(colours())) <= 1


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_an_enlarged_picture_is_mixed_in_its_own_colours(depth: type, tiny: Path) -> None:
    values: np.ndarray = colours().astype(depth) * (1 if depth == np.uint8 else 257)
    Image.fromarray(colours()).save("eight.png", icc_profile=icc.rgb())
    like = Canvas.of(Photo.read("eight.png")).like
    save_exact(Path("in.png"), values, like)
    studio = neuralid.open(tiny)
    large = studio.upscale("in.png", scale=2, method="nearest")
    wanted = np.repeat(np.repeat(icc.seen(colours()), 2, 0), 2, 1)
    assert off(Photo.read(_picture_of(large)).pixels, wanted) <= 1
    assert studio.mix([large, "in.png"], align=False, fidelity="fast").image.shape[2] == 3


# --- A kept photo -------------------------------------------------------------------------------


def keep(photo: str, place: str, tiny: Path) -> tuple[np.ndarray, np.ndarray, str]:
    """Mix with a photo kept; its edge before and after, exact, and what is said."""
    other = neuralid.sample(seeds=[1], model=tiny).save("other.png")
    options = ("--keep", photo, "--no-align", "--weights", tiny, "-o", place, "--fidelity", "fast")
    result = run("mix", photo, other, *options)
    assert result.exit_code == 0, result.stderr
    before, after = Photo.read(photo).exact, Photo.read(place).exact
    return before[:, :8], after[:, :8], result.stderr


def scene(channels: int = 3) -> np.ndarray:
    large = np.asarray(Image.fromarray(colours(64, channels)).resize((96, 64)))
    return np.ascontiguousarray(large)


@pytest.mark.parametrize("kind", ["plain", "wide", "screen", "broken", "alpha", "palette"])
def test_a_kept_photo_stays_as_it_was(kind: str, tiny: Path) -> None:
    profile = {"wide": icc.rgb(), "screen": SCREEN, "broken": b"junk", "plain": b""}
    own = profile.get(kind, icc.rgb())
    picture = Image.fromarray(scene(4 if kind == "alpha" else 3))
    picture = picture.quantize(64) if kind == "palette" else picture
    picture.save("in.png", icc_profile=own)
    before, after, said = keep("in.png", "out.png", tiny)
    assert np.array_equal(before, after)
    assert (Photo.read("out.png").profile or b"") == own
    assert "profile" not in said
    change = np.abs(
        Photo.read("out.png").pixels[20:50, 36:60]
        - Photo.read("in.png").pixels[20:50, 36:60].astype(int)
    )
    assert change.mean() > 2
    assert "neuralid-recipe" in Photo.read("out.png").text


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_kept_photo_keeps_16_bits(channels: int, tiny: Path) -> None:
    deep = scene(4).astype(np.uint16)[..., :channels] * 257 + 5
    if channels == 1:
        Image.fromarray(deep[..., 0]).save("in.png")
    else:
        profile = icc.rgb() if channels > 2 else None
        Path("in.png").write_bytes(png.encode(deep, profile))
    before, after, _ = keep("in.png", "out.png", tiny)
    grey = before.reshape(*before.shape[:2], -1)[..., : 1 if channels < 3 else 3]
    assert after.dtype == np.uint16 and after.shape[2] == (4 if channels in (2, 4) else 3)
    assert (after[..., :3] == grey).all()
    if channels in (2, 4):
        assert np.array_equal(after[..., 3], before[..., -1])
    assert "neuralid-recipe" in Photo.read("out.png").text


@pytest.mark.parametrize("kind", ["CMYK", "L"])
def test_a_kept_photo_of_other_colours_is_srgb_and_that_is_said(kind: str, tiny: Path) -> None:
    picture = Image.fromarray(scene()).convert(kind)
    picture.save("in.tif", icc_profile=icc.inks() if kind == "CMYK" else icc.grey())
    _, after, said = keep("in.tif", "out.png", tiny)
    assert off(after, load_rgb(Path("in.tif"))[:, :8]) <= 1
    assert Photo.read("out.png").profile is None
    assert "in.tif: its colour profile is not one of RGB; the result is in sRGB" in said


@pytest.mark.parametrize(("quality", "sampling"), [(50, 2), (90, 0), (95, 1)])
@pytest.mark.parametrize("turned", [1, 6])
def test_a_kept_jpeg_stays_within_one_level(
    quality: int, sampling: int, turned: int, tiny: Path
) -> None:
    """Also where it is black, white or of strong colours, and where a phone was held upright."""
    exif = Image.Exif()
    exif[ORIENTATION] = turned
    options: dict[str, Any] = {"quality": quality, "subsampling": sampling, "exif": exif}
    Image.fromarray(scene()).save("in.jpg", icc_profile=icc.rgb(), **options)
    before, after, _ = keep("in.jpg", "out.jpg", tiny)
    assert off(before, after) <= 1
    assert Photo.read("out.jpg").profile == icc.rgb()


@pytest.mark.parametrize("kind", ["noise", "ramps", "extremes", "sliver"])
def test_fine_jpeg_is_within_one_level(kind: str) -> None:
    """Ramps near black and white, and squares cut off by the edge, are the hardest."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:253, 0:331]
    ramps = np.stack([x * 253 // 331 + 2, y * 5 // 253, (x + y) * 60 // 584], axis=2)
    image = {
        "noise": rng.integers(0, 256, (253, 331, 3)),
        "ramps": ramps,
        "extremes": 255 * rng.integers(0, 2, (253, 331, 3)),
        "sliver": 255 * rng.integers(0, 2, (1, 3, 3)),
    }[kind].astype(np.uint8)
    content = jpeg.encode(Image.fromarray(image), icc.rgb())
    assert off(np.asarray(Image.open(io.BytesIO(content))), image) <= 1
    assert Photo.read(content).profile == icc.rgb()


def test_squares_that_a_fine_jpeg_would_round_by_two_levels_are_given_noise() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(100, 104, (2048, 2048, 3), dtype=np.uint8)[1024:1104, 1400:1464]
    plain = io.BytesIO()
    Image.fromarray(image).save(plain, "JPEG", **jpeg.OPTIONS)
    assert off(np.asarray(Image.open(plain)), image) == 2
    found = np.asarray(Image.open(io.BytesIO(jpeg.encode(Image.fromarray(image)))))
    assert off(found, image) == 1


def test_the_face_is_painted_in_the_photos_colours() -> None:
    Image.fromarray(scene()).save("in.png", icc_profile=icc.rgb())
    canvas = Canvas.of(Photo.read("in.png"))
    face = np.full((8, 8, 3), (200, 150, 120), np.uint8)
    own = colour.from_screen(face, canvas.like.info["icc_profile"])
    assert off(icc.seen(own), face) <= 2

    def paint(before: np.ndarray) -> np.ndarray:
        after = before.copy()
        after[10:18, 10:18] = own
        return after

    save_exact(Path("out.png"), canvas.paint(paint), canvas.like)
    seen = load_rgb(Path("out.png")).copy()
    assert off(seen[10:18, 10:18], face) <= 2
    seen[10:18, 10:18] = load_rgb(Path("in.png"))[10:18, 10:18]
    assert off(seen, load_rgb(Path("in.png"))) == 0


# --- Enlarging ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg"])
def test_an_enlarged_picture_keeps_its_profile(suffix: str) -> None:
    Image.fromarray(colours()).save("in.png", icc_profile=icc.rgb())
    result = run("upscale", "in.png", "-o", "out" + suffix, *CUBIC)
    assert result.exit_code == 0 and "profile" not in result.stderr
    assert Photo.read("out" + suffix).profile == icc.rgb()
    if suffix in (".png", ".tif"):
        wanted = upscale_array(colours(), 2, "cubic")
        assert np.array_equal(Photo.read("out" + suffix).exact, wanted)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("suffix", [".bmp", ".ppm", ".tga", ".qoi"])
def test_where_no_profile_can_be_kept_colours_do_not_shift(mode: str, suffix: str) -> None:
    if suffix == ".qoi" and suffix not in Image.registered_extensions():
        pytest.skip("this Pillow writes no QOI")
    own = icc.grey() if mode == "L" else icc.rgb()
    Image.fromarray(colours()).convert(mode).save("in.png", icc_profile=own)
    result = run("upscale", "in.png", "-o", "out" + suffix, "-s", 2, "--method", "nearest")
    assert result.exit_code == 0, result.output
    wanted = np.repeat(np.repeat(load_rgb(Path("in.png")), 2, 0), 2, 1)
    assert off(load_rgb(Path("out" + suffix)), wanted) <= 1
    lines = [line for line in result.stderr.splitlines() if "no colour profile" in line]
    assert len(lines) == 1 and lines[0].startswith(f"out{suffix}: ")


def test_a_sheet_of_methods_is_in_srgb() -> None:
    values = np.full((30, 30, 3), (200, 30, 60), np.uint8)
    Image.fromarray(values).save("in.png", icc_profile=icc.rgb())
    assert run("upscale", "in.png", "--compare", "-s", 2, "-o", "sheet.png").exit_code == 0
    found = np.abs(load_rgb(Path("sheet.png")).astype(int) - icc.seen(values)[0, 0]).max(2) <= 1
    assert found.mean() > 0.05


def test_a_notebook_shows_the_profile() -> None:
    Image.fromarray(colours()).save("in.png", icc_profile=icc.rgb())
    shown = neuralid.upscale("in.png", scale=1)._repr_png_()
    assert Image.open(io.BytesIO(shown)).info["icc_profile"] == icc.rgb()


def test_a_photo_of_a_face_with_a_profile_is_found_and_inverted(tiny: Path) -> None:
    draw_face(np.random.default_rng(0)).save("in.png", icc_profile=icc.rgb())
    result = neuralid.invert("in.png", model=tiny, align=False, fidelity="fast")
    assert np.isfinite(result.psnr)
