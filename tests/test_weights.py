"""Weights on disk: what is written comes back, and what is not ours is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import EXAMPLES
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from neuralid.core.errors import WeightsError
from neuralid.latents.latent import from_text
from neuralid.models.architecture import REGISTERED, architecture, register
from neuralid.models.building import build_generator
from neuralid.models.compact import from_bytes, to_bytes
from neuralid.models.config import ModelConfig
from neuralid.models.dcgan import Generator
from neuralid.models.network import GeneratorNetwork
from neuralid.models.stored import is_finite
from neuralid.pictures.images import LATENT_KEY
from neuralid.pictures.photo import Photo
from neuralid.weights import Description, load_weights, save_weights
from neuralid.weights_cache import SHIPPED, find_weights, publish

SMALL = ModelConfig(size=28, latent_size=4)


def fresh(seed: int = 0) -> GeneratorNetwork:
    return build_generator(SMALL, torch.Generator().manual_seed(seed))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    save_weights(path, fresh(), Description(SMALL, images_seen=5, dataset="d"))
    return path


def test_weights_come_back_in_half_precision_with_their_description(file: Path) -> None:
    before = fresh().state_dict()
    loaded = load_weights(file)
    described = replace(loaded.description, digest="")
    assert described == Description(SMALL, images_seen=5, dataset="d")
    assert not loaded.generator.training
    for name, value in loaded.generator.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=1e-3, atol=1e-6)
    assert load_file(file)["dense.weight"].dtype == torch.float16
    assert load_file(file)["dense_norm.running_var"].dtype == torch.float32


def test_the_id_is_that_of_the_contents(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(file.read_bytes())
    assert load_weights(copy).id == load_weights(file).id
    save_weights(copy, fresh(seed=1), Description(SMALL))
    assert load_weights(copy).id != load_weights(file).id


def test_published_weights_are_found_by_name() -> None:
    path = publish("mine", lambda path: save_weights(path, fresh(), Description(SMALL)))
    assert find_weights("mine") == path
    assert load_weights("mine").path == path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def scramble(path: Path) -> None:
    path.write_bytes(b"\xff" * 5000)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    save_file({"layer": torch.zeros(3)}, path)


def other_architecture(path: Path) -> None:
    save_weights(path, fresh(), Description(ModelConfig(size=56, latent_size=4)))


def unknown_architecture(path: Path) -> None:
    register(replace(architecture("dcgan"), name="x"))
    model = replace(SMALL, architecture="x")
    save_weights(path, fresh(), Description(model))
    del REGISTERED["x"]


def newer(path: Path) -> None:
    save_weights(path, fresh(), Description(SMALL, format=99, version="9.9"))


def not_finite(path: Path) -> None:
    generator = fresh()
    assert isinstance(generator, Generator)
    torch.nn.init.constant_(generator.to_rgb.weight, float("nan"))
    save_weights(path, generator, Description(SMALL))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (cut, "is damaged"),
        (scramble, "is damaged"),
        (empty, "is damaged"),
        (foreign, "another program"),
        (other_architecture, "does not match its architecture"),
        (unknown_architecture, "no architecture 'x'"),
        (newer, "newer neuralid"),
        (not_finite, "not finite"),
        (Path.unlink, "no weights"),
    ],
)
def test_what_is_not_ours_is_refused_with_a_hint(
    file: Path, harm: Callable[[Path], None], words: str
) -> None:
    harm(file)
    with pytest.raises(WeightsError, match=words) as caught:
        load_weights(file)
    assert caught.value.hint
    assert caught.value.exit_code == 3


def test_a_folder_and_an_unknown_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is a folder"):
        load_weights(tmp_path)
    with pytest.raises(WeightsError, match="no weights 'nobody'"):
        load_weights("nobody")


@pytest.mark.parametrize(
    ("name", "model", "most"),
    [
        (None, ModelConfig(112, architecture="style"), 20_000_000),
        ("faces-112", ModelConfig(112, architecture="style"), 20_000_000),
        ("faces-56", ModelConfig(), 26_000_000),  # the paper's networks
    ],
)
def test_the_weights_that_ship(name: str | None, model: ModelConfig, most: int) -> None:
    shipped = load_weights(name)
    assert shipped.description.model == model
    assert shipped.description.licence and shipped.description.frame
    assert shipped.encoder is not None and shipped.coordinates is not None
    assert list(shipped.directions) == ["age", "gender", "smiling"]
    assert shipped.path.stat().st_size <= most
    assert shipped.path.stem in SHIPPED


def test_a_file_in_the_way_comes_before_weights_that_ship(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("faces-56").write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="faces-56"):
        load_weights("faces-56")
    assert load_weights("faces-112").path.parent.name == "assets"


@pytest.mark.parametrize("name", ["ada", "bruno"])
def test_the_example_faces_carry_latents_of_the_weights_that_ship(name: str) -> None:
    picture = EXAMPLES / f"{name}.png"
    text = Photo.read(picture).text.get(LATENT_KEY)
    assert text is not None
    assert from_text(text)[1] == load_weights().id


def test_compact_weights_hold_large_matrices_in_8_bits(tmp_path: Path) -> None:
    model = ModelConfig(size=28, latent_size=64)
    generator = build_generator(model, torch.Generator().manual_seed(0))
    path, whole = tmp_path / "compact.safetensors", tmp_path / "whole.safetensors"
    save_weights(path, generator, Description(model), compact=True)
    save_weights(whole, generator, Description(model))
    assert path.stat().st_size < 0.65 * whole.stat().st_size
    stored = load_file(path)
    assert stored["dense.weight_int8"].dtype == torch.int8
    assert stored["conv.weight"].dtype == torch.float16
    found = load_weights(path).generator.state_dict()["dense.weight"]
    wanted = generator.state_dict()["dense.weight"]
    largest = wanted.abs().amax(1, keepdim=True)
    assert bool(((found - wanted).abs() <= largest * (0.5 / 127 + 1e-3)).all())


@given(st.integers(1, 6), st.integers(1, 40), st.floats(1e-3, 1e3), st.integers(0, 2**31))
def test_bytes_are_off_by_half_a_step_of_their_row(
    rows: int, width: int, size: float, seed: int
) -> None:
    rng = torch.Generator().manual_seed(seed)
    matrix = torch.randn(rows, width, generator=rng) * size * torch.rand(rows, 1, generator=rng)
    parts = to_bytes("m", matrix)
    back = from_bytes({**parts, "other": torch.ones(2)})
    assert back.keys() == {"m", "other"}
    step = matrix.abs().amax(1, keepdim=True) / 127
    assert bool(((back["m"] - matrix).abs() <= 0.51 * step + 1e-6 * size + 127 * 6e-8).all())


def test_8_bits_without_their_scale_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    model = ModelConfig(size=28, latent_size=64)
    save_weights(
        path,
        build_generator(model, torch.Generator().manual_seed(0)),
        Description(model),
        compact=True,
    )
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        described = json.loads(file.metadata()["neuralid"])
    del tensors["dense.weight_scale"]
    save_file(tensors, path, {"neuralid": json.dumps({**described, "digest": ""})})
    with pytest.raises(WeightsError, match=r"'dense.weight' has no scale"):
        load_weights(path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_found_wherever_it_is(
    dtype: torch.dtype, bad: float
) -> None:
    sound = torch.randn(3, 50).to(dtype)
    assert (
        is_finite(sound) and is_finite(torch.empty(0, dtype=dtype)) and is_finite(torch.arange(3))
    )
    for place in (0, 77, 149):
        damaged = sound.clone()
        damaged.view(-1)[place] = bad
        assert not is_finite(damaged)


def test_what_was_read_does_not_change_with_the_file(tmp_path: Path) -> None:
    path, model = tmp_path / "w.safetensors", ModelConfig(size=28, latent_size=8)
    for compact in (True, False):
        made = build_generator(model, torch.Generator().manual_seed(0))
        save_weights(path, made, Description(model), torch.eye(8), compact=compact)
        read = load_weights(path)
        before = {name: tensor.clone() for name, tensor in read.generator.state_dict().items()}
        with path.open("r+b") as file:  # in place
            file.write(bytes(path.stat().st_size))
        assert all(t.equal(before[n]) for n, t in read.generator.state_dict().items())
        assert read.metric is not None and read.metric.equal(torch.eye(8))
