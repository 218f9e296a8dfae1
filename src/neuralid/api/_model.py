"""A generator on a device, ready to draw: what all the verbs start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ..core.device import describe, pick_device, pick_precision
from ..faces.config import Frame
from ..latents.tuning import tune
from ..models.inference import FoldedGenerator, draw_faces
from ..pictures import images
from ..upscaling.enlarge import upscale_array
from ..weights import Weights, file_id, load_weights, save_weights

Say = Callable[[str], None]
Report = Callable[[int, int], None]  # done, total
Failure = Callable[[str, Exception], None]  # the input's name, what went wrong


def quiet(text: str) -> None:
    """What happens to messages nobody asked for."""


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A generator in the form that draws, and the weights it came from. Threads may share one."""

    generator: FoldedGenerator
    weights: Weights
    device: torch.device
    say: Say = quiet
    is_tuned: bool = False  # to photos and not saved; latents carry the id of the weights before

    @classmethod
    def load(cls, name: str | Path | None, device: str, say: Say) -> Self:
        """Pick the device first (one that is not there is an error), then read the weights."""
        where = pick_device(device)
        say(f"device: {describe(where)}")
        loaded = load_weights(name)
        return cls(FoldedGenerator(loaded.generator.to(where)), loaded, where, say)

    @property
    def size(self) -> int:
        """Side of a face, pixels."""
        return self.weights.description.model.size

    @property
    def latent_size(self) -> int:
        return self.weights.description.model.latent_size

    @property
    def frame(self) -> Frame:
        """Where the training faces had their eyes; UTKFace's places if the weights do not say."""
        return self.weights.description.frame or Frame()

    def tune(
        self, latents: Tensor, targets: Tensor, steps: int, on_step: Report | None = None
    ) -> Self:
        """One whose generator draws the targets better, see `latents.tuning.tune`."""
        precision = pick_precision("auto", self.device)
        generator = tune(
            self.weights.generator, latents, targets, steps, precision=precision, on_step=on_step
        )
        own = replace(self.weights, generator=generator)
        return replace(self, generator=FoldedGenerator(generator), weights=own, is_tuned=True)

    def save(self, path: str | Path) -> Self:
        """Write the weights; returns the same on the file written, whose id latents then carry.

        Raises `OutputError`.
        """
        own, place = self.weights, Path(path)
        save_weights(place, own.generator, own.description, own.metric, own.encoder, own.directions)
        weights = replace(own, id=file_id(place), path=place)
        return replace(self, weights=weights, is_tuned=False)

    def draw(self, latents: Tensor, scale: float = 1.0) -> np.ndarray:
        """Faces for latents ``(N, Z)``: uint8 ``(N, H, W, 3)``, enlarged by the default method."""
        return self.enlarge(images.to_uint8(draw_faces(self.generator, latents)), scale)

    def enlarge(self, faces: np.ndarray, scale: float) -> np.ndarray:
        """uint8 ``(N, H, W, 3)`` enlarged by the default method; a scale of 1 changes nothing."""
        if scale == 1:
            return faces
        return np.stack([upscale_array(face, scale, device=self.device) for face in faces])
