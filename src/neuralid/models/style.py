"""A style-based generator [1]_, made small: a quarter of the paper's weights for 112 pixels.

Letters in shapes: N batch, Z latent size, L layers that take a style of their own, S side of a
face.

A mapping network makes a style vector w of the noise; each layer of the synthesis network takes
one. A seed's latent is one w, repeated; inversion and mixing may give each layer its own.

References
----------
.. [1] T. Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020.
       arXiv:1912.04958
.. [2] T. Karras et al., "Progressive Growing of GANs", ICLR 2018. arXiv:1710.10196 (section 3:
       the deviation of a minibatch)
.. [3] T. Karras et al., "A Style-Based Generator Architecture for Generative Adversarial
       Networks", CVPR 2019. arXiv:1812.04948 (section 3.1: which layers hold what)
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.device import device_of, without_autocast
from .architecture import Architecture, register
from .config import ModelConfig
from .drawing import Drawer
from .inverting import Effort, Inverting
from .modulation import (
    EPSILON,
    ROOT2,
    EqualConv,
    EqualLinear,
    StyledConv,
    ToRgb,
    spread_in_groups,
)
from .network import DiscriminatorNetwork, GeneratorNetwork
from .ready import make_ready
from .residual import ResidualFeatures, ResidualNetwork
from .share import WHOLE, Share

SIZES = (28, 56, 112, 224)
STEM = 7  # side of the learned map that drawing starts from
MAPPING_LAYERS = 3
MAPPING_RATE = 0.01  # of the other layers' learning rate
MEAN_STEP = 0.005  # how far the mean of w moves towards that of a batch
BLOCKS = 3  # of the discriminator that make the perceptual distance
# The convolutions up to 28 pixels draw pose, shape and features [3]_. With fewer layers a mix takes
# on more of one person's colours, but of that person's features too; and a photo's layers, found
# together and parted earlier, leave blotches on another face (docs/explanation/mixing.md).
SHAPE_LAYERS = 5
GROUP = 4  # pictures whose deviation the discriminator sees


class Generator(GeneratorNetwork):
    """Turn noise into styles, and styles into faces.

    Its faces are linear outputs, and may go a little beyond the range of pixels.

    Shape:
        - noise: ``(N, Z)``, drawn from N(0, 1); latents: ``(N, L, Z)``
        - returns: ``(N, 3, S, S)``, RGB, black -0.5 and white 0.5

    >>> from neuralid.models.building import build_generator
    >>> config = ModelConfig(size=28, latent_size=16, architecture="style")
    >>> generator = build_generator(config, torch.Generator().manual_seed(0))
    >>> generator(torch.zeros(2, 16)).shape, generator.latent_shape
    (torch.Size([2, 3, 28, 28]), (6, 16))
    """

    w_mean: Tensor

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        widths, z, slope = _widths(config), config.latent_size, config.slope
        super().__init__(config, latent_shape=(2 * len(widths), z))
        self.mapping = nn.ModuleList(
            EqualLinear(z, z, rate=MAPPING_RATE) for _ in range(MAPPING_LAYERS)
        )
        self.register_buffer("w_mean", torch.empty(z))
        self.constant = nn.Parameter(torch.empty(1, widths[0], STEM, STEM))
        self.synthesis = nn.ModuleList(_synthesis_layers(z, widths, slope))

    def init_weights(self, rng: torch.Generator) -> None:
        _init_weights(self, rng)
        nn.init.normal_(self.constant, generator=rng)
        nn.init.zeros_(self.w_mean)

    def forward(self, noise: Tensor, share: Share = WHOLE) -> Tensor:
        return self.from_latents(self.latents(noise))

    def latents(self, noise: Tensor) -> Tensor:
        w = _map(self.mapping, noise, self.config.slope)
        return w[:, None].expand(-1, *self.latent_shape)

    def from_latents(self, latents: Tensor) -> Tensor:
        return _synthesise(self.constant, self.synthesis, latents)

    @torch.no_grad()
    def track(self, noise: Tensor) -> None:
        """Move the mean of w towards that of a step's whole batch."""
        w = _map(self.mapping, noise, self.config.slope)
        self.w_mean.lerp_(w.mean(0), MEAN_STEP)


