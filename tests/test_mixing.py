"""Averaging latents: the laws every blend keeps."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralid.core.errors import ConfigError
from neuralid.latents.mixing import (
    BLENDS,
    mix_latents,
    normalised,
    slerp,
)

seeds = st.integers(0, 2**31)


def latents(seed: int, n: int) -> torch.Tensor:
    return torch.randn(n, 16, generator=torch.Generator().manual_seed(seed)) / 2


@given(seeds, st.integers(2, 5))
def test_the_mean_is_the_papers_arithmetic_mean(seed: int, n: int) -> None:
    z = latents(seed, n)
    torch.testing.assert_close(mix_latents(z), z.mean(0))


@given(seeds, st.sampled_from(BLENDS))
def test_all_the_weight_on_one_gives_that_one(seed: int, blend: str) -> None:
    z = latents(seed, 3)
    for i in range(3):
        weights = [0.0, 0.0, 0.0]
        weights[i] = 2.0
        torch.testing.assert_close(mix_latents(z, weights, blend), z[i])


@given(seeds, st.sampled_from(BLENDS), st.floats(0.01, 100))
def test_only_the_ratio_of_weights_matters(seed: int, blend: str, factor: float) -> None:
    z = latents(seed, 3)
    weights = [0.5, 0.2, 0.3]
    scaled = [w * factor for w in weights]
    torch.testing.assert_close(mix_latents(z, weights, blend), mix_latents(z, scaled, blend))


@given(seeds, st.floats(0, 1))
def test_the_arc_keeps_the_length(seed: int, t: float) -> None:
    a, b = torch.nn.functional.normalize(latents(seed, 2), dim=-1)
    torch.testing.assert_close(slerp(a, b, t).norm(), torch.tensor(1.0), rtol=1e-4, atol=1e-4)


@settings(max_examples=20)
@given(seeds, st.sampled_from(BLENDS))
def test_a_face_mixed_with_itself_is_itself(seed: int, blend: str) -> None:
    z = latents(seed, 1).expand(3, -1)
    torch.testing.assert_close(mix_latents(z, None, blend), z[0])


@pytest.mark.parametrize("b", [[0.0, 0.0], [-1.0, 0.0], [1.0, 1e-7]])
def test_slerp_is_finite_where_there_is_no_arc(b: list[float]) -> None:
    assert slerp(torch.tensor([1.0, 0.0]), torch.tensor(b), 0.4).isfinite().all()


def test_one_weight_for_two_is_the_seconds_share() -> None:
    assert normalised([0.3], 2).tolist() == pytest.approx([0.7, 0.3])


@pytest.mark.parametrize(
    ("weights", "count", "words"),
    [
        ([1.5], 2, "from 0 to 1"),
        ([1.0, 2.0], 3, "2 weights for 3 inputs"),
        ([0.0, 0.0], 2, "not all 0"),
        ([-1.0, 2.0], 2, "at least 0"),
        ([float("nan"), 1.0], 2, "at least 0"),
        ([float("inf"), 1.0], 2, "at least 0"),
    ],
)
def test_weights_that_make_no_sense_are_refused(
    weights: list[float], count: int, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        normalised(weights, count)


def test_an_unknown_blend_is_refused() -> None:
    with pytest.raises(ConfigError, match="no blend 'cubic'"):
        mix_latents(torch.zeros(2, 2), None, "cubic")
