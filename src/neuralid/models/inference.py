"""The exact, faster form of a trained generator, and drawing faces with it.

Letters in shapes: N batch, Z latent size, S side of a face.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import LATENT_STD
from .convolution import phase_conv, phase_kernels
from .dcgan import (
    STEM,
    STEM_WIDTH,
    Generator,
    UpConv,
    as_conv_kernel,
)

CHUNK = 8  # faces drawn at a time; rounding may differ between sizes, so there is one size


class FoldedGenerator(nn.Module):
    """A generator for inference: batch norms folded into the layers before them, phases ready.

    Equal to the trained generator in evaluation mode, to rounding. The original is not changed.

    Shape:
        - z: ``(N, Z)`` -> ``(N, 3, S, S)`` in ``[-0.5, 0.5]``
    """

    dense_weight: Tensor
    dense_bias: Tensor
    conv_weight: Tensor
    conv_bias: Tensor
    to_rgb_weight: Tensor
    to_rgb_bias: Tensor

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        source = copy.deepcopy(generator).cpu().double().eval().requires_grad_(False)
        self.config = generator.config
        weight, bias = _fold(source.dense.weight, source.dense.bias, source.dense_norm)
        self._keep("dense", weight, bias)
        self.ups = len(source.ups)
        for i, (up, norm) in enumerate(zip(source.ups, source.norms, strict=True)):
            assert isinstance(up, UpConv)
            kernel, bias = _fold(as_conv_kernel(up.weight), up.bias, norm)
            self._keep(f"up{i}", phase_kernels(kernel).flatten(0, 1), bias)
        kernel, bias = _fold(as_conv_kernel(source.conv.weight), source.conv.bias, source.conv_norm)
        self._keep("conv", kernel, bias)
        self._keep("to_rgb", as_conv_kernel(source.to_rgb.weight), source.to_rgb.bias)
        self.to(generator.dense.weight.device)

    def forward(self, z: Tensor) -> Tensor:
        slope = self.config.slope
        x = F.leaky_relu(F.linear(z, self.dense_weight, self.dense_bias), slope)
        x = x.view(-1, STEM, STEM, STEM_WIDTH).permute(0, 3, 1, 2)  # (N, 256, 14, 14)
        for i in range(self.ups):
            x = phase_conv(x, getattr(self, f"up{i}_weight"), getattr(self, f"up{i}_bias"))
            x = F.leaky_relu(x, slope)  # (N, 128, 28, 28), then (N, 64, 56, 56)
        x = F.leaky_relu(F.conv2d(x, self.conv_weight, self.conv_bias, padding=2), slope)
        return F.conv2d(x, self.to_rgb_weight, self.to_rgb_bias, padding=2).sigmoid() - 0.5

    def _keep(self, name: str, weight: Tensor, bias: Tensor | None) -> None:
        weight = weight.float()
        if weight.ndim == 4:
            weight = weight.contiguous(memory_format=torch.channels_last)
        self.register_buffer(f"{name}_weight", weight)
        self.register_buffer(f"{name}_bias", None if bias is None else bias.float())


@torch.no_grad()
def draw_faces(generator: FoldedGenerator, z: Tensor) -> Tensor:
    """Faces for latents, in chunks padded to one fixed size: a face does not depend on the others.

    Shape: ``(N, Z) -> (N, 3, S, S)`` in ``[-0.5, 0.5]``, on the CPU.
    """
    faces = []
    for part in z.split(CHUNK):
        padded = F.pad(part, (0, 0, 0, CHUNK - len(part))).to(generator.dense_weight.device)
        faces.append(generator(padded)[: len(part)].cpu())
    return torch.cat(faces)


def latent_metric(generator: FoldedGenerator, batch: int = 32) -> Tensor:
    """How much each direction of latent space moves the pixels: the mean of ``J^T J`` over draws.

    J is the generator's Jacobian at a latent; ``J^T v`` for random v gives samples of it, twice
    as many as there are numbers in a latent. The same generator always gives the same metric.

    Shape: ``(Z, Z)``, on the CPU.
    """
    z_size, device = generator.config.latent_size, generator.dense_weight.device
    rng = torch.Generator().manual_seed(0)
    rounds = -(-2 * z_size // batch)
    metric = torch.zeros(z_size, z_size, dtype=torch.float64)
    for _ in range(rounds):
        z = torch.randn(batch, z_size, generator=rng) * LATENT_STD
        z = z.to(device).requires_grad_(True)
        faces = generator(z)
        probes = torch.randn(faces.shape, generator=rng).to(device)
        (pulled,) = torch.autograd.grad(faces, z, probes)  # (N, Z): J^T v
        pulled = pulled.cpu().double()
        metric += pulled.T @ pulled
    return (metric / (rounds * batch)).float()


def even_coordinates(metric: Tensor) -> Tensor:
    """``(Z, Z)``: from coordinates of even effect to latents, the metric's inverse square root.

    Directions that do next to nothing are held back by a tenth of the mean effect.
    """
    effects, directions = torch.linalg.eigh(metric.double().cpu())
    lengths = (effects.clamp_min(0) + effects.mean() / 10).rsqrt()
    return (directions * (lengths / lengths.mean()) @ directions.T).float()


def _fold(weight: Tensor, bias: Tensor | None, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """A layer and the batch norm after it as one layer; output channels lead ``weight``."""
    assert isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d))
    assert norm.running_mean is not None and norm.running_var is not None and bias is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    shifted = (bias - norm.running_mean) * scale + norm.bias
    return weight * scale.view(-1, *[1] * (weight.ndim - 1)), shifted
