"""The style-based networks: layers against plain formulas, both forms, the shipped faces."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from neuralid import weights
from neuralid.latents.latent import draw_latents
from neuralid.models.building import build_discriminator, build_drawer, build_generator
from neuralid.models.config import ModelConfig
from neuralid.models.convolution import phase_conv
from neuralid.models.drawing import draw_faces
from neuralid.models.modulation import (
    EqualConv,
    EqualLinear,
    StyledConv,
    ToRgb,
    bilinear_phases,
    spread_in_groups,
)
from neuralid.models.style import Discriminator, Generator

FULL = ModelConfig(112, architecture="style")
SMALL = ModelConfig(28, 16, architecture="style")
LAYERS = 6  # of the small one
# docs/explanation/style.md has the same tables.
GENERATOR = {
    "mapping": 481_200,
    "constant": 15_680,
    "synthesis.0": 1_050_240,
    "synthesis.1": 129_283,
    "synthesis.2": 1_050_240,
    "synthesis.3": 1_050_240,
    "synthesis.4": 129_283,
    "synthesis.5": 681_472,
    "synthesis.6": 408_960,
    "synthesis.7": 77_571,
    "synthesis.8": 242_976,
    "synthesis.9": 121_536,
    "synthesis.10": 38_787,
    "synthesis.11": 80_016,
    "synthesis.12": 40_032,
    "synthesis.13": 19_395,
}
DISCRIMINATOR = {
    "from_rgb": 192,
    "firsts": 1_357_712,
    "seconds": 1_682_848,
    "skips": 186_880,
    "last": 924_800,
    "dense": 5_017_920,
    "out": 321,
}


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    torch.manual_seed(0)


def a_generator(config: ModelConfig = SMALL, seed: int = 0) -> Generator:
    network = build_generator(config, torch.Generator().manual_seed(seed))
    assert isinstance(network, Generator)
    return network


def a_discriminator(config: ModelConfig = SMALL) -> Discriminator:
    network = build_discriminator(config, torch.Generator().manual_seed(0))
    assert isinstance(network, Discriminator)
    return network


def reset(layer: EqualLinear | EqualConv | StyledConv | ToRgb, seed: int = 0) -> None:
    """First weights of a layer by itself, and biases that are not zero."""
    rng = torch.Generator().manual_seed(seed)
    for module in layer.modules():
        if isinstance(module, (EqualLinear, EqualConv, StyledConv, ToRgb)):
            module.init_weights(rng)
    for name, parameter in layer.named_parameters():
        if name == "bias":
            nn.init.normal_(parameter, generator=rng)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_layers_have_the_documented_counts() -> None:
    generator, discriminator = a_generator(FULL), a_discriminator(FULL)
    of = {name: count(generator.get_submodule(name)) for name in GENERATOR if name != "constant"}
    assert {**of, "constant": generator.constant.numel()} == GENERATOR
    assert {n: count(discriminator.get_submodule(n)) for n in DISCRIMINATOR} == DISCRIMINATOR
    assert count(generator) == sum(GENERATOR.values()) == 5_616_911
    assert count(discriminator) == sum(DISCRIMINATOR.values()) == 9_170_673


@pytest.mark.parametrize("size, layers", [(28, 6), (56, 8), (112, 10), (224, 12)])
def test_every_size_is_drawn_and_judged(size: int, layers: int) -> None:
    config = ModelConfig(size, 16, architecture="style")
    generator, discriminator = a_generator(config), a_discriminator(config)
    assert generator.latent_shape == (layers, 16)
    faces = generator(torch.randn(2, 16))
    assert faces.shape == (2, 3, size, size)
    assert discriminator(faces).shape == (2,)


def test_all_layers_have_the_unit_variance_equalised_weights_are_for() -> None:
    """At the start: features of about unit size in both networks, whatever their widths."""
    rng = torch.Generator().manual_seed(1)
    generator = a_generator(ModelConfig(28, 200, architecture="style"))
    w = generator.latents(torch.randn(64, 200, generator=rng))
    assert float(w.detach().square().mean()) == pytest.approx(1, abs=0.3)
    discriminator = a_discriminator(ModelConfig(28, 200, architecture="style"))
    for features in discriminator.features(torch.randn(8, 3, 28, 28, generator=rng) / 2):
        assert 0.4 < float(features.detach().square().mean().sqrt()) < 2


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(3, 9), st.integers(3, 9))
def test_doubling_in_phases_is_bilinear_doubling_inside(seed: int, h: int, w: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 3, h, w, generator=rng, dtype=torch.float64)
    kernel = torch.randn(4, 3, 3, 3, generator=rng, dtype=torch.float64)
    plain = F.conv2d(F.interpolate(x, scale_factor=2.0, mode="bilinear"), kernel, padding=1)
    phases = phase_conv(x, bilinear_phases(kernel), None)
    assert phases.shape == plain.shape
    torch.testing.assert_close(phases[:, :, 2:-2, 2:-2], plain[:, :, 2:-2, 2:-2])


def test_doubling_beyond_the_edge_sees_zeros() -> None:
    """On a small map with a ring of zeros around it, phases are exact up to the edge."""
    x, kernel = torch.randn(1, 3, 5, 5), torch.randn(4, 3, 3, 3)
    doubled = F.interpolate(F.pad(x, (2, 2, 2, 2)), scale_factor=2.0, mode="bilinear")
    plain = F.conv2d(doubled, kernel)[:, :, 3:-3, 3:-3]
    phases = phase_conv(x, bilinear_phases(kernel), None)
    torch.testing.assert_close(phases, plain, atol=1e-5, rtol=1e-5)


def test_a_styled_convolution_is_one_with_each_faces_own_kernels() -> None:
    """Equation 1 and 3 of Karras 2020, a face at a time."""
    layer = StyledConv(5, 6, 7, slope=0.2)
    reset(layer)
    x, w = torch.randn(3, 6, 8, 8), torch.randn(3, 5)
    drawn = layer(x, w)
    style = w @ layer.affine.weight.T / math.sqrt(5) + layer.affine.bias
    for i in range(3):
        kernel = layer.weight / math.sqrt(6 * 9) * style[i].view(1, 6, 1, 1)
        kernel = kernel / (kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        y = F.conv2d(x[i : i + 1], kernel, padding=1) * math.sqrt(2) + layer.bias.view(1, 7, 1, 1)
        torch.testing.assert_close(drawn[i : i + 1], F.leaky_relu(y, 0.2), atol=1e-5, rtol=1e-5)


def test_colours_are_modulated_and_not_demodulated() -> None:
    layer = ToRgb(5, 6)
    reset(layer)
    x, w = torch.randn(3, 6, 4, 4), torch.randn(3, 5)
    style = w @ layer.affine.weight.T / math.sqrt(5) + layer.affine.bias
    plain = torch.einsum("kc,nc,nchw->nkhw", layer.weight[:, :, 0, 0], style, x) / math.sqrt(6)
    torch.testing.assert_close(layer(x, w), plain + layer.bias.view(1, 3, 1, 1))


@pytest.mark.parametrize("taps", [1, 3])
def test_pooling_in_the_kernel_is_mean_pooling_after_it(taps: int) -> None:
    pooled, plain = EqualConv(4, 5, taps, pool=True), EqualConv(4, 5, taps)
    reset(pooled)
    reset(plain)
    x = torch.randn(2, 4, 14, 14)
    torch.testing.assert_close(pooled(x), F.avg_pool2d(plain(x), 2))


def test_the_spread_is_that_of_neighbours() -> None:
    x = torch.randn(8, 3, 2, 2)
    found = spread_in_groups(x, 4)
    assert found.shape == (8, 1, 2, 2)
    for group in (slice(0, 4), slice(4, 8)):
        expected = x[group].numpy().std(0).mean()
        np.testing.assert_allclose(found[group].numpy(), expected, rtol=1e-5)


def test_a_picture_is_judged_within_its_group_of_four() -> None:
    discriminator = a_discriminator()
    faces = torch.rand(8, 3, 28, 28) - 0.5
    logits = discriminator(faces)
    changed = torch.cat([faces[:4], torch.rand(4, 3, 28, 28) - 0.5])
    torch.testing.assert_close(discriminator(changed)[:4], logits[:4])
    changed = torch.cat([torch.rand(1, 3, 28, 28) - 0.5, faces[1:]])
    assert float((discriminator(changed)[1:4] - logits[1:4]).abs().min().detach()) > 0
    torch.testing.assert_close(discriminator(changed)[4:], logits[4:])


def test_a_seeds_latent_is_one_style_repeated() -> None:
    drawer = build_drawer(a_generator())
    latents = draw_latents(drawer, [3, 4])
    assert latents.shape == (2, LAYERS, 16)
    assert latents.equal(latents[:, :1].expand(-1, LAYERS, -1))
    assert not latents[0].equal(latents[1])


def test_every_layer_has_a_style_of_its_own() -> None:
    generator = a_generator()
    latents = draw_latents(build_drawer(generator), [0]).requires_grad_(True)
    generator.from_latents(latents)[0, 0, 14, 14].backward()
    assert latents.grad is not None
    assert bool((latents.grad[0].abs().amax(1) > 0).all())


def test_the_form_for_inference_draws_the_same_faces_and_leaves_the_network_alone() -> None:
    generator = a_generator()
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    drawer = build_drawer(generator)
    noise = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawer(drawer.latents(noise)), generator(noise), atol=1e-5, rtol=0)
    own = torch.randn(3, LAYERS, 16, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(drawer(own), generator.from_latents(own), atol=1e-5, rtol=0)
    with torch.no_grad():
        for tensor in drawer.state_dict().values():
            tensor.zero_()
    assert all(generator.state_dict()[name].equal(tensor) for name, tensor in before.items())


def test_a_face_has_the_same_bytes_in_any_company() -> None:
    drawer = build_drawer(a_generator())
    alone = draw_faces(drawer, draw_latents(drawer, [7]))
    among = draw_faces(drawer, draw_latents(drawer, [1, 7, *range(20, 31)]))
    assert among[1].equal(alone[0])
    assert float(alone.abs().max()) <= 0.5


def test_in_bfloat16_styles_and_norms_stay_exact() -> None:
    generator, noise = a_generator(), torch.randn(4, 16)
    exact = generator(noise)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        latents, faces = generator.latents(noise), generator(noise)
        logits = a_discriminator()(exact)
    assert latents.equal(generator.latents(noise)) and latents.dtype == torch.float32
    assert faces.dtype == logits.dtype == torch.float32
    assert 0 < float((faces - exact).std().detach()) < 0.02 * float(exact.std().detach())


def test_truncation_moves_latents_towards_the_mean_style() -> None:
    generator = a_generator()
    nn.init.normal_(generator.w_mean)
    drawer, mean = build_drawer(generator), generator.w_mean
    latents = draw_latents(drawer, [1, 2])
    assert drawer.truncate(latents, 1.0).equal(latents)
    torch.testing.assert_close(drawer.truncate(latents, 0.7), mean + 0.7 * (latents - mean))
    assert drawer.truncate(latents, 0.0).equal(mean.expand(2, LAYERS, 16))


def test_the_mean_style_follows_the_steps() -> None:
    generator, noise = a_generator(), torch.randn(50, 16)
    for _ in range(2000):
        generator.track(noise)
    mean = generator.latents(noise)[:, 0].mean(0).detach()
    torch.testing.assert_close(generator.w_mean, mean, atol=1e-3, rtol=0)


def test_weights_hold_it_in_half_precision(tmp_path: Path) -> None:
    generator = a_generator()
    nn.init.normal_(generator.w_mean)
    path = tmp_path / "style.safetensors"
    weights.save_weights(path, generator, weights.Description(SMALL))
    loaded = weights.load_weights(path).generator
    assert loaded.latent_shape == (LAYERS, 16)
    noise = torch.randn(2, 16)
    torch.testing.assert_close(loaded(noise), generator(noise), atol=2e-2, rtol=0)
    torch.testing.assert_close(loaded.get_buffer("w_mean"), generator.w_mean, atol=2e-3, rtol=0)


def test_the_shipped_weights_draw_the_faces_they_were_trained_to() -> None:
    """Two faces that another program drew with these weights, every fourth row and column of them.

    That is the program the architecture was first tried in. Its pixels span [-1, 1].
    """
    drawer = build_drawer(weights.load_weights("faces-112").generator)
    reference = np.load(Path(__file__).parent / "data" / "style-reference.npz")
    latents = drawer.latents(torch.from_numpy(reference["z"]))
    torch.testing.assert_close(latents[:, 0], torch.from_numpy(reference["w"]), atol=1e-3, rtol=0)
    for name, t in (("faces", 1.0), ("faces_at_0_7", 0.7)):
        faces = 2 * drawer(drawer.truncate(latents, t))[:, :, 2::4, 1::4]
        torch.testing.assert_close(faces, half(reference[name]), atol=1e-3, rtol=0)


def half(values: np.ndarray) -> Tensor:
    """Stored in half precision, which is off by up to 0.0005."""
    return torch.from_numpy(values.astype(np.float32))
