"""Latents: drawn from seeds, saved, loaded, checked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuralid.core.errors import ConfigError, LatentError
from neuralid.latents.latent import (
    check_belongs,
    draw_noise,
    draw_noise_batch,
    draw_noise_from,
    from_text,
    load_latent,
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


def test_a_latent_of_other_weights_is_refused() -> None:
    check_belongs("abc", "abc", "x")
    with pytest.raises(LatentError, match="belongs to other weights"):
        check_belongs("abc", "def", "x")