class Discriminator(ResidualNetwork, DiscriminatorNetwork):
    """Tell real faces from drawn ones: residual blocks, then a look at how far neighbours differ.

    Shape:
        - faces: ``(N, 3, S, S)``, RGB in ``[-0.5, 0.5]``
        - returns: ``(N,)``, logits. N is best a multiple of 4 in each part of a batch: the last
          map has one more channel, the deviation within groups of 4 neighbours [2]_.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__(config)
        widths = _widths(config)[::-1]
        self.add_blocks(widths, config.slope)
        self.last = EqualConv(widths[-1] + 1, widths[-1], 3)
        self.dense = EqualLinear(widths[-1] * STEM**2, widths[-1])
        self.out = EqualLinear(widths[-1], 1)

    def init_weights(self, rng: torch.Generator) -> None:
        _init_weights(self, rng)

    def forward(self, faces: Tensor, share: Share = WHOLE) -> Tensor:
        slope = self.config.slope
        x = self.features(faces)[-1]
        x = torch.cat([x, spread_in_groups(x, group_of(len(x) // share.parts))], 1)
        x = F.leaky_relu(self.last(x), slope).float()
        with without_autocast(x):
            x = F.leaky_relu(self.dense(x.flatten(1)), slope) * ROOT2
            return self.out(x).squeeze(1)


class StyleDrawer(Drawer):
    """A generator for inference: scaled weights, kernels, phases and squared kernels ready.

    Equal to the trained generator, to rounding. The original is not changed.

    Shape:
        - latents: ``(N, L, Z)`` -> ``(N, 3, S, S)``
    """

    w_mean: Tensor
    constant: Tensor

    def __init__(self, generator: Generator) -> None:
        super().__init__(generator)
        self.register_buffer("w_mean", generator.w_mean.detach().clone())
        self.register_buffer("constant", generator.constant.detach().clone())
        self.mapping = make_ready(generator.mapping)
        self.synthesis = make_ready(generator.synthesis)
        self.to(device_of(generator)).eval()

    def forward(self, latents: Tensor) -> Tensor:
        return _synthesise(self.constant, self.synthesis, latents)

    def latents(self, noise: Tensor) -> Tensor:
        w = _map(self.mapping, noise, self.config.slope)
        return w[:, None].expand(-1, *self.latent_shape)

    def truncate(self, latents: Tensor, t: float) -> Tensor:
        """Latents moved towards the mean of w: 1 leaves them, 0 gives the mean face."""
        return torch.lerp(self.w_mean.to(latents), latents, t)


def group_of(n: int) -> int:
    """How many neighbours of ``n`` pictures are compared: 4, or the most that divide ``n``.

    >>> [group_of(n) for n in (1, 2, 3, 4, 6, 8)]
    [1, 2, 3, 4, 3, 4]
    """
    return next(group for group in range(min(GROUP, n), 0, -1) if n % group == 0)


def _map(layers: nn.Module, noise: Tensor, slope: float) -> Tensor:
    """The mapping network: ``(N, Z) -> (N, Z)``, float32 whatever autocast says."""
    assert isinstance(layers, nn.ModuleList)
    with without_autocast(noise):
        x = noise.float() * torch.rsqrt(noise.float().square().mean(1, keepdim=True) + EPSILON)
        for layer in layers:
            x = F.leaky_relu(layer(x), slope) * ROOT2
        return x


def _synthesis_layers(z: int, widths: list[int], slope: float) -> Iterable[nn.Module]:
    """A convolution and its colours at 7 pixels; then two and theirs each time it doubles."""
    yield StyledConv(z, widths[0], widths[0], slope)
    yield ToRgb(z, widths[0])
    for c, k in pairwise(widths):
        yield StyledConv(z, c, k, slope, up=True)
        yield StyledConv(z, k, k, slope)
        yield ToRgb(z, k)


def _synthesise(constant: Tensor, layers: nn.Module, latents: Tensor) -> Tensor:
    """The synthesis network, trained or ready: latents ``(N, L, Z) -> (N, 3, S, S)``.

    A colour layer takes the style of the convolution after it, as in [1]_; the last has its own.
    """
    assert isinstance(layers, nn.ModuleList)
    styles = latents.unbind(1)
    x = constant.expand(len(latents), -1, -1, -1).contiguous(memory_format=torch.channels_last)
    x = layers[0](x, styles[0])
    faces = layers[1](x, styles[1])
    for i in range(1, len(styles) // 2):
        up, conv, to_rgb = layers[3 * i - 1 : 3 * i + 2]
        x = conv(up(x, styles[2 * i - 1]), styles[2 * i])
        doubled = F.interpolate(faces, scale_factor=2.0, mode="bilinear", align_corners=False)
        faces = doubled + to_rgb(x, styles[2 * i + 1])
    return faces / 2  # from [-1, 1]


def _widths(config: ModelConfig) -> list[int]:
    """Channels of the maps of 7, 14, ... pixels: 320, 320, 192, 96, 48, 24 for 400 random numbers.

    Halved with each doubling, and at most 4/5 of the latent's numbers. The whole network grows
    and shrinks with the latent.
    """
    doublings = SIZES.index(config.size) + 2
    wanted = [min(0.8, 13.44 / (STEM << i)) * config.latent_size for i in range(doublings + 1)]
    return [max(8, 8 * round(width / 8)) for width in wanted]


def _features(config: ModelConfig) -> ResidualFeatures:
    widths = _widths(config)[::-1]
    return ResidualFeatures(config.size, widths[: BLOCKS + 1], config.slope)


def _init_weights(network: nn.Module, rng: torch.Generator) -> None:
    for layer in network.modules():
        if isinstance(layer, (EqualLinear, EqualConv, StyledConv, ToRgb)):
            layer.init_weights(rng)


register(
    Architecture(
        "style",
        SIZES,
        Generator,
        Discriminator,
        StyleDrawer,
        purpose="style-based networks, for faces that look like photographs; "
        "`architecture` dcgan is the paper's system, and four times as fast",
        recipe="style",
        truncation=0.7,
        blend="mean",
        group=GROUP,
        shape_layers=SHAPE_LAYERS,
        has_dropout=False,
        inverting=Inverting(
            fast=Effort(12),
            balanced=Effort(12, tuning=18, mixed=72),
            high=Effort(32, tuning=48, mixed=96),
            by_layer=True,
            features=1000.0,
            background=0.2,
            tuning_rate=4e-3,
            tuning_falls_late=True,
            locality=0.0,
            fixed=("mapping",),
            together=8,
        ),
        perceptual=_features,
    )
)
