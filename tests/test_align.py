"""Faces are found in photos, and the four numbers bring their eyes where they are wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import fails, run
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import neuralid
from neuralid.core.errors import ConfigError, ImageError
from neuralid.data.dataset import load_dataset
from neuralid.data.reading import Cutter
from neuralid.faces.align import frame_crop, in_photo, measure_frame
from neuralid.faces.config import CropConfig, Frame
from neuralid.faces.crop import crop_face
from neuralid.faces.detect import find_faces
from neuralid.pictures.images import load_rgb

EXAMPLES = Path(neuralid.__file__).parent / "assets" / "examples"
FRAME = Frame()
PLACES = np.array([FRAME.left_eye, FRAME.right_eye])
QUICK = ("--fidelity", "fast", "--steps", 1)  # where what is found does not matter


def placed(
    canvas: Image.Image, name: str, left: int, top: int, side: int, turn: float = 0.0
) -> np.ndarray:
    """Lay an example's face on a canvas; returns where its eyes then are: ``(2, 2)``, pixels."""
    face = Image.open(EXAMPLES / f"{name}.png").convert("RGBA").resize((side, side))
    face = face.rotate(turn, Image.Resampling.BICUBIC, expand=True)
    canvas.paste(face, (left, top), face)
    angle = np.radians(turn)
    back = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([left, top]) + np.array(face.size) / 2
    return side * (PLACES - 0.5) @ back + middle


def backdrop(width: int = 500, height: int = 380) -> Image.Image:
    """A canvas of soft random patches."""
    rng = np.random.default_rng(5)
    patches = Image.fromarray(rng.integers(90, 170, (6, 8, 3), dtype=np.uint8))
    return patches.resize((width, height), Image.Resampling.BICUBIC)


def worst(eyes: np.ndarray, wanted: np.ndarray) -> float:
    """The worse eye's distance, in distances between the eyes."""
    apart = float(np.linalg.norm(wanted[1] - wanted[0]))
    return float(np.linalg.norm(eyes - wanted, axis=1).max()) / apart


@pytest.fixture
def group(tmp_path: Path) -> Path:
    """A photo of two people, the larger one on the right."""
    canvas = backdrop()
    placed(canvas, "ada", 30, 90, 120)
    placed(canvas, "bruno", 230, 60, 220)
    path = tmp_path / "group.png"
    canvas.save(path)
    return path


@pytest.mark.parametrize(("side", "turn"), [(60, 0), (150, 12), (220, -15)])
def test_the_eyes_of_a_face_are_found(side: int, turn: float) -> None:
    canvas = backdrop()
    eyes = placed(canvas, "ada", 120, 40, side, turn)
    faces = find_faces(np.asarray(canvas))
    assert faces
    best = max(faces, key=lambda face: face.score)
    assert worst(best.eyes, eyes) < 0.2


def test_the_four_numbers_give_the_framed_face_back() -> None:
    canvas = backdrop()
    eyes = placed(canvas, "bruno", 250, 100, 200, 10)
    photo = np.asarray(canvas)
    cut = crop_face(photo, 56, frame_crop(eyes, 500, 380, FRAME), extend=True)
    wanted = load_rgb(EXAMPLES / "bruno.png")
    small = np.asarray(Image.fromarray(wanted).resize((56, 56), Image.Resampling.BILINEAR))
    error = np.square(cut[4:-4, 4:-4].astype(float) - small[4:-4, 4:-4]).mean() / 255**2
    assert -10 * np.log10(error) > 24


