"""Someone in profile, whose face is not looked for, is not passed over in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import run
from PIL import Image
from test_align import EXAMPLES, backdrop, placed

from neuralid.faces.choose import choose_face, choose_in_photo
from neuralid.faces.detect import find_faces
from neuralid.faces.eyes import Face
from neuralid.faces.profiles import HEAD, find_profiles, is_beside_profile

PROFILE = (180, 80, 268, 300)  # where the half of a face is that OpenCV takes for a profile


def in_profile(canvas: Image.Image) -> None:
    """Lay what is left of a face seen from the side on a canvas: one eye, half a nose and mouth."""
    face = Image.open(EXAMPLES / "bruno.png").convert("RGB").resize((220, 220))
    width = PROFILE[2] - PROFILE[0]
    soft = Image.fromarray((np.minimum(np.arange(width) / 6, 1) * 255).astype(np.uint8)[None])
    canvas.paste(face.crop((220 - width, 0, 220, 220)), PROFILE[:2], soft.resize((width, 220)))


def scene(bystander: int | None, profile: bool = True) -> np.ndarray:
    """Someone in profile in the middle, and a whole face beside them, so many pixels wide."""
    canvas = backdrop()
    if profile:
        in_profile(canvas)
    if bystander is not None:
        placed(canvas, "ada", 285, 200 - bystander // 2, bystander)
    return np.asarray(canvas)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_head_in_profile_is_seen_to_either_side(mirrored: bool) -> None:
    photo = scene(None)
    assert find_faces(photo) == []
    photo = np.ascontiguousarray(photo[:, ::-1]) if mirrored else photo
    ((left, top, side),) = find_profiles(photo, 100)
    middle = 500 - left - side / 2 if mirrored else left + side / 2
    assert PROFILE[0] < middle < PROFILE[2]
    assert PROFILE[1] < top + side / 2 < PROFILE[3]


def test_places_are_those_of_the_photo_and_not_of_the_smaller_one_searched() -> None:
    photo = scene(None)
    large = photo.repeat(3, 0).repeat(3, 1)
    np.testing.assert_allclose(find_profiles(large, 300), 3 * find_profiles(photo, 100), atol=24)
    assert len(find_profiles(large, 300)) == 1


def test_nothing_is_looked_for_that_cannot_be_in_the_photo() -> None:
    assert len(find_profiles(scene(None), 400)) == 0
    assert len(find_profiles(np.zeros((16, 16, 3), np.uint8), 4)) == 0


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_bystander_is_not_taken_silently_for_someone_in_profile(mirrored: bool) -> None:
    photo = scene(105)
    photo = np.ascontiguousarray(photo[:, ::-1]) if mirrored else photo
    faces = find_faces(photo)
    assert len(faces) == 1 and choose_face(faces, 500, 380).doubts == []  # nothing else tells
    (doubt,) = choose_in_photo(faces, photo).doubts
    assert "profile" in doubt


def test_only_another_and_large_enough_head_counts() -> None:
    photo = scene(None)
    ((left, top, side),) = find_profiles(photo, 100)
    apart = side / HEAD  # between the eyes of a face as large as that head

    def beside(x: float, y: float, apart: float) -> bool:
        """With a face whose eyes have their middle there."""
        eyes = np.array([[x - apart / 2, y], [x + apart / 2, y]])
        return is_beside_profile(photo, Face(eyes, 15.0))

    x, y = left + side / 2, top + side / 2 - 0.26 * apart
    assert not beside(x, y, apart)  # the cascade sees faces from the front too
    assert not beside(x + 0.5 * side, y, apart)
    assert beside(x + 0.7 * side, y, apart) and beside(x, y - 0.7 * side, apart)
    assert beside(x + side, y, 1.1 * apart) and not beside(x + side, y, 1.3 * apart)


def test_nothing_is_said_where_nobody_is_in_profile() -> None:
    photo = scene(105, profile=False)
    assert choose_in_photo(find_faces(photo), photo).doubts == []


def test_the_line_says_what_to_do_where_no_other_face_can_be_taken(tmp_path: Path) -> None:
    Image.fromarray(scene(105)).save(tmp_path / "two.png")
    result = run("invert", tmp_path / "two.png", "--fidelity", "fast", "--show-crop", "c.png")
    assert result.exit_code == 0, result.stderr
    (line,) = (line for line in result.stderr.splitlines() if "taking" in line)
    assert "the only face found" in line and "someone in profile may be meant" in line
    assert "--face-size" in line and "--face " not in line and "--show-crop" in line
