"""Latents: drawn from seeds, saved, loaded, checked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from neuralid.core.errors import ConfigError, LatentError
from neuralid.core.tensors import save_tensors
from neuralid.latents import latent
from neuralid.latents.latent import (
    check_belongs,
    draw_noise,
    draw_noise_batch,
    draw_noise_from,
    from_text,
    load_latent,
    looks_like_tensors,
    parse_seeds,
    save_latent,
    to_text,
)
from neuralid.models.config import ModelConfig

SMALL = ModelConfig(latent_size=16)


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=6))
def test_a_seeds_latent_does_not_depend_on_the_others(seeds: list[int]) -> None:
    together = draw_noise(seeds, SMALL)
    for row, seed in zip(together, seeds, strict=True):
        assert row.equal(draw_noise([seed], SMALL)[0])


@pytest.mark.parametrize(("architecture", "spread"), [("dcgan", 0.5), ("style", 1.0)])
def test_noise_is_drawn_from_the_papers_normal_wherever_it_is_drawn(
    architecture: str, spread: float
) -> None:
    """Karras 2020 has N(0, 1), and the program's paper N(0, 0.5^2)."""
    model = ModelConfig(architecture=architecture)
    for z in (
        draw_noise(range(500), model),
        draw_noise_batch(500, model, 0, 0),
        draw_noise_from(torch.Generator().manual_seed(0), 500, model),
    ):
        assert z.shape == (500, 400) and z.dtype == torch.float32
        assert float(z.mean()) == pytest.approx(0, abs=0.01)
        assert float(z.std()) == pytest.approx(spread, rel=0.01)


def test_seed_zero_is_the_same_face_for_ever() -> None:
    """The numbers of a counter-based generator, written down: a change would change faces."""
    expected = torch.tensor([-0.1241, -0.0134, -0.9722])
    torch.testing.assert_close(draw_noise([0], ModelConfig())[0, :3], expected, rtol=0, atol=1e-4)


def test_a_training_steps_latents_depend_on_seed_and_step() -> None:
    assert draw_noise_batch(4, SMALL, 1, 2).equal(draw_noise_batch(4, SMALL, 1, 2))
    assert not draw_noise_batch(4, SMALL, 1, 2).equal(draw_noise_batch(4, SMALL, 1, 3))
    assert not draw_noise_batch(4, SMALL, 1, 2).equal(draw_noise_batch(4, SMALL, 2, 2))


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", [3]), ("0,1,4-6", [0, 1, 4, 5, 6]), (" 2 , 2", [2, 2])]
)
def test_seed_lists(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


def test_a_range_has_at_most_100_000_seeds() -> None:
    assert parse_seeds("1-100000") == [*range(1, 100_001)]
    assert parse_seeds("7-7") == [7]
    with pytest.raises(ConfigError, match="'0-100000' is not a range"):
        parse_seeds("0-100000")


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "3-1", "1,,2", "0-999999999"])
def test_seed_lists_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_seeds(text)


def test_a_latent_file_comes_back(tmp_path: Path) -> None:
    z = draw_noise([5], SMALL)[0]
    save_latent(tmp_path / "a.latent.safetensors", z, "abc", {"psnr": 27.5})
    loaded = load_latent(tmp_path / "a.latent.safetensors")
    assert loaded.latent.equal(z)
    assert loaded.weights_id == "abc"
    assert loaded.facts == {"psnr": 27.5}


@given(st.integers(0, 2**31))
def test_a_latent_survives_as_text(seed: int) -> None:
    z = draw_noise([seed], SMALL)[0]
    found, weights_id = from_text(to_text(z, "abc"))
    assert found.equal(z) and weights_id == "abc"


@pytest.mark.parametrize("text", ["abc:!!!", "abc:AAA", "abc:AAAA"])
def test_damaged_text_is_refused(text: str) -> None:
    with pytest.raises(LatentError, match="damaged"):
        from_text(text)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_text("junk")
    with pytest.raises(LatentError, match="not a latent file"):
        load_latent(path)
    save_latent(path, torch.tensor([float("nan")]), "abc", {})
    with pytest.raises(LatentError, match="damaged"):
        load_latent(path)


@pytest.mark.parametrize("number", [1.01e6, -1.01e6, float("inf")])
def test_numbers_no_face_has_are_refused(number: float, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_latent(path, torch.tensor([1.0, number]), "abc", {})
    with pytest.raises(LatentError, match="sound numbers"):
        load_latent(path)
    save_latent(path, torch.tensor([1e6, -1e6]), "abc", {})
    assert load_latent(path).latent.tolist() == [1e6, -1e6]


@pytest.mark.parametrize(
    "tensors",
    [
        {"latent": torch.zeros(3), "another": torch.zeros(3)},
        {"vector": torch.zeros(3)},
        {"latent": torch.tensor(1.0)},
        {},
    ],
)
def test_a_file_must_hold_one_vector(tensors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors(path, tensors, {"neuralid-latent": '{"weights_id": "abc"}'})
    with pytest.raises(LatentError, match="one vector, called 'latent'"):
        load_latent(path)


def test_integers_are_no_latent(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"latent": torch.zeros(3).int()}, {"neuralid-latent": '{"weights_id": ""}'})
    with pytest.raises(LatentError, match="sound numbers"):
        load_latent(path)


def test_the_largest_latent_has_four_million_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert latent.MOST_NUMBERS == 4 * 1024**2
    monkeypatch.setattr(latent, "MOST_NUMBERS", 12)
    path = tmp_path / "a.safetensors"
    save_latent(path, torch.zeros(3, 4), "abc", {})
    assert load_latent(path).latent.shape == (3, 4)
    save_latent(path, torch.zeros(13), "abc", {})
    with pytest.raises(LatentError, match="more than 12 numbers"):
        load_latent(path)


@pytest.mark.parametrize(
    ("content", "is_one"),
    [
        (b"\x02" + bytes(7) + b"{}", True),
        (b"\x02" + bytes(7) + b"{", False),  # cut off
        (b"\x02" + bytes(7) + b"[]", False),
        (b"\x00\x01" + bytes(6) + b"{}", False),  # 256 of JSON
        (b"", False),
    ],
)
def test_what_begins_as_tensors_do(content: bytes, is_one: bool) -> None:
    assert looks_like_tensors(content) is is_one


@pytest.mark.parametrize(("mine", "wanted"), [("abc", "def"), ("abc", "abd"), ("abd", "abc")])
def test_a_latent_of_other_weights_is_refused(mine: str, wanted: str) -> None:
    check_belongs(mine, mine, "x")
    with pytest.raises(LatentError, match=rf"x belongs to other weights \({mine}, not {wanted}\)"):
        check_belongs(mine, wanted, "x")


def test_a_seed_below_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 0, not -1"):
        draw_noise([-1], SMALL)
    assert draw_noise([0], SMALL).shape == (1, SMALL.latent_size)
