"""What the two networks of every architecture offer.

Letters in shapes: N batch, Z latent size, L the latent's own shape, S side of a face.

Noise ``(N, Z)`` is the normal numbers that a seed gives. Latents ``(N, *L)`` are what inversion
finds for a face, and what is mixed and moved. An architecture may map noise to latents; by default
they are the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .config import ModelConfig
from .share import WHOLE, Share


class Network(nn.Module):
    """A network that is built without weights and then either filled or initialised.

    All its tensors are parameters or buffers in its `state_dict`. Random numbers drawn in a pass,
    such as dropout's, come from ``share.rng``, never from torch's global generator.
    """

    def init_weights(self, rng: torch.Generator) -> None:
        """Give every parameter and buffer its first value, drawn from ``rng`` (on the CPU)."""
        raise NotImplementedError


class GeneratorNetwork(Network):
    """Draws faces in ``[-0.5, 0.5]``, in the form that is trained. By default latents are noise."""

    def __init__(self, config: ModelConfig, latent_shape: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.config = config
        self.latent_shape = latent_shape or (config.latent_size,)  # L

    def forward(self, noise: Tensor, share: Share = WHOLE) -> Tensor:
        """``(N, Z) -> (N, 3, S, S)``: the pass that is trained."""
        raise NotImplementedError

    def latents(self, noise: Tensor) -> Tensor:
        """``(N, Z) -> (N, *L)``"""
        return noise

    def from_latents(self, latents: Tensor) -> Tensor:
        """``(N, *L) -> (N, 3, S, S)``: the pass that is tuned to single faces."""
        return self(latents)

    def track(self, noise: Tensor) -> None:
        """Move running statistics of the latents towards those of a training step.

        Called once a step, with the noise ``(N, Z)`` of the whole batch. By default there are none.
        """


class DiscriminatorNetwork(Network):
    """Tells real faces from drawn ones."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, faces: Tensor, share: Share = WHOLE) -> Tensor:
        """``(N, 3, S, S) -> (N,)``, logits."""
        raise NotImplementedError


class PerceptualNetwork(Network):
    """Maps of features in which faces that look alike are near each other.

    Its tensors are some of the discriminator's, under the same names. ``last`` is the shape
    ``(C, H)`` of its last map, which an encoder reads.
    """

    last: tuple[int, int]

    def forward(self, faces: Tensor) -> list[Tensor]:
        """``(N, 3, S, S) -> (N, C, H, H)`` each, float32, of length 1 along C."""
        raise NotImplementedError

    def ready(self) -> PerceptualNetwork:
        """A copy in its form for inference: fast while the weights stand still, and not saved."""
        return self
