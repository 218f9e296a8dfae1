"""The folded generator draws the same faces as the trained one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from neuralid.models.building import build_drawer, build_generator
from neuralid.models.config import ModelConfig
from neuralid.models.drawing import draw_faces
from neuralid.models.network import GeneratorNetwork


def trained(size: int, seed: int) -> GeneratorNetwork:
    """Random weights, and batch norms that have seen data, so that folding does something."""
    torch.manual_seed(seed)
    config = ModelConfig(size=size, latent_size=6)
    network = build_generator(config, torch.Generator().manual_seed(seed))
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            assert module.running_mean is not None and module.running_var is not None
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias, 0, 0.5)
    return network.eval()


@pytest.fixture
def generator() -> GeneratorNetwork:
    return trained(28, 0)


@pytest.mark.parametrize("size", [28, 56])
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_folding_changes_nothing_but_rounding(size: int, seed: int) -> None:
    generator = trained(size, seed)
    z = torch.randn(5, 6)
    with torch.no_grad():
        torch.testing.assert_close(build_drawer(generator)(z), generator(z), rtol=0, atol=1e-5)


def test_the_generator_is_left_alone(generator: GeneratorNetwork) -> None:
    generator.train()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    build_drawer(generator)
    assert all(value.equal(before[name]) for name, value in generator.state_dict().items())
    assert generator.training
    assert all(parameter.requires_grad for parameter in generator.parameters())


@pytest.mark.parametrize("place", [0, 3, 7, 8, 12])
def test_a_face_does_not_depend_on_the_others_drawn(
    generator: GeneratorNetwork, place: int
) -> None:
    folded = build_drawer(generator)
    z = torch.randn(13, 6)
    assert draw_faces(folded, z)[place].equal(draw_faces(folded, z[place : place + 1])[0])
