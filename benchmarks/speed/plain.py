"""The plain form of any network of this program, with the same weights."""

from __future__ import annotations

from torch import Tensor, nn

from neuralid.models.network import (
    DiscriminatorNetwork,
    GeneratorNetwork,
    Network,
    PerceptualNetwork,
)

from .plain_dcgan import PlainDiscriminator, PlainGenerator
from .plain_style import PlainFeatures, PlainStyleDiscriminator, PlainStyleGenerator


def plain_generator(source: GeneratorNetwork, dropout: float = 0.0) -> nn.Module:
    """The plain generator with a copy of the source's weights, in training mode."""
    config, shapes = source.config, _shapes(source)
    if config.architecture == "dcgan":
        return _filled(PlainGenerator(config, dropout), source)
    widths = [shapes["constant"][1]]
    firsts = range(2, sum(name.startswith("synthesis") for name in shapes) // 4, 3)
    widths += [shapes[f"synthesis.{i}.weight"][0] for i in firsts]
    mapping = sum(name.startswith("mapping") for name in shapes) // 2
    return _filled(PlainStyleGenerator(config.latent_size, widths, config.slope, mapping), source)


def plain_discriminator(source: DiscriminatorNetwork, dropout: float = 0.0) -> nn.Module:
    """The plain discriminator with a copy of the source's weights, in training mode."""
    config = source.config
    if config.architecture == "dcgan":
        return _filled(PlainDiscriminator(config, dropout), source)
    return _filled(PlainStyleDiscriminator(_block_widths(source), config.slope), source)


def plain_features(source: PerceptualNetwork, slope: float) -> nn.Module:
    """The plain perceptual network of the style architecture."""
    return _filled(PlainFeatures(_block_widths(source), slope), source)


def _block_widths(source: Network) -> list[int]:
    shapes = _shapes(source)
    count = sum(name.startswith("skips") for name in shapes)
    seconds = [shapes[f"seconds.{i}.weight"][0] for i in range(count)]
    return [shapes["from_rgb.weight"][0], *seconds]


def _shapes(source: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in source.state_dict().items()}


def _filled(plain: nn.Module, source: nn.Module) -> nn.Module:
    plain.load_state_dict({name: _copy(value) for name, value in source.state_dict().items()})
    return plain.train()


def _copy(value: Tensor) -> Tensor:
    return value.detach().clone().contiguous()
