"""Averaging latents: the laws every blend keeps, and examples by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuralid.core.errors import ConfigError
from neuralid.latents.mixing import (
    BLENDS,
    along,
    loop,
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


@pytest.mark.parametrize(
    ("b", "wanted"), [([0.0, 0.0], 0.6), ([-1.0, 0.0], 0.2), ([1.0, 1e-7], 1.0), ([3.0, 0.0], 1.8)]
)
def test_where_there_is_no_arc_slerp_goes_straight(b: list[float], wanted: float) -> None:
    found = slerp(torch.tensor([1.0, 0.0]), torch.tensor(b), 0.4)
    torch.testing.assert_close(found, torch.tensor([wanted, 0.4 * b[1]]))


def test_an_arc_of_a_quarter_turn_by_hand() -> None:
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 4.0])
    for t in (0.0, 0.25, 0.9, 1.0):
        turn, length = t * math.pi / 2, 2 + 2 * t
        wanted = torch.tensor([length * math.cos(turn), length * math.sin(turn)])
        torch.testing.assert_close(slerp(a, b, t), wanted)


def test_three_at_right_angles_by_hand() -> None:
    """The second turns the first by its share of those two, the third both by its share of all."""
    z, shares = torch.eye(3), [0.5, 0.3, 0.2]
    turn, rise = 0.3 / 0.8 * math.pi / 2, 0.2 * math.pi / 2
    flat = [math.cos(turn) * math.cos(rise), math.sin(turn) * math.cos(rise)]
    wanted = torch.tensor([*flat, math.sin(rise)])
    torch.testing.assert_close(mix_latents(z, shares, "slerp"), wanted)
    mean = torch.tensor(shares)
    torch.testing.assert_close(mix_latents(z, shares), mean)
    torch.testing.assert_close(mix_latents(z, shares, "rescaled"), mean / math.sqrt(0.38))


def test_a_mean_is_made_as_long_as_the_inputs_are_by_their_shares() -> None:
    z = torch.tensor([[3.0, 0.0], [0.0, 5.0]])
    found = mix_latents(z, [0.75, 0.25], "rescaled")
    mean = torch.tensor([2.25, 1.25])
    torch.testing.assert_close(found, mean * (0.75 * 3 + 0.25 * 5) / math.hypot(2.25, 1.25))
    assert mix_latents(torch.tensor([[1.0], [-1.0]]), None, "rescaled").tolist() == [0.0]


@pytest.mark.parametrize("length", [1e-3, 1.0, 1e3])
def test_a_mean_of_about_zero_keeps_its_length(length: float) -> None:
    """What is left of opposite latents is rounding, which must not become a face."""
    tiny = 1e-7 * length
    nearly = torch.tensor([[length, tiny], [-length, tiny]])
    torch.testing.assert_close(mix_latents(nearly, None, "rescaled"), torch.tensor([0.0, tiny]))
    small = 1e-4 * length
    enough = torch.tensor([[length, small], [-length, small]])
    torch.testing.assert_close(
        mix_latents(enough, None, "rescaled"), torch.tensor([0.0, length]), atol=1e-4, rtol=1e-4
    )


def test_a_strip_of_three_people_by_hand() -> None:
    z = torch.eye(3)
    halves = torch.tensor([[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0.5, 0.5], [0, 0, 1]])
    torch.testing.assert_close(along(z, 5), halves)
    thirds = torch.tensor([[1, 0, 0], [1 / 3, 2 / 3, 0], [0, 2 / 3, 1 / 3], [0, 0, 1]])
    torch.testing.assert_close(along(z, 4), thirds)


@pytest.mark.parametrize("people", [2, 3])
def test_a_film_is_slow_near_each_person_and_comes_back(people: int) -> None:
    z, film = torch.eye(people), loop(torch.eye(people), 4 * people)
    quarter = (1 - math.cos(math.pi / 4)) / 2  # of the way, after a quarter of the time
    for person in range(people):
        coming = z[(person + 1) % people]
        for step, share in enumerate((0, quarter, 0.5, 1 - quarter)):
            wanted = (1 - share) * z[person] + share * coming
            torch.testing.assert_close(film[4 * person + step], wanted)


def test_one_weight_for_two_is_the_seconds_share() -> None:
    assert normalised([0.3], 2).tolist() == pytest.approx([0.7, 0.3])
    assert normalised([0.0], 2).tolist() == [1.0, 0.0]
    assert normalised([1.0], 2).tolist() == [0.0, 1.0]
    assert normalised([7.0], 1).tolist() == [1.0]


@pytest.mark.parametrize(
    ("weights", "count", "words"),
    [
        ([1.5], 2, "from 0 to 1"),
        ([-0.1], 2, "from 0 to 1"),
        ([0.5], 3, "1 weights for 3 inputs"),
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
