"""What is not a face is not taken for one, and which of several faces is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import fails, run
from PIL import Image, ImageDraw, ImageFilter
from test_align import EXAMPLES, PLACES, backdrop, placed

import neuralid
from neuralid.core.errors import ConfigError
from neuralid.faces import detect
from neuralid.faces.choose import beyond_edge, choose_face, prominence
from neuralid.faces.detect import find_faces
from neuralid.faces.eyes import Face, build_pyramid, check_faces
from neuralid.pictures.images import load_rgb

SIDE = 224  # of the examples, pixels
# Pairs of places in a framed face that may be mistaken for eyes, fractions of its side.
MISTAKES = {
    "nostrils": [(0.44, 0.52), (0.55, 0.52)],
    "corners of the mouth": [(0.37, 0.69), (0.62, 0.69)],
    "an eye and the temple": [(0.302, 0.296), (0.93, 0.25)],
    "an eye and the mouth": [(0.302, 0.296), (0.5, 0.7)],
    "far too wide": [(0.1, 0.25), (0.9, 0.25)],
    "upside down": [(0.684, 0.296), (0.302, 0.296)],
}


def checked(picture: np.ndarray, eyes: np.ndarray) -> float:
    """The checker's logit for a pair of eyes."""
    pyramid = build_pyramid(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    return check_faces(pyramid, [Face(np.array(eyes, float), 0.0)])[0].check


@pytest.mark.parametrize("name", ["ada", "bruno"])
def test_only_the_eyes_of_a_face_pass_the_check(name: str) -> None:
    face = load_rgb(EXAMPLES / f"{name}.png")
    assert checked(face, len(face) * PLACES) > 3
    for mistake, pair in MISTAKES.items():
        assert checked(face, len(face) * np.array(pair)) < 0, mistake


def test_an_eye_each_of_two_people_is_no_pair() -> None:
    ada, bruno = (load_rgb(EXAMPLES / f"{name}.png") for name in ("ada", "bruno"))
    both = np.hstack([ada[:, SIDE // 2 :], bruno[:, : SIDE // 2]])
    left, right = SIDE * PLACES - [SIDE / 2, 0], SIDE * PLACES + [SIDE / 2, 0]
    assert checked(both, np.array([left[1], right[0]])) < 0
    assert find_faces(both) == []


def test_a_face_without_its_eyes_is_none() -> None:
    face = load_rgb(EXAMPLES / "bruno.png")
    below = Image.fromarray(face[round(0.38 * SIDE) :]).resize((500, 310))
    assert find_faces(np.asarray(below)) == []


def draw_dog(coat: tuple[int, int, int], ears: str) -> Image.Image:
    """A dog's head from the front."""
    picture = backdrop(300, 300)
    draw = ImageDraw.Draw(picture)
    dark = tuple(channel // 2 for channel in coat)
    draw.ellipse((75, 60, 225, 250), coat)
    if ears == "hanging":
        draw.ellipse((45, 80, 105, 220), dark)
        draw.ellipse((195, 80, 255, 220), dark)
    else:
        draw.polygon([(85, 110), (80, 20), (140, 75)], dark)
        draw.polygon([(215, 110), (220, 20), (160, 75)], dark)
    draw.ellipse((105, 150, 195, 250), tuple(min(255, channel + 50) for channel in coat))
    for x in (120, 180):
        draw.ellipse((x - 12, 118, x + 12, 142), (40, 25, 15))
        draw.ellipse((x - 4, 122, x + 2, 128), (240, 240, 240))
    draw.ellipse((128, 165, 172, 198), (25, 20, 20))
    draw.line((150, 198, 150, 222), (40, 30, 30), 4)
    draw.arc((118, 200, 150, 235), 10, 120, (40, 30, 30), 4)
    draw.arc((150, 200, 182, 235), 60, 170, (40, 30, 30), 4)
    return picture.filter(ImageFilter.GaussianBlur(1.5))


def draw_flowers(seed: int) -> Image.Image:
    """A bed of flowers: petals about dark middles, at random."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (480, 360), (50, 95, 40))
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(30, 200))):
        x, y, size = rng.uniform(0, 480), rng.uniform(0, 360), rng.uniform(5, 40)
        colour = tuple(int(value) for value in rng.integers(120, 255, 3))
        for angle in np.arange(6) * np.pi / 3 + rng.uniform(0, 1):
            px, py = x + size * np.cos(angle), y + size * np.sin(angle)
            draw.ellipse((px - size / 2, py - size / 2, px + size / 2, py + size / 2), colour)
        draw.ellipse((x - size / 2, y - size / 2, x + size / 2, y + size / 2), (60, 40, 20))
    return picture.filter(ImageFilter.GaussianBlur(1))


def draw_cloud(seed: int) -> Image.Image:
    """Coloured noise of every grain, in which one sees whatever one looks for."""
    rng = np.random.default_rng(seed)
    picture = np.full((360, 480, 3), 130.0)
    for grain in (3, 6, 12, 24, 48, 96):
        noise = rng.normal(0, 90 / grain**0.6, (grain, grain, 3))
        picture += cv2.resize(noise, (480, 360), interpolation=cv2.INTER_CUBIC)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def draw_bricks(seed: int) -> Image.Image:
    """A wall of bricks, no two of one colour."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (480, 360), (190, 185, 175))
    draw = ImageDraw.Draw(picture)
    height = int(rng.integers(14, 40))
    width, gap = int(height * rng.uniform(1.8, 2.8)), max(2, height // 8)
    for row, y in enumerate(range(0, 360, height)):
        for x in range(-(row % 2) * width // 2, 480, width):
            colour = tuple(int(value) for value in rng.normal([150, 75, 60], 14))
            draw.rectangle((x, y, x + width - gap, y + height - gap), colour)
    return picture


@pytest.mark.parametrize("side", [120, 300, 600])
@pytest.mark.parametrize("coat", [(150, 105, 60), (120, 115, 110), (60, 45, 40), (225, 205, 170)])
def test_dogs_are_no_faces(side: int, coat: tuple[int, int, int]) -> None:
    for ears in ("hanging", "standing"):
        assert find_faces(np.asarray(draw_dog(coat, ears).resize((side, side)))) == []


@pytest.mark.parametrize("side", [120, 300, 600])
@pytest.mark.parametrize("draw", [draw_flowers, draw_cloud, draw_bricks])
def test_flowers_clouds_and_walls_are_no_faces(
    draw: Callable[[int], Image.Image], side: int
) -> None:
    for seed in range(3):
        picture = draw(seed)
        assert find_faces(np.asarray(picture.resize((side * 4 // 3, side)))) == []


def face_at(x: float, y: float, apart: float) -> Face:
    return Face(np.array([[x - apart / 2, y], [x + apart / 2, y]]), 15.0, 12.0)


@pytest.mark.parametrize(("away", "kept"), [(0, 1), (29, 1), (31, 2), (100, 2)])
def test_faces_nearer_than_half_of_a_pair_of_eyes_are_one(away: int, kept: int) -> None:
    better, worse = face_at(100, 100, 40), replace(face_at(100, 100 + away, 60), score=14.0)
    faces = detect._drop_duplicates([worse, better], apart=0.5)
    assert len(faces) == kept and faces[0] is better


@pytest.mark.parametrize(
    ("score", "sees_face", "wanted"),
    [
        (7.0, True, 10.0),  # and half of the checker's 3
        (7.0, False, 8.5),
        (4.6, True, 7.6),  # just within reach of being believed
        (4.4, True, 5.9),  # out of reach: the cascade isn't asked
    ],
)
def test_both_judges_add_to_a_score(
    score: float, sees_face: bool, wanted: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detect, "_cascade_confirms", lambda pyramid, face: sees_face)
    face = Face(np.array([[10.0, 20.0], [30.0, 20.0]]), score, 3.0)
    assert detect._judge([], face).score == pytest.approx(wanted)


def test_the_cascade_sees_a_face_only_where_one_is() -> None:
    face = load_rgb(EXAMPLES / "ada.png")
    pyramid = build_pyramid(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY))
    eyes, mouth = (
        Face(SIDE * np.array(pair), 9.0) for pair in (PLACES, MISTAKES["corners of the mouth"])
    )
    assert detect._cascade_confirms(pyramid, eyes)
    assert not detect._cascade_confirms(pyramid, mouth)


def test_whole_faces_near_the_middle_are_preferred() -> None:
    middle, side, cut = face_at(200, 120, 40), face_at(330, 120, 40), face_at(385, 120, 40)
    values = [prominence(face, 400, 300) for face in (middle, side, cut)]
    assert values == sorted(values, reverse=True)
    assert beyond_edge(middle, 400, 300) == beyond_edge(side, 400, 300) == 0
    assert 0.2 < beyond_edge(cut, 400, 300) < 0.5
    assert prominence(face_at(330, 120, 80), 400, 300) > values[0]  # but size counts for more


def test_doubt_is_about_the_face_that_is_taken() -> None:
    clear, small = face_at(200, 120, 50), face_at(60, 120, 15)
    assert choose_face([small, clear], 400, 300).doubts == []
    assert choose_face([small, clear], 400, 300).number == 2
    assert "far from the middle" in choose_face([small], 400, 300).doubts[0]
    assert "edge" in choose_face([face_at(10, 150, 60)], 400, 300).doubts[0]
    assert "another" in choose_face([clear, face_at(90, 150, 45)], 400, 300).doubts[0]
    faint = Face(clear.eyes, 8.0, 5.0)
    assert "hardly" in choose_face([faint], 400, 300).doubts[0]


def test_a_cut_off_face_is_not_taken_before_a_whole_one_and_it_is_said(tmp_path: Path) -> None:
    canvas = backdrop()
    placed(canvas, "bruno", -50, 100, 190)
    eyes = placed(canvas, "ada", 210, 80, 180)
    canvas.save(tmp_path / "two.png")
    result = run("invert", tmp_path / "two.png", "--fidelity", "fast", "--show-crop", "c.png")
    assert result.exit_code == 0, result.stderr
    x, y = eyes.mean(0)
    (line,) = (line for line in result.stderr.splitlines() if "taking" in line)
    assert line.startswith(str(tmp_path / "two.png"))
    assert "face 2 of 2" in line and "--face " in line and "--show-crop" in line
    where = [int(part) for part in line[line.index("(") + 1 : line.index(")")].split(",")]
    assert abs(where[0] - x) < 15 and abs(where[1] - y) < 15


def test_nothing_is_said_of_an_ordinary_photo() -> None:
    canvas = backdrop()
    placed(canvas, "ada", 150, 80, 200)
    messages: list[str] = []
    neuralid.invert(np.asarray(canvas), fidelity="fast", on_message=messages.append)
    assert not any("taking" in message for message in messages)


@pytest.fixture
def portrait() -> np.ndarray:
    canvas = backdrop()
    placed(canvas, "ada", 150, 80, 200)
    return np.asarray(canvas)


def test_mix_frames_one_photo_by_hand(portrait: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(portrait).save(tmp_path / "me.png")
    numbers = ("--face-size", 150, "--delta-i", 5, "--delta-j", 7, "--rotation", 2)
    drawn = EXAMPLES / "bruno.png"  # carries its latent, so it is not a photo
    show = ("--show-crop", "crop.png", "--fidelity", "fast")
    result = run("mix", tmp_path / "me.png", drawn, "-o", "m.png", *numbers, *show)
    assert result.exit_code == 0, result.stderr
    studio = neuralid.open(device="cpu")
    given = {"face_size": 150, "delta_i": 5, "delta_j": 7, "rotation": 2.0}
    shown = studio.invert(portrait, fidelity="fast", show_crop=True, **given).frame  # type: ignore[call-overload]
    assert (load_rgb(Path("crop.png")) == shown).all()
    mixed = studio.mix([portrait, drawn], fidelity="fast", show_crop=True, **given)  # type: ignore[arg-type]
    assert mixed.frame is not None and shown is not None
    assert (mixed.frame == shown).all()


def test_mix_does_not_frame_several_photos_or_none_by_hand(
    portrait: np.ndarray, tmp_path: Path
) -> None:
    Image.fromarray(portrait).save(tmp_path / "a.png")
    Image.fromarray(portrait[:, ::-1]).save(tmp_path / "b.png")
    several = run("mix", tmp_path / "a.png", tmp_path / "b.png", "--delta-i", 5, "-o", "m.png")
    fails(several, 2, "--face-size", "frame one photo", "invert each photo")
    drawn = [EXAMPLES / "ada.png", EXAMPLES / "bruno.png"]
    fails(run("mix", *drawn, "--face-size", 100, "-o", "m.png"), 2, "no input is a photo")
    with pytest.raises(ConfigError, match="`rotation` frame one photo"):
        neuralid.mix([portrait, portrait[:, ::-1]], rotation=3.0)
    assert not Path("m.png").exists()
