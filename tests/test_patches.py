"""What the networks that find faces are shown: patches cut out of a photo, turned and scaled."""

from __future__ import annotations

import math

import numpy as np
import pytest

from neuralid.faces import eyes
from neuralid.models.finders import EYE_PATCH

SLOPE = 4  # levels a pixel, of a photo that gets lighter to the right, or downwards


def mapped(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def test_a_quarter_turn_that_doubles_by_hand() -> None:
    here = np.array([[1.0, 1.0], [3.0, 1.0]])
    there = np.array([[10.0, 0.0], [10.0, 4.0]])
    matrix = eyes.similarity(here, there)
    np.testing.assert_allclose(matrix, [[0, -2, 12], [2, 0, -2]], atol=1e-12)
    np.testing.assert_allclose(mapped(matrix, here), there, atol=1e-12)


def test_each_eye_is_in_the_middle_of_its_patch_and_the_other_to_its_right() -> None:
    pair = np.array([[30.0, 40.0], [70.0, 52.0]])
    left, right = eyes._eye_patch_matrices(pair)
    middle, reach = EYE_PATCH / 2, EYE_PATCH / eyes.SPAN
    wanted = np.array([[middle, middle], [middle + reach, middle]])
    np.testing.assert_allclose(mapped(left, pair), wanted, atol=1e-3)
    np.testing.assert_allclose(mapped(right, pair[::-1]), wanted, atol=1e-3)
    mirrors = [float(np.linalg.det(matrix[:, :2])) for matrix in (left, right)]
    assert mirrors[0] > 0 > mirrors[1] and mirrors[0] == pytest.approx(-mirrors[1])
    below = pair.mean(0) + np.array([-6.0, 20.0])  # the mouth, on a face that leans
    for matrix in (left, right):
        assert mapped(matrix, below)[1] > middle


@pytest.mark.parametrize("scale", [2.0, 1.0, 0.7, 0.5, 0.3, 0.25])
@pytest.mark.parametrize("turn", [0.0, 0.4])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_patch_shows_what_lies_there_to_a_fraction_of_a_pixel(
    scale: float, turn: float, axis: int
) -> None:
    """On a slope the light of a pixel is its place; places count from the photo's corner."""
    line = (SLOPE * np.arange(64)).astype(np.uint8)
    photo = np.ascontiguousarray(np.tile(line, (64, 1)) if axis == 0 else np.tile(line, (64, 1)).T)
    linear = scale * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    side = 8
    shift = side / 2 - linear @ np.array([31.0, 33.0])
    matrix = np.column_stack([linear, shift])
    levels = [photo]
    for _ in range(2):
        above = levels[-1].astype(float)
        halves = above.reshape(len(above) // 2, 2, len(above) // 2, 2).mean((1, 3))
        levels.append(halves.round().astype(np.uint8))
    patch = eyes.cut_patch(levels, matrix, side)
    rows, columns = np.mgrid[:side, :side] + 0.5
    places = np.stack([columns.ravel(), rows.ravel()], 1)
    there = (places - shift) @ np.linalg.inv(linear).T
    inside = ((there > 4) & (there < 60)).all(1)
    wanted = SLOPE * (there[:, axis] - 0.5)
    assert inside.sum() > 20
    np.testing.assert_allclose(patch.ravel()[inside], wanted[inside], atol=1.0)
