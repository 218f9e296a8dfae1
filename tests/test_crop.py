"""The paper's preprocessing (section 3.1), held against its printed code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import draw_face
from PIL import Image

from neuralid.core.errors import ImageError
from neuralid.faces.config import CropConfig
from neuralid.faces.crop import crop_face, default_face_size
from neuralid.pictures.images import load_rgb, to_tensor, to_uint8


def celeba_preprocessing(image: Image.Image, width: int, height: int, **kwargs: Any) -> Image.Image:
    """As printed in the paper."""
    face_width = face_height = kwargs.get("face_size", 108)
    j = (image.size[0] - face_width) // 2 + kwargs.get("delta_j", 0)
    i = (image.size[1] - face_height) // 2 + kwargs.get("delta_i", 0)
    return (
        image.rotate(kwargs.get("rotation", 0))
        .crop((j, i, j + face_width, i + face_height))
        .resize((width, height), Image.Resampling.BILINEAR)
    )


FRAMES: list[dict[str, Any]] = [
    {},
    {"face_size": 54},
    {"face_size": 77, "delta_i": 5, "delta_j": -9},
    {"face_size": 60, "delta_i": -40, "rotation": 17.5},
    {"face_size": 301},
]


@pytest.mark.parametrize("frame", FRAMES)
def test_a_celeba_sized_picture_is_cropped_as_the_paper_prints_it(frame: dict[str, Any]) -> None:
    picture = draw_face(np.random.default_rng(3), 178, 218)
    found = crop_face(np.asarray(picture), 56, CropConfig(**frame))
    assert np.array_equal(found, np.asarray(celeba_preprocessing(picture, 56, 56, **frame)))


def test_real_celeba_pictures_are_cropped_as_the_paper_prints_it(real_celeba: list[Path]) -> None:
    for path in real_celeba:
        picture = Image.open(path).convert("RGB")
        half = {"face_size": 54 if picture.size == (89, 109) else 108}
        for frame in ({**half}, {**half, "delta_i": 3, "rotation": -8.0}):
            found = crop_face(load_rgb(path), 56, CropConfig(**frame))
            assert np.array_equal(found, np.asarray(celeba_preprocessing(picture, 56, 56, **frame)))


@pytest.mark.parametrize(
    ("size", "face_size"), [((178, 218), 108), ((89, 109), 54), ((200, 200), 200), ((90, 50), 50)]
)
def test_the_default_face_size(size: tuple[int, int], face_size: int) -> None:
    assert default_face_size(*size) == face_size


def test_pixels_get_the_papers_scale_and_come_back() -> None:
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    scaled = to_tensor(pixels)
    assert np.allclose(scaled.permute(0, 2, 3, 1).numpy(), pixels.astype(np.float32) / 255 - 0.5)
    assert np.array_equal(to_uint8(scaled), pixels)


@pytest.mark.parametrize(
    "crop",
    [
        CropConfig(20, delta_i=90),
        CropConfig(20, delta_j=-70),
        CropConfig(20, delta_i=70),  # it touches the picture's edge from without
        CropConfig(20, delta_j=-60),
    ],
)
def test_a_square_outside_the_picture_is_refused(crop: CropConfig) -> None:
    with pytest.raises(ImageError, match="outside the picture of 100x120"):
        crop_face(np.zeros((120, 100, 3), np.uint8), 28, crop)


@pytest.mark.parametrize("crop", [CropConfig(20, delta_i=69), CropConfig(20, delta_j=-59)])
def test_a_square_with_a_row_of_the_picture_is_cut_out(crop: CropConfig) -> None:
    face = crop_face(np.full((120, 100, 3), 200, np.uint8), 20, crop)
    assert (face == 200).all(2).sum() == 20 and (face == 0).all(2).sum() == 380
