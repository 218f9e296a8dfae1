"""The networks are the paper's, layer for layer (section 3.2)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neuralid.models.building import build_discriminator, build_generator
from neuralid.models.config import ModelConfig
from neuralid.models.dcgan import (
    STRIP,
    Discriminator,
    FoldedGenerator,
    Generator,
)
from neuralid.models.dcgan_layers import SameConv, UpConv
from neuralid.models.dropout import Dropout

PAPER = ModelConfig()
GENERATOR = {
    "dense": 20_120_576,
    "dense_norm": 200_704,
    "ups.0": 819_328,
    "norms.0": 512,
    "ups.1": 204_864,
    "norms.1": 256,
    "conv": 51_232,
    "conv_norm": 128,
    "to_rgb": 2_403,
}
DISCRIMINATOR = {
    "convs.0": 4_864,
    "convs.1": 204_928,
    "convs.2": 819_456,
    "wide": 6_554_624,
    "dense": 50_177,
}


def a_generator(config: ModelConfig) -> Generator:
    network = build_generator(config, torch.Generator().manual_seed(0))
    assert isinstance(network, Generator)
    return network


def a_discriminator(config: ModelConfig) -> Discriminator:
    network = build_discriminator(config, torch.Generator().manual_seed(0))
    assert isinstance(network, Discriminator)
    return network


def keras_count(module: nn.Module) -> int:
    """Parameters and batch-norm statistics, as Keras counts them."""
    statistics = [b for name, b in module.named_buffers() if not name.endswith("tracked")]
    return sum(t.numel() for t in [*module.parameters(), *statistics])


def counts(network: nn.Module, names: dict[str, int]) -> dict[str, int]:
    return {name: keras_count(network.get_submodule(name)) for name in names}


def test_the_generators_layers_have_the_papers_counts() -> None:
    generator = a_generator(PAPER)
    assert counts(generator, GENERATOR) == GENERATOR
    assert keras_count(generator) == 21_400_003
    trainable = sum(p.numel() for p in generator.parameters())
    assert keras_count(generator) - trainable == 100_800


def test_the_discriminators_layers_have_the_papers_counts() -> None:
    discriminator = a_discriminator(PAPER)
    assert counts(discriminator, DISCRIMINATOR) == DISCRIMINATOR
    assert keras_count(discriminator) == 7_634_049


@pytest.mark.parametrize("size", [28, 56, 112])
def test_faces_have_the_size_and_lie_strictly_inside_the_range(size: int) -> None:
    generator = a_generator(ModelConfig(size=size, latent_size=5)).eval()
    with torch.no_grad():
        generator.to_rgb.weight.mul_(1000)
        faces = generator(torch.randn(3, 5))
    assert faces.shape == (3, 3, size, size)
    assert faces.min() >= -0.5
    assert faces.max() <= 0.5
    assert faces.std() > 0.1


@pytest.mark.parametrize("size", [28, 56, 112])
def test_a_discriminator_ends_on_seven_pixels_whatever_the_size(size: int) -> None:
    discriminator = a_discriminator(ModelConfig(size=size)).eval()
    seen: list[torch.Size] = []
    discriminator.wide.register_forward_hook(lambda m, i, out: seen.append(out.shape))
    with torch.no_grad():
        assert discriminator(torch.zeros(2, 3, size, size)).shape == (2,)
    assert seen == [(2, 1024, 7, 7)]


def keras_generator(generator: Generator, z: Tensor) -> Tensor:
    """The first table of section 3.2 as it stands, one torch call a row."""
    slope = generator.config.slope
    x = F.leaky_relu(generator.dense_norm(generator.dense(z)), slope)
    x = x.view(-1, 14, 14, 256).permute(0, 3, 1, 2)
    for up, norm in zip(generator.ups, generator.norms, strict=True):
        assert isinstance(up, UpConv)
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        x = F.leaky_relu(norm(F.conv_transpose2d(x, up.weight, up.bias, padding=2)), slope)
    x = F.leaky_relu(generator.conv_norm(generator.conv(x)), slope)
    last = generator.to_rgb
    return F.conv_transpose2d(x, last.weight, last.bias, padding=2).sigmoid() - 0.5


@pytest.mark.parametrize("faces", [2, 20])  # phases, and spectra
def test_the_generator_computes_the_papers_table(faces: int) -> None:
    torch.manual_seed(0)
    generator = awake(a_generator(ModelConfig(latent_size=6))).eval()
    z = torch.randn(faces, 6)
    with torch.no_grad():
        found, wanted = generator(z), keras_generator(generator, z)
    assert wanted.std() > 0.02
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


def awake(generator: Generator) -> Generator:
    """Fresh weights (std 0.02) draw grey faces; larger ones show what z does."""
    with torch.no_grad():
        for parameter in generator.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(2.5)
    return generator


def test_small_and_large_batches_give_the_discriminators_same_logits() -> None:
    torch.manual_seed(0)
    discriminator = a_discriminator(PAPER).eval()
    faces = torch.rand(20, 3, 56, 56) - 0.5
    with torch.no_grad():
        together = discriminator(faces)
        apart = torch.cat([discriminator(face[None]) for face in faces])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    dropout = Dropout(0.25).train()
    out = dropout(torch.ones(4, 16, 32, 32))
    assert (out == 0).float().mean() == pytest.approx(0.25, abs=0.01)
    assert out.mean() == pytest.approx(1, abs=0.02)
    assert dropout.eval()(torch.ones(1, 3, 2, 2)).equal(torch.ones(1, 3, 2, 2))


def test_the_dense_layer_is_folded_exactly_and_rounded_once() -> None:
    generator = a_generator(ModelConfig(size=28, latent_size=3)).requires_grad_(False).eval()
    norm, rng = generator.dense_norm, torch.Generator().manual_seed(1)
    assert isinstance(norm, nn.BatchNorm1d) and norm.running_var is not None
    for tensor in (norm.weight, norm.running_mean, norm.running_var, generator.dense.bias):
        assert tensor is not None
        tensor.uniform_(0.1, 2, generator=rng)
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    wanted = (generator.dense.weight.double() * scale[:, None]).float()
    assert len(wanted) > 2 * STRIP and FoldedGenerator(generator).dense_weight.equal(wanted)


def test_the_transposed_convolution_is_the_tables_on_a_cpu_too() -> None:
    layer, x = SameConv(3, 2), torch.randn(2, 3, 6, 8, requires_grad=True)
    found, wanted = layer(x), nn.ConvTranspose2d.forward(layer, x)
    torch.testing.assert_close(found, wanted)
    inputs = [x, *layer.parameters()]
    of_found, of_wanted = (torch.autograd.grad(y.square().sum(), inputs) for y in (found, wanted))
    for a, b in zip(of_found, of_wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
