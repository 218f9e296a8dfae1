"""The paper's two networks, layer for layer (section 3.2). No other file knows their insides.

Letters in shapes: N batch, Z latent size, S side of a face.

References
----------
.. [1] K. Werblinski, W. Garbarek, J. Kuczkowiak, "Neural Identities", 2019, section 3.2.
.. [2] A. Radford, L. Metz, S. Chintala, "Unsupervised Representation Learning with Deep
       Convolutional Generative Adversarial Networks", ICLR 2016. arXiv:1511.06434
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .architecture import Architecture, register
from .config import ModelConfig
from .convolution import block_conv, block_kernels, phase_kernels
from .dcgan_layers import ColourConv, Conv7, SameConv, UpConv, as_conv_kernel
from .doubling import Doubling
from .drawing import Drawer
from .dropout import Dropout
from .network import DiscriminatorNetwork, GeneratorNetwork
from .share import WHOLE, Share

SIZES = (28, 56, 112)  # 14 pixels doubled one, two (the paper) or three times
LATENT_STD = 0.5  # the paper draws its latents from N(0, 0.5^2)
STEM = 14  # side of the first map
STEM_WIDTH = 256
LAST_WIDTH = 32
STRIP = 256  # rows of a matrix that are scaled at a time


class Generator(GeneratorNetwork):
    """Turn latent vectors into faces, as in the first table of [1]_.

    The upsampling layers and the convolutions after them are computed in one of the exact
    faster forms of `convolution` and `winograd`; the parameters are the table's.

    Shape:
        - noise: ``(N, Z)``, drawn from N(0, 0.5^2); it is the latent itself
        - returns: ``(N, 3, S, S)``, RGB in ``[-0.5, 0.5]``

    >>> generator = Generator(ModelConfig(size=28, latent_size=8)).eval()
    >>> generator(torch.zeros(2, 8)).shape
    torch.Size([2, 3, 28, 28])
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__(config)
        self.dense = nn.Linear(config.latent_size, STEM * STEM * STEM_WIDTH)
        self.dense_norm = _norm(nn.BatchNorm1d, STEM * STEM * STEM_WIDTH)
        self.dropout = Dropout(dropout)

        # Each doubling halves the width, down to 64: 256 -> 128 -> 64 in the paper.
        widths = [max(STEM_WIDTH >> i, 64) for i in range(_doublings(config) + 1)]
        self.ups = nn.ModuleList(map(UpConv, widths, widths[1:]))
        self.norms = nn.ModuleList(_norm(nn.BatchNorm2d, width) for width in widths[1:])
        self.conv = SameConv(widths[-1], LAST_WIDTH)
        self.conv_norm = _norm(nn.BatchNorm2d, LAST_WIDTH)
        self.to_rgb = ColourConv(LAST_WIDTH, 3)

    def init_weights(self, rng: torch.Generator) -> None:
        _init_weights(self, rng)

    def forward(self, noise: Tensor, share: Share = WHOLE) -> Tensor:
        slope = self.config.slope
        x = F.leaky_relu(self.dense_norm(self.dense(noise)), slope)  # (N, 14*14*256)
        x = x.view(-1, STEM, STEM, STEM_WIDTH).permute(0, 3, 1, 2)  # (N, 256, 14, 14)
        x = self.dropout(x, share)
        for up, norm in zip(self.ups, self.norms, strict=True):
            x = F.leaky_relu(norm(up(x)), slope)  # (N, 128, 28, 28), then (N, 64, 56, 56)
        x = F.leaky_relu(self.conv_norm(self.conv(x)), slope)  # (N, 32, S, S)
        return self.to_rgb(x).sigmoid() - 0.5  # (N, 3, S, S)


