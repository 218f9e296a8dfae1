"""Films: frames of any sizes, what formats cannot hold, names, and a look at what was written."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import av
import icc
import numpy as np
import pytest
from conftest import fails, run
from PIL import Image

from neuralid.core.errors import ImageError
from neuralid.pictures import animation
from neuralid.pictures.animation import Film, check_fits, read_film, save_film, write_film
from neuralid.pictures.photo import Photo

TWICE = ("-s", 2, "--method", "nearest")
FORMATS = [".gif", ".webp", ".png"]


def frames(count: int = 3, channels: int = 3) -> list[np.ndarray]:
    """A square that moves over a plain ground."""
    made = []
    for index in range(count):
        frame = np.full((16, 20, channels), 255, np.uint8)
        frame[..., :3] = (60, 90, 120)
        frame[4:12, 2 + 4 * index : 8 + 4 * index, :3] = (240, 30, 20)
        made.append(frame)
    return made


def widening(path: Path) -> None:
    """A GIF whose canvas is 10x8 and whose first frame is no larger; the second is 20x16."""
    small, large = (
        Image.new("P", size, index) for index, size in enumerate([(10, 8), (20, 16)], start=1)
    )
    for each in (small, large):
        each.putpalette([0, 0, 0, 250, 10, 10, 10, 10, 250])
    blocks = []
    for each in (small, large):
        each.save("one.gif", optimize=False)
        content = Path("one.gif").read_bytes()
        start = content.index(b"\x2c" + struct.pack("<4H", 0, 0, *each.size))
        blocks.append(b"\x21\xf9\x04\0\x0a\0\0\0" + content[start:-1])
        colours = content[10] & 7
        head = content[: 13 + 3 * (2 << colours)]
    path.write_bytes(b"GIF89a" + struct.pack("<2H", 10, 8) + head[10:] + b"".join(blocks) + b";")


# --- Frames of different sizes --------------------------------------------------------------------


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_canvas_that_grows_makes_all_frames_as_large(suffix: str) -> None:
    widening(Path("in.gif"))
    film = read_film(Photo.read("in.gif"))
    assert [frame.shape for frame in film.frames] == [(16, 20, 4)] * 2
    assert film.frames[0][2, 2].tolist() == [250, 10, 10, 255]
    assert film.frames[0][12, 15, 3] == 0 and film.frames[1][12, 15].tolist() == [10, 10, 250, 255]
    result = run("upscale", "in.gif", "-o", "out" + suffix, *TWICE)
    assert result.exit_code == 0, result.output
    large = read_film(Photo.read("out" + suffix))
    assert [frame.shape[:2] for frame in large.frames] == [(32, 40)] * 2
    assert large.frames[0][25, 30, 3] == 0 and large.frames[1][25, 30, 3] == 255


def test_the_size_of_the_largest_frame_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    widening(Path("in.gif"))
    monkeypatch.setattr("neuralid.upscaling.enlarge.MOST_PIXELS", 700)  # 320 fit twice as large
    fails(run("upscale", "in.gif", *TWICE), 1, "in.gif enlarged would have")


# --- What others see ------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [20.0, 8.0])
def test_an_mp4_as_ffmpeg_decodes_it(rate: float) -> None:
    """The square is red and moves, the ground is blue; each frame lasts its time."""
    save_film(Path("film.mp4"), np.stack(frames(6)).repeat(2, 1).repeat(2, 2), rate)
    with av.open("film.mp4") as film:
        seen = [(float(f.time), f.to_ndarray(format="rgb24")) for f in film.decode(video=0)]
    assert [time for time, _ in seen] == pytest.approx([i / rate for i in range(6)], abs=1e-3)
    for index, (_, picture) in enumerate(seen):
        assert picture.shape == (32, 40, 3)
        if index < 4:  # then it has left
            square = picture[12:20, 8 * index + 8 : 8 * index + 12].reshape(-1, 3).mean(0)
            assert np.abs(square - (240, 30, 20)).max() < 40
        assert np.abs(picture[28:].reshape(-1, 3).mean(0) - (60, 90, 120)).max() < 15


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
@pytest.mark.parametrize("rate", [20.0, 8.0])
def test_a_film_as_pillow_decodes_it(suffix: str, rate: float) -> None:
    save_film(Path("film" + suffix), np.stack(frames(4)), rate)
    with Image.open("film" + suffix) as film:
        assert film.n_frames == 4 and film.info["loop"] == 0  # type: ignore[attr-defined]
        for index in range(4):
            film.seek(index)
            picture = np.asarray(film.convert("RGB")).astype(int)
            assert film.info["duration"] == pytest.approx(1000 / rate, abs=5)
            square = picture[6:10, 4 * index + 4 : 4 * index + 6].reshape(-1, 3).mean(0)
            assert np.abs(square - (240, 30, 20)).max() < 30
            assert np.abs(picture[14:].reshape(-1, 3).mean(0) - (60, 90, 120)).max() < 10


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_moves_over_clear_ground_leaves_no_trail(suffix: str) -> None:
    made = frames(3, 4)
    for frame in made:
        frame[..., 3] = 255 * (frame[..., 0] == 240)
    write_film(Path("film" + suffix), Film(made, [100.0, 200.0, 300.0], 0))
    with Image.open("film" + suffix) as film:
        for index in range(3):
            film.seek(index)
            alpha = np.asarray(film.convert("RGBA"))[..., 3]
            assert film.info["duration"] == 100 * (index + 1)
            assert np.array_equal(alpha, made[index][..., 3])


# --- What is written is looked at -----------------------------------------------------------------


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("fault", ["lost", "size", "damaged", "still"])
def test_a_film_that_was_written_badly_is_not_kept(
    suffix: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Image.Image.save

    def spoil(self: Image.Image, buffer: Any, *rest: Any, **options: Any) -> None:
        others = options["append_images"]
        if fault == "lost":
            options |= {"append_images": others[:-1], "duration": options["duration"][:-1]}
        if fault == "still":
            options |= {"append_images": [self.copy() for _ in others]}
        first = self.resize((9, 9)) if fault == "size" else self
        if fault == "size":
            options["append_images"] = [each.resize((9, 9)) for each in others]
        save(first, buffer, *rest, **options)
        if fault == "damaged":
            buffer.truncate(len(buffer.getvalue()) // 2)

    monkeypatch.setattr(Image.Image, "save", spoil)
    with pytest.raises(ImageError):
        write_film(Path("out" + suffix), Film(frames(), [100.0] * 3, 0))
    assert not Path("out" + suffix).exists()


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kind", ["repeated", "still", "clear"])
def test_frames_that_look_the_same_may_be_joined(suffix: str, kind: str) -> None:
    first, *others = frames(3, 4)
    if kind == "clear":
        first[..., 3] = 0
        first[0, 0, 3] = 255
    made = [first, first, *others] if kind == "repeated" else [first, first.copy()]
    if kind == "clear":
        made[1][5, 5, 0] ^= 255  # where nothing is seen
    write_film(Path("out" + suffix), Film(made, [100.0] * len(made), 0))
    film = read_film(Photo.read("out" + suffix))
    assert len(film.frames) <= len(made)
    if kind == "repeated":
        assert sum(film.durations) == 400


def test_a_film_opencv_cuts_short_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    save_film(Path("whole.mp4"), np.stack(frames(4)), 20)
    monkeypatch.setattr("cv2.CAP_PROP_FRAME_COUNT", 3)  # the width is what is asked for then
    with pytest.raises(Exception, match="OpenCV wrote 20 of 4 frames"):
        save_film(Path("out.mp4"), np.stack(frames(4)), 20)
    assert not Path("out.mp4").exists()


# --- What formats cannot hold ---------------------------------------------------------------------


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_longest_frame_is_the_formats_own(suffix: str) -> None:
    longest = animation.LONGEST_FRAME[animation.ANIMATED[suffix]]
    place = Path("out" + suffix)
    write_film(place, Film(frames(2), [longest, 100.0], 0))
    assert read_film(Photo.read(place)).durations[0] == longest
    with pytest.raises(ImageError, match=f"at most {longest / 1000:g} s"):
        check_fits(place, 20, 16, [100.0, longest + 1000])


def test_slow_frames_are_refused_before_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    write_film(Path("slow.webp"), Film(frames(2), [700_000.0, 700_000.0], 0))
    monkeypatch.setattr("neuralid.upscaling.enlarge.upscale_array", None)
    words = ("slow.gif would have a frame of 700 s", "at most 655.35 s", "use .png")
    fails(run("upscale", "slow.webp", "-o", "slow.gif", *TWICE), 1, *words)


def test_frames_too_wide_are_refused_before_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = [Image.new("RGB", (4200, 2), (index, 0, 0)) for index in (0, 200)]
    for suffix in (".gif", ".webp"):
        wide[0].save("wide" + suffix, save_all=True, append_images=wide[1:], duration=100)
    monkeypatch.setattr("neuralid.upscaling.enlarge.upscale_array", None)
    fails(run("upscale", "wide.webp"), 1, "wide_x4.webp would be 16800x8", "16383")
    fails(run("upscale", "wide.gif", "-s", 16), 1, "wide_x16.gif would be 67200x32", "65535")


def test_frames_too_slow_only_together_are_one_line() -> None:
    """Pillow joins frames that look the same, and their times are then too long."""
    first = frames(1)[0]
    with pytest.raises(ImageError, match=r"cannot write out\.gif") as caught:
        write_film(Path("out.gif"), Film([first, first], [400_000.0, 400_000.0], 0))
    assert caught.value.hint == "try .webp"
    assert not Path("out.gif").exists()


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_a_film_that_loops_more_often_than_a_format_counts(suffix: str) -> None:
    write_film(Path("in.png"), Film(frames(2), [100.0, 100.0], 100_000))
    assert run("upscale", "in.png", "-o", "out" + suffix, *TWICE).exit_code == 0
    assert read_film(Photo.read("out" + suffix)).loop == 65_535


def test_a_film_keeps_its_colours(tmp_path: Path) -> None:
    """With its profile where there is room for it, and without it in sRGB."""
    ground = np.full((8, 8, 3), (200, 30, 60), np.uint8)
    other = ground.copy()
    other[2:4, 2:4] = (30, 200, 60)
    write_film(Path("in.png"), Film([ground, other], [100.0, 100.0], 0, icc.rgb()))
    kept = run("upscale", "in.png", "-o", "out.webp", *TWICE)
    assert Photo.read("out.webp").profile == icc.rgb() and "profile" not in kept.stderr
    converted = run("upscale", "in.png", "-o", "out.gif", *TWICE)
    assert "out.gif: GIF holds no colour profile" in converted.stderr
    seen = read_film(Photo.read("out.gif")).frames[0][12, 12]
    assert np.abs(seen.astype(int) - icc.seen(ground)[0, 0]).max() <= 2


def test_a_film_of_half_transparency_as_gif_says_so() -> None:
    made = frames(2, 4)
    made[0][0, 0, 3] = 100
    assert write_film(Path("a.webp"), Film(made, [100.0, 100.0], 0)) == []
    said = write_film(Path("a.gif"), Film(made, [100.0, 100.0], 0))
    assert said == ["a.gif: GIF holds no half transparency"]


# --- Names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", FORMATS)
@pytest.mark.parametrize("named", [".jpg", ".bmp", ".tiff", ".odd"])
def test_a_film_under_the_name_of_a_still_gets_a_suffix_that_moves(own: str, named: str) -> None:
    write_film(Path("film" + own), Film(frames(2), [100.0, 100.0], 0))
    Path("film" + own).rename("in" + named)
    result = run("upscale", "in" + named, *TWICE)
    assert result.stdout.split() == [f"in_x2{own}"], result.stderr
    assert Photo.read(f"in_x2{own}").frame_count == 2
    again = run("upscale", "in" + named, *TWICE, "--skip-existing")
    assert (again.exit_code, again.stdout) == (0, "") and "skipped 1 of 1" in again.stderr
    numbered = run("upscale", "in" + named, *TWICE)
    assert numbered.stdout.split() == [f"in_x2-1{own}"]
    fails(run("upscale", "in" + named, "-o", "out.jpg", *TWICE), 1, "does not support animation")


def test_a_still_under_the_name_of_a_film_stays_a_still() -> None:
    Image.fromarray(frames(1)[0]).save("in.gif")
    assert run("upscale", "in.gif", *TWICE).stdout.split() == ["in_x2.png"]
