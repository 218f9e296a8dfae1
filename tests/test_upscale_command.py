"""``neuralid upscale`` on every kind of picture, its options, and the sheet that compares."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import draw_face, fails, run
from PIL import Image, ImageCms

import neuralid
from neuralid.pictures import png
from neuralid.pictures.animation import Film, read_film, write_film
from neuralid.pictures.images import (
    load_rgb,
    open_picture,
    upright,
)
from neuralid.pictures.photo import Photo
from neuralid.upscaling import compare
from neuralid.upscaling.config import METHODS
from neuralid.upscaling.enlarge import upscale_array

CUBIC = ("--method", "cubic")


def save(name: str, side: int = 20, seed: int = 0) -> Path:
    draw_face(np.random.default_rng(seed), side, side).save(name)
    return Path(name)


# --- Sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "wanted"), [("60", (40, 60)), ("100x45", (30, 45)), ("30X90", (30, 45))]
)
def test_a_size_is_fitted_into(size: str, wanted: tuple[int, int]) -> None:
    draw_face(np.random.default_rng(0), 20, 30).save("in.png")
    result = run("upscale", "in.png", "--size", size, *CUBIC)
    assert result.exit_code == 0, result.stderr
    (name,) = result.stdout.split()
    assert name == f"in_{size.lower() if 'x' in size.lower() else size + 'x' + size}.png"
    assert open_picture(Path(name)).size == wanted


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--size", "8"), 1, ("in.png is 20x20, larger than 8x8", "only enlarges")),
        (("--size", "2000"), 1, ("in.png is 20x20; fitting 2000x2000", "at most 64 times")),
        (("--size", "12x"), 2, ("'12x' is not a size", "512x384")),
        (("--size", "0"), 2, ("the width in --size must be from 1",)),
        (("--size", "50", "--scale", "2"), 2, ("exclude each other", "leave one out")),
        (("--scale", "65"), 2, ("scale must be from 1 to 64",)),
    ],
)
def test_sizes_that_cannot_be(options: tuple[str, ...], code: int, words: tuple[str, ...]) -> None:
    fails(run("upscale", save("in.png", 20), *options), code, *words)


def test_a_result_too_large_is_refused_by_name() -> None:
    Image.new("L", (2000, 2000)).save("large.png")
    words = ("large.png enlarged would have 16384 megapixels", "at most 100")
    fails(run("upscale", "large.png", "--scale", 64), 1, *words)


def test_a_picture_of_one_pixel() -> None:
    Image.new("RGB", (1, 1), (10, 200, 30)).save("dot.png")
    for method in METHODS:
        options = ("--filter", "auto", "--filter", "edge", "--scale", 3, "--method", method)
        assert run("upscale", "dot.png", "-o", "out.png", *options).exit_code == 0
        assert (load_rgb(Path("out.png")) == (10, 200, 30)).all()
    assert run("upscale", "dot.png", "--compare", "-o", "sheet.png").exit_code == 0


# --- Options ------------------------------------------------------------------------------------


def test_filters_are_applied_in_order_and_auto_says_what_it_picked() -> None:
    picture = save("in.png")
    run("upscale", picture, "-o", "a.png", *CUBIC, "--filter", "unsharp=2", "--filter", "edge")
    wanted = upscale_array(load_rgb(picture), 4, "cubic", ["unsharp=2", "edge=0.5"])
    assert np.array_equal(load_rgb(Path("a.png")), wanted)
    dull = np.full((20, 20, 3), 100, np.uint8)
    dull[5:10, 5:15] = 160
    Image.fromarray(dull).save("dull.png")
    result = run("upscale", "dull.png", "-o", "b.png", *CUBIC, "--filter", "auto")
    assert "dull.png: contrast=0.5" in result.stderr
    assert np.array_equal(
        load_rgb(Path("b.png")), upscale_array(dull, 4, "cubic", ["contrast=0.5"])
    )


def test_the_help_and_the_page_name_every_method_and_filter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from neuralid.upscaling.config import FILTERS

    monkeypatch.setenv("COLUMNS", "200")
    words = " ".join(run("upscale", "--help").stdout.replace("│", " ").split())
    page = (Path(__file__).parents[1] / "docs" / "reference" / "upscaling.md").read_text()
    for name, method in METHODS.items():
        assert f"{name}, {method.summary}" in words
        assert f"| `{name}` | {method.summary}" in page
    for name, info in FILTERS.items():
        assert f"{name}, {info.summary}" in words
        usual = "" if info.usual is None else f"{info.usual:g}, 0 to {info.most:g}"
        assert f"| `{name}` | {info.summary} | {usual} |" in page


def test_a_method_of_the_cpu_is_not_sent_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuralid.core.device._cuda_count", lambda: 1)
    picture = save("in.png")
    refused = run("upscale", picture, "--method", "dcci", "--device", "cuda")
    fails(refused, 2, "method 'dcci' runs on the CPU only", "--device is for face")
    fails(run("upscale", picture, *CUBIC, "--device", "toaster"), 2, "no device is called")
    assert run("upscale", picture, *CUBIC, "--device", "cpu").exit_code == 0


def test_what_is_there_is_passed_over() -> None:
    pictures = [save("a.png"), save("b.png", seed=1)]
    assert run("upscale", pictures[0], *CUBIC).exit_code == 0
    before = Path("a_x4.png").stat().st_mtime_ns
    again = run("upscale", *pictures, *CUBIC, "--skip-existing")
    assert (again.exit_code, again.stdout.split()) == (0, ["b_x4.png"])
    assert "skipped 1 of 2" in again.stderr
    assert Path("a_x4.png").stat().st_mtime_ns == before
    Path("out.png").write_text("mine")
    kept = run("upscale", "missing.png", "-o", "out.png", "--skip-existing")
    assert (kept.exit_code, kept.stdout) == (0, "")
    assert Path("out.png").read_text() == "mine"
    fails(run("upscale", "missing.png", "--outdir", "new", "--skip-existing"), 1, "does not exist")


# --- Kinds of pictures --------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colours_of_16_bits_come_and_go(channels: int) -> None:
    deep = np.random.default_rng(0).integers(1, 65536, (6, 5, channels), np.uint16)
    Path("deep.png").write_bytes(png.encode(deep, b"a profile"))
    assert np.array_equal(Photo.read("deep.png").exact, deep)
    assert run("upscale", "deep.png", "-o", "big.png", "-s", 2, *CUBIC).exit_code == 0
    result = Photo.read("big.png")
    large = result.exact
    assert np.array_equal(large, upscale_array(deep, 2, "cubic"))
    assert result.profile == b"a profile"
    theirs = cv2.imread("big.png", cv2.IMREAD_UNCHANGED)  # another program's view
    order = {2: [0, 0, 0, 1], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]
    assert theirs is not None and np.array_equal(theirs, large[..., order])


def test_colours_of_16_bits_get_8_where_there_is_no_room() -> None:
    deep = np.full((6, 5, 3), 300 * 257 // 2, np.uint16)
    Path("deep.png").write_bytes(png.encode(deep))
    assert run("upscale", "deep.png", "-o", "big.bmp", "-s", 2, *CUBIC).exit_code == 0
    assert (load_rgb(Path("big.bmp")) == 150).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations(orientation: int) -> None:
    picture = draw_face(np.random.default_rng(0), 4, 6)
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save("in.png", exif=exif)
    assert np.array_equal(load_rgb(Path("in.png")), upright(np.asarray(picture), orientation))


def test_palettes_keep_their_transparency() -> None:
    colours = draw_face(np.random.default_rng(0), 16, 16).quantize(16)
    colours.info["transparency"] = int(np.asarray(colours)[0, 0])
    colours.save("in.png")
    colours.save("in.gif")
    assert open_picture(Path("in.png")).mode == "P"
    result = run("upscale", "in.png", "in.gif", "--scale", 2, "--outdir", "o", *CUBIC)
    assert result.stdout.split() == ["o/in_x2.png", "o/in_x2-1.png"]
    for name in result.stdout.split():
        large = np.asarray(open_picture(Path(name)))
        assert large.shape == (32, 32, 4)
        assert large[0, 0, 3] == 0 and large[16, 16, 3] == 255


@pytest.mark.parametrize("has_profile", [False, True])
def test_four_inks_become_colours(has_profile: bool) -> None:
    """With a profile that can be used, and with one that cannot."""
    screen = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    inks = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    inks.save("in.jpg", icc_profile=screen if has_profile else b"")
    run("upscale", "in.jpg", "-s", 2, "-o", "out.png", *CUBIC)
    large = open_picture(Path("out.png"))
    assert (large.mode, large.size) == ("RGB", (16, 16))
    assert "icc_profile" not in large.info
    red = np.asarray(large).reshape(-1, 3).mean(0)
    assert red[0] > 230 and red[1:].max() < 30


# --- Films --------------------------------------------------------------------------------------


def film(clear: bool, loop: int | None = 0) -> Film:
    """A square that moves over a gradient, or over nothing."""
    frames = []
    for index in range(3):
        frame = np.zeros((16, 20, 4), np.uint8)
        frame[..., :3] = np.linspace(20, 200, 20)[:, None].astype(np.uint8)
        frame[..., 3] = 0 if clear else 255
        frame[4:12, 3 + 4 * index : 9 + 4 * index] = (240, 30, 20, 255)
        frames.append(frame if clear else frame[..., :3])
    return Film(frames, [40, 200, 90], loop)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
@pytest.mark.parametrize("clear", [False, True])
def test_films_move_as_before(suffix: str, clear: bool) -> None:
    path = Path(f"in{suffix}")
    write_film(path, film(clear, loop=2))
    assert Photo.read(path).frame_count == 3
    result = run("upscale", path, "--scale", 3, "--method", "nearest")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.split() == [f"in_x3{suffix}"]
    small, large = (read_film(Photo.read(p)) for p in (path, f"in_x3{suffix}"))
    assert (large.durations, large.loop) == (small.durations, 2) == ([40, 200, 90], 2)
    for before, after in zip(small.frames, large.frames, strict=True):
        wanted = upscale_array(before, 3, "nearest")
        assert after.shape == wanted.shape == (48, 60, 4 if clear else 3)
        seen = wanted[..., 3] > 0 if clear else slice(None)
        assert np.abs(after[seen].astype(int) - wanted[seen]).mean() < 3


def test_a_film_played_once_and_one_behind_a_still() -> None:
    write_film(Path("once.gif"), film(False, loop=None))
    assert read_film(Photo.read("once.gif")).loop is None
    run("upscale", "once.gif", "-o", "once.webp", "-s", 2, *CUBIC)
    assert read_film(Photo.read("once.webp")).loop == 1
    frames = [Image.fromarray(frame) for frame in film(False).frames]
    frames[0].save("still.png", save_all=True, append_images=frames[1:], default_image=True)
    assert Photo.read("still.png").frame_count == 2
    assert np.array_equal(read_film(Photo.read("still.png")).frames[0], film(False).frames[1])


def test_films_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    write_film(Path("in.gif"), film(False))
    fails(
        run("upscale", "in.gif", "-o", "out.jpg", *CUBIC),
        1,
        "out.jpg: this format does not support animation",
        ".webp",
    )
    monkeypatch.setattr("neuralid.api._upscale.MOST_FILM_PIXELS", 10_000)
    fails(run("upscale", "in.gif", *CUBIC), 1, "3 frames, 0 megapixels", "make them smaller")
    whole = Path("in.gif").read_bytes()
    Path("half.gif").write_bytes(whole[: len(whole) // 2])
    fails(run("upscale", "half.gif", *CUBIC), 1, "half.gif cannot be read")


# --- The sheet ----------------------------------------------------------------------------------


def test_a_sheet_shows_every_method(monkeypatch: pytest.MonkeyPatch) -> None:
    save("a.png", 56)
    written: list[str] = []
    draw = compare._draw_label

    def label(text: str) -> np.ndarray:
        written.append(text)
        return draw(text)

    monkeypatch.setattr(compare, "_draw_label", label)
    result = run("upscale", "a.png", "--compare", "--scale", 2.5)
    assert result.stdout.split() == ["a_compare.png"]
    assert written == [f"{name} 2.5x" for name in METHODS]
    page = load_rgb(Path("a_compare.png"))
    rows = -(-len(METHODS) // compare.COLUMNS)
    assert page.shape == (
        rows * (compare.LABEL + 2 * (compare.SIDE + compare.GAP)) + compare.GAP,
        compare.COLUMNS * (compare.SIDE + compare.GAP) + compare.GAP,
        3,
    )
    corner = (compare.GAP + compare.LABEL, compare.GAP)
    shown = page[corner[0] : corner[0] + 140, corner[1] : corner[1] + 140]
    first = upscale_array(load_rgb(Path("a.png")), 2.5, next(iter(METHODS)))
    unmarked = (shown != compare.MARK).any(axis=2)
    assert np.array_equal(shown[unmarked], first[unmarked])


def test_a_sheet_of_a_large_result_is_no_larger_and_shows_the_detail() -> None:
    large = np.full((300, 400, 3), 90, np.uint8)
    large[200:230, 300:330] = np.random.default_rng(0).integers(0, 255, (30, 30, 3))
    page = compare.sheet(large, 2)
    assert page.shape == compare.sheet(large[:9, :7], 2).shape
    row, column = compare.find_busiest(large[..., 0].astype(np.float32), 28)
    assert abs(row - 215) <= 3 and abs(column - 315) <= 3


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((1, 1), np.uint8),
        np.full((3, 9, 2), 77, np.uint8),
        np.full((4, 4, 4), 30_000, np.uint16),
    ],
)
def test_a_sheet_of_any_picture(picture: np.ndarray) -> None:
    page, method = compare.sheet(picture, 3), list(METHODS).index("nearest")
    assert page.dtype == np.uint8 and page.shape[2] == 3
    row, column = divmod(method, compare.COLUMNS)
    top = row * (compare.LABEL + 2 * (compare.SIDE + compare.GAP)) + compare.GAP + compare.LABEL
    left = column * (compare.SIDE + compare.GAP) + compare.GAP
    height, width = 3 * picture.shape[0], 3 * picture.shape[1]
    shown = page[top : top + height, left : left + width]
    # Laid on white; a grey of 77 with an alpha of 77 is (77 * 77 / 255) + 255 - 77.
    wanted = {0: 0, 2: 201, 4: 255 - (30_000 - 30_000**2 / 65_535) / 257}
    flat = wanted[picture.shape[2] if picture.ndim == 3 else 0]
    marked = (shown == compare.MARK).all(2)
    assert marked.any() and np.abs(shown[~marked].astype(float) - flat).max(initial=0) <= 1


def test_a_sheet_takes_no_method() -> None:
    save("a.png")
    words = ("--compare shows every method", "leave --method out")
    fails(run("upscale", "a.png", "--compare", *CUBIC), 2, *words)


def test_from_python() -> None:
    save("a.png")
    (large,) = neuralid.upscale(["a.png"], size=(30, 50), method="lanczos", filters=["unsharp"])
    assert large.image.shape == (30, 30, 3)
    wanted = upscale_array(load_rgb(Path("a.png")), 1.5, "lanczos", ["unsharp"])
    assert np.array_equal(large.image, wanted)
