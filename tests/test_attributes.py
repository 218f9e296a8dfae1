"""Attributes of the training faces, and the directions found from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import QUICK, fails, run

import neuralid
from neuralid import weights
from neuralid.core.errors import DataError, WeightsError
from neuralid.latents import latent
from neuralid.latents.attributes import Attributes, Direction, read_attributes
from neuralid.models.building import build_drawer
from neuralid.models.drawing import draw_faces
from neuralid.pictures import images
from neuralid.training.finish.directions import find_directions


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer faces inverted and measured, a reader that learns less: a sixth of the time."""
    monkeypatch.setattr("neuralid.training.finish.directions.INVERTED", 128)
    monkeypatch.setattr("neuralid.training.finish.directions.MEASURED", 32)
    monkeypatch.setattr("neuralid.training.finish.reader.EPOCHS", 3)


def celeba_list(path: Path, files: list[str], values: np.ndarray) -> Path:
    rows = [f"{f}  {' '.join(str(v) for v in row)}" for f, row in zip(files, values, strict=True)]
    path.write_text("\n".join([str(len(files)), "Smiling Male Same", *rows]) + "\n")
    return path


def test_utkfaces_names_hold_age_and_gender() -> None:
    files = [f"deep/{20 + i}_{i % 2}_3_2017{i}.jpg" for i in range(40)] + ["me.jpg"]
    found = read_attributes("utkface", files)
    assert found.names == ["age", "gender"]
    assert found.values[3].tolist() == [23, 1]
    assert np.isnan(found.values[-1]).all()


def test_a_list_like_celebas(tmp_path: Path) -> None:
    files = [f"{i:06d}.jpg" for i in range(50)]
    values = np.random.default_rng(0).choice([-1, 1], (50, 3))
    values[:, 2] = 1
    source = celeba_list(tmp_path / "list.txt", files, values)
    found = read_attributes(str(source), [f"a/{file}" for file in files])
    assert found.names == ["smiling", "male"]  # one that is the same for all says nothing
    assert np.array_equal(found.values, values[:, :2])


def test_an_attribute_known_for_fewer_than_32_faces_is_not_used() -> None:
    files = [f"{20 + i}_{i % 2}_3_{i}.jpg" for i in range(32)] + ["me.jpg"] * 40
    assert read_attributes("utkface", files).names == ["age", "gender"]
    with pytest.raises(DataError, match="says nothing usable"):
        read_attributes("utkface", files[1:])


def test_what_says_nothing_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.txt"
    broken.write_text("2\nSmiling Male\na.jpg 1\n")
    with pytest.raises(DataError, match="1 values for 2 names"):
        read_attributes(str(broken), ["a.jpg"])
    with pytest.raises(DataError, match="is not a list of attributes"):
        read_attributes(str(tmp_path / "missing.txt"), ["a.jpg"])
    with pytest.raises(DataError, match="says nothing usable about these pictures"):
        read_attributes("utkface", ["a.jpg"] * 40)


def test_a_direction_does_what_it_says(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brightness and redness of drawn faces are attributes whose truth is known."""
    monkeypatch.setattr("neuralid.training.finish.reader.EPOCHS", 16)  # few faces: more rounds
    loaded = weights.load_weights(tiny)
    generator = build_drawer(loaded.generator)
    drawn = draw_faces(generator, latent.draw_latents(generator, range(2000, 2280)))
    pixels = images.to_uint8(drawn)
    values = np.stack([pixels.mean((1, 2, 3)), pixels[..., 0].mean((1, 2))], 1)
    values[:, 1] -= values[:, 0]
    known = Attributes(["light", "red"], values.astype(np.float32))
    assert loaded.coordinates is not None
    found = find_directions(generator, loaded.coordinates, loaded.encoder, pixels, known)
    assert found is not None
    light = found["light"]
    z = latent.draw_latents(generator, range(50))
    before, after = (images.to_uint8(draw_faces(generator, z + s * light.vector)) for s in (-1, 1))
    gain = (after.astype(float).mean() - before.mean()) / 2
    assert 0.4 * light.unit < gain < 2 * light.unit
    # Fifty steps of training end elsewhere on each processor, and so does the reader's scale.
    assert light.accuracy > 0.6 and light.effects["light"] == pytest.approx(1, abs=0.35)
    cosine = torch.nn.functional.cosine_similarity(light.vector, found["red"].vector, dim=0)
    assert abs(float(cosine)) < 1e-4
    asked = iter([False, True])
    parts = (generator, loaded.coordinates, loaded.encoder, pixels, known)
    assert find_directions(*parts, should_stop=lambda: next(asked)) is None


def test_train_keeps_directions_with_the_weights(
    face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuralid.training.finish.directions.INVERTED", 40)
    files = sorted(path.name for path in face_folder.rglob("*.png"))
    values = np.random.default_rng(0).choice([-1, 1], (len(files), 3))
    source = celeba_list(tmp_path / "list.txt", files, values)
    result = neuralid.train(
        face_folder, out=tmp_path, kimg=0.02, name="known", attributes=source, **QUICK
    )
    assert result.weights is not None
    loaded = weights.load_weights(result.weights)
    assert list(loaded.directions) == ["smiling", "male", "same"]
    assert loaded.directions["male"].vector.shape == (6, 16)  # of each layer
    missing = run("train", "--data", face_folder, "--attributes", tmp_path / "no.txt", "--size", 28)
    fails(missing, 1, "is not a list of attributes")


def test_weights_without_a_directions_numbers_are_damaged(tiny: Path, tmp_path: Path) -> None:
    loaded = weights.load_weights(tiny)
    bad = loaded.directions | {
        "age": Direction(torch.full((16,), float("nan")), 1.0, 1.0, {"age": 1.0})
    }
    path = tmp_path / "bad.safetensors"
    weights.save_weights(path, loaded.generator, loaded.description, directions=bad)
    with pytest.raises(WeightsError, match=r"'direction\.age' is not finite"):
        weights.load_weights(path)