@settings(max_examples=60, deadline=None)
@given(
    st.integers(60, 900),
    st.integers(60, 900),
    st.tuples(st.floats(0.2, 0.8), st.floats(0.2, 0.8)),
    st.floats(30, 300),
    st.floats(-40, 40),
)
def test_the_four_numbers_bring_any_eyes_to_the_frame(
    width: int, height: int, middle: tuple[float, float], apart: float, lean: float
) -> None:
    angle = np.radians(lean)
    half = np.array([np.cos(angle), np.sin(angle)]) * apart / 2
    centre = np.array(middle) * [width, height]
    eyes = np.stack([centre - half, centre + half])
    crop = frame_crop(eyes, width, height, FRAME)

    assert crop.face_size is not None
    turn = np.radians(crop.rotation)
    turned = (eyes - np.array([width, height]) / 2) @ np.array(
        [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    )
    corner = np.array([crop.delta_j, crop.delta_i]) + np.array(
        [(width - crop.face_size) // 2, (height - crop.face_size) // 2]
    )
    found = turned + np.array([width, height]) / 2 - corner
    assert np.abs(found - crop.face_size * PLACES).max() <= 1.2  # whole pixels, both ends
    assert np.abs(in_photo(PLACES, crop, width, height) - eyes).max() <= 1.7


def test_beyond_the_edge_the_edge_goes_on() -> None:
    photo = np.full((60, 80, 3), 200, np.uint8)
    crop = CropConfig(50, delta_i=20, delta_j=30, rotation=20)
    assert crop_face(photo, 28, crop).min() == 0
    assert crop_face(photo, 28, crop, extend=True).min() == 200
    inside = CropConfig(30, delta_i=2, delta_j=-3, rotation=20)
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    assert (crop_face(noise, 28, inside) == crop_face(noise, 28, inside, extend=True)).all()


def test_people_are_counted_from_the_left_and_the_largest_is_taken(group: Path) -> None:
    faces = neuralid.find_faces([group])
    assert [face.number for face in faces] == [1, 2]
    assert faces[0].left_eye[0] < faces[1].left_eye[0]
    messages: list[str] = []
    (largest,) = neuralid.invert([group], fidelity="fast", steps=1, on_message=messages.append)
    (first,) = neuralid.invert([group], fidelity="fast", steps=1, face=1)
    assert largest.crop == faces[1].crop
    assert first.crop == faces[0].crop
    assert any("face 2 of 2" in message for message in messages)


def test_the_list_of_faces_has_options_that_frame_them(group: Path) -> None:
    result = run("invert", group, "--faces")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == 2 and "face 1" in lines[0] and "face 2" in lines[1]
    options = lines[1][lines[1].index("--face-size") :].split()
    shown = run("invert", group, *options, *QUICK, "-o", "byhand.png")
    assert shown.exit_code == 0, shown.stderr
    assert run("mix", group, group, "--faces").stdout == result.stdout * 2


def test_a_face_that_is_not_there(group: Path) -> None:
    fails(run("invert", group, "--face", 3), 1, "has 2 faces, not 3", "--faces lists them")
    with pytest.raises(ConfigError, match="`face` must be at least 1"):
        neuralid.invert([group], face=0)


def test_a_photo_without_a_face(tmp_path: Path) -> None:
    sky = tmp_path / "sky.png"
    backdrop().save(sky)
    fails(run("invert", sky), 1, "no face found", "--face-size", "--no-align")
    fails(run("mix", sky, sky, "-o", "x.png"), 1, "no face found", "--no-align")
    assert run("invert", sky, "--no-align", *QUICK).exit_code == 0
    assert run("invert", sky, "--face-size", 200, *QUICK).exit_code == 0


def test_the_frame_is_shown_on_the_photo(group: Path) -> None:
    options = ("-o", "m.png", "--show-crop", "crop.png", "--fidelity", "fast")
    result = run("mix", group, EXAMPLES / "ada.png", group, *options)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.split() == ["m.png"] and "picture of the crop: crop.png" in result.stderr
    shown = load_rgb(Path("crop.png"))  # the one photo; ada carries her latent
    height, width = 448, round(500 * 448 / 380)
    assert shown.shape == (height, width + height, 3)
    green = (shown[:, :width] == [0, 255, 0]).all(2)
    rows, columns = np.flatnonzero(green.any(1)), np.flatnonzero(green.any(0))
    sides = np.array([rows[0], rows[-1], columns[0], columns[-1]]) * 380 / 448
    assert np.abs(sides - [60, 280, 230, 450]).max() < 25  # bruno's square
    assert 3 * len(rows) < green.sum() < 12 * len(rows)  # its edges only
    cut = np.asarray(Image.fromarray(shown[:, width:]).resize((56, 56)), float)
    bruno = Image.open(EXAMPLES / "bruno.png").convert("RGB").resize((56, 56))
    assert np.abs(cut - np.asarray(bruno))[6:-6, 6:-6].mean() < 14
    fails(run("invert", group, "--show-crop", "crop.xyz"), 1, "unknown suffix")


def test_where_framed_faces_have_their_eyes() -> None:
    faces = np.stack([load_rgb(EXAMPLES / f"{name}.png") for name in ("ada", "bruno")])
    frame = measure_frame(faces)
    assert frame is not None
    assert np.abs(np.array([frame.left_eye, frame.right_eye]) - PLACES).max() < 0.06
    noise = np.random.default_rng(0).integers(0, 256, (3, 56, 56, 3), dtype=np.uint8)
    assert measure_frame(noise) is None


def test_a_data_set_of_photos_is_framed_and_faceless_ones_are_skipped(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for index in range(70):
        canvas = backdrop(150, 120)
        name = ("ada", "bruno")[index % 2]
        placed(canvas, name, int(rng.integers(5, 60)), int(rng.integers(5, 30)), 80)
        canvas.save(tmp_path / f"{index:03d}.png")
    backdrop(150, 120).save(tmp_path / "sky.png")
    data = load_dataset(tmp_path, 28, CropConfig(), tmp_path / "cache", frame=FRAME)
    assert len(data.images) >= 66
    assert "sky.png" in data.skipped and "no face found" in data.skipped["sky.png"]
    ada = np.asarray(Image.open(EXAMPLES / "ada.png").convert("RGB").resize((28, 28)), float)
    cuts = [
        image for image, name in zip(data.images, data.names, strict=True) if int(name[:3]) % 2 == 0
    ]
    assert np.median([np.abs(cut - ada)[3:-3, 3:-3].mean() for cut in cuts]) < 14
    plain = load_dataset(tmp_path, 28, CropConfig(), tmp_path / "cache")
    assert len(plain.images) == 71


def test_of_two_faces_in_a_data_sets_picture_the_largest_is_framed() -> None:
    canvas = backdrop()
    placed(canvas, "ada", 30, 90, 120)
    placed(canvas, "bruno", 230, 60, 220)
    cut, side = Cutter(28, CropConfig(), FRAME).cut(np.asarray(canvas), "two.png")
    assert side == pytest.approx(220, rel=0.12)
    apart = {}
    for name in ("ada", "bruno"):
        face = Image.open(EXAMPLES / f"{name}.png").convert("RGB").resize((28, 28))
        apart[name] = np.abs(cut.astype(float) - np.asarray(face))[3:-3, 3:-3].mean()
    assert apart["bruno"] < 0.5 * apart["ada"]


@pytest.mark.parametrize("eyes", [{"left_eye": (1.2, 0.3)}, {"right_eye": (0.29, 0.3)}])
def test_a_frame_checks_itself(eyes: dict[str, tuple[float, float]]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        Frame(**eyes)


def test_a_thin_picture_has_no_face(tmp_path: Path) -> None:
    thin = tmp_path / "thin.png"
    Image.new("RGB", (400, 3), "white").save(thin)
    with pytest.raises(ImageError, match="no face found"):
        neuralid.invert([thin])


def test_textures_without_a_face_show_none() -> None:
    rng = np.random.default_rng(1)
    for grain in (4, 12, 40, 120):
        noise = Image.fromarray(rng.integers(0, 256, (grain, grain, 3), dtype=np.uint8))
        assert find_faces(np.asarray(noise.resize((400, 400), Image.Resampling.BICUBIC))) == []


@pytest.mark.parametrize("turn", [-30, 30])
def test_a_leaning_face_is_found_at_its_size(turn: int) -> None:
    canvas = backdrop(700, 500)
    eyes = placed(canvas, "bruno", 200, 100, 160, turn)
    faces = find_faces(np.asarray(canvas))
    assert len(faces) == 1
    assert worst(faces[0].eyes, eyes) < 0.15