class Discriminator(DiscriminatorNetwork):
    """Tell photographs of faces from generated ones, as in the second table of [1]_.

    It returns logits; their sigmoid, the table's last line, is part of the loss.

    Shape:
        - faces: ``(N, 3, S, S)``, RGB in ``[-0.5, 0.5]``
        - returns: ``(N,)``, logits

    >>> discriminator = Discriminator(ModelConfig(size=28)).eval()
    >>> discriminator(torch.zeros(2, 3, 28, 28)).shape
    torch.Size([2])
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__(config)
        widths = [3] + [64 << i for i in range(_doublings(config) + 1)]  # 3, 64, 128, 256
        self.convs = nn.ModuleList(
            nn.Conv2d(c, k, 5, stride=2, padding=2) for c, k in pairwise(widths)
        )
        self.wide = Conv7(widths[-1], 1024)
        self.dropout = Dropout(dropout)
        self.dense = nn.Linear(1024 * 7 * 7, 1)

    def init_weights(self, rng: torch.Generator) -> None:
        _init_weights(self, rng)

    def forward(self, faces: Tensor, share: Share = WHOLE) -> Tensor:
        x = faces
        for conv in [*self.convs, self.wide]:
            x = self.dropout(F.leaky_relu(conv(x), self.config.slope), share)
        # Keras flattens (7, 7, 1024) in this order; the map already has that layout.
        return self.dense(x.permute(0, 2, 3, 1).flatten(1)).squeeze(1)


class FoldedGenerator(Drawer):
    """A generator for inference: batch norms folded into the layers before them, kernels ready.

    Equal to the trained generator in evaluation mode, to rounding. The original is not changed.

    Shape:
        - latents: ``(N, Z)`` -> ``(N, 3, S, S)`` in ``[-0.5, 0.5]``
    """

    dense_weight: Tensor
    dense_bias: Tensor
    conv_weight: Tensor
    conv_bias: Tensor
    to_rgb_weight: Tensor
    to_rgb_bias: Tensor

    def __init__(self, generator: Generator) -> None:
        super().__init__(generator)
        scale, bias = _scales(generator.dense.bias, generator.dense_norm)
        self._keep("dense", _scale_rows(generator.dense.weight, scale), bias)
        self.ups = nn.ModuleList()
        for up, norm in zip(generator.ups, generator.norms, strict=True):
            kernel, bias = _fold(up, norm)
            self.ups.append(Doubling(phase_kernels(kernel), bias))
        self._keep("conv", *_fold(generator.conv, generator.conv_norm))
        to_rgb = generator.to_rgb
        kernels = block_kernels(as_conv_kernel(_exact(to_rgb.weight)))
        self._keep("to_rgb", kernels, _exact(to_rgb.bias))
        own = self.named_buffers(recurse=False)
        self.kernel_names = [name for name, _ in own if name.endswith("_weight")]
        self.to(generator.dense.weight.device)

    def forward(self, latents: Tensor) -> Tensor:
        return self.finish(self.begin(latents))

    def begin(self, latents: Tensor) -> Tensor:
        """The dense layer, 80 MB for the paper's latents: ``(N, Z) -> (N, 256, 14, 14)``."""
        x = F.linear(latents, self.dense_weight)
        # Given to `linear`, it would be copied for each face.
        x = x.add_(self.dense_bias.to(x.dtype))
        x = F.leaky_relu_(x, self.config.slope)
        return x.view(-1, STEM, STEM, STEM_WIDTH).permute(0, 3, 1, 2)

    def finish(self, begun: Tensor) -> Tensor:
        """The convolutions: ``(N, 256, 14, 14) -> (N, 3, S, S)``."""
        x, slope = begun, self.config.slope
        for up in self.ups:
            assert isinstance(up, Doubling)
            y = up(x)  # (N, 128, 28, 28), then (N, 64, 56, 56)
            # Else it is a view: to change one in place makes its gradient slow.
            in_place = up.is_by_rows(x) or not y.requires_grad
            x = F.leaky_relu(y, slope, inplace=in_place)
        x = F.leaky_relu_(F.conv2d(x, self.conv_weight, self.conv_bias, padding=2), slope)
        return block_conv(x, self.to_rgb_weight, self.to_rgb_bias).sigmoid() - 0.5

    def _keep(self, name: str, weight: Tensor, bias: Tensor | None) -> None:
        weight = weight.float()
        if weight.ndim == 4:
            weight = weight.contiguous(memory_format=torch.channels_last)
        self.register_buffer(f"{name}_weight", weight)
        self.register_buffer(f"{name}_bias", None if bias is None else bias.float())


def _norm(kind: type[nn.Module], width: int) -> nn.Module:
    return kind(width, eps=1e-3)  # Keras' epsilon


def _doublings(config: ModelConfig) -> int:
    """How often the 14-pixel map is doubled to reach the size."""
    return SIZES.index(config.size) + 1


def _init_weights(network: nn.Module, rng: torch.Generator) -> None:
    """Normal(0, 0.02), as in section 4 of [2]_; biases 0, batch norms as PyTorch resets them."""
    for layer in network.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, std=0.02, generator=rng)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.reset_parameters()


def _exact(tensor: Tensor | None) -> Tensor:
    """A copy in double precision, on the CPU."""
    assert tensor is not None
    return tensor.detach().cpu().double()


def _fold(layer: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """A layer and the batch norm after it as one convolution: kernel and bias, exact."""
    assert isinstance(layer, nn.ConvTranspose2d)
    scale, bias = _scales(layer.bias, norm)
    return as_conv_kernel(_exact(layer.weight)) * scale.view(-1, 1, 1, 1), bias


def _scales(bias: Tensor | None, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """What a batch norm multiplies each output of the layer before it by, and the new bias."""
    assert isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d))
    scale = _exact(norm.weight) / (_exact(norm.running_var) + norm.eps).sqrt()
    return scale, (_exact(bias) - _exact(norm.running_mean)) * scale + _exact(norm.bias)


def _scale_rows(weight: Tensor, scale: Tensor) -> Tensor:
    """A large matrix times a scale for each row, exact until it is rounded to float32.

    In strips that stay in the processor's cache: as a whole in double precision, the paper's dense
    layer takes a quarter of a gigabyte, and a quarter of a second.
    """
    result = torch.empty(weight.shape)
    for start in range(0, len(weight), STRIP):
        part = slice(start, start + STRIP)
        result[part] = _exact(weight[part]) * scale[part, None]
    return result


register(
    Architecture(
        "dcgan",
        SIZES,
        Generator,
        Discriminator,
        FoldedGenerator,
        purpose="the paper's networks, for its results and for quick runs; "
        "`architecture` style draws better faces, at a quarter of the speed",
        recipe="stable",
        noise_std=LATENT_STD,
        needs_full_precision=lambda tensor: "norm" in tensor,
    )
)
