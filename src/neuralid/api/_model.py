"""A generator on a device, ready to draw; all the verbs start from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ..core.device import describe, pick_device, pick_precision
from ..core.errors import LatentError
from ..core.memory import check_memory
from ..faces.config import Frame
from ..latents.tuning import tune
from ..models.architecture import architecture
from ..models.building import build_drawer
from ..models.drawing import GROUP, Drawer, draw_faces, search_trial
from ..models.inverting import Inverting
from ..models.preparing import prepare
from ..pictures import images
from ..training.runs.known import find_named
from ..upscaling.config import DEFAULT_METHOD
from ..upscaling.enlarge import needed_memory, upscale_array
from ..weights import Weights, load_weights, save_weights
from ..weights_cache import file_id

Say = Callable[[str], None]
Report = Callable[[int, int], None]  # done, total
Failure = Callable[[str, Exception], None]  # the input's name, what went wrong


def check_finite(faces: Tensor) -> None:
    """Raise `LatentError` if faces that were drawn are no pictures: they would be black."""
    if not bool(faces.isfinite().all()):
        raise LatentError(
            "a face comes out as numbers that are not finite",
            hint="its latent is too long for these weights, or the weights are damaged",
        )


@dataclass
class Progress:
    """Reports the steps of each stage, after those ``before`` it, as steps of the whole."""

    total: int
    on_step: Report | None
    before: int = 0

    def __call__(self, done: int, _: int) -> None:
        if self.on_step is not None:
            self.on_step(self.before + done, self.total)


def quiet(text: str) -> None:
    """Discard a message: the default for ``on_message``."""


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A generator in its inference form, and the weights it came from. Threads may share one."""

    generator: Drawer
    weights: Weights
    device: torch.device
    say: Say = quiet
    is_tuned: bool = False  # to photos, but not saved: latents still carry the old weights' id

    @classmethod
    def load(cls, name: str | Path | None, device: str, say: Say) -> Self:
        """Pick the device first, so that a missing one fails at once, then read the weights."""
        where = pick_device(device)
        say(f"device: {describe(where)}")
        loaded = load_weights(find_named(name))
        return cls(build_drawer(loaded.generator.to(where)), loaded, where, say)

    @property
    def size(self) -> int:
        """Side of a face, pixels."""
        return self.weights.description.model.size

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """L, that of one latent."""
        return self.generator.latent_shape

    @property
    def frame(self) -> Frame:
        """Where the training faces have their eyes; UTKFace's places if the weights don't say."""
        return self.weights.description.frame or Frame()

    @property
    def precision(self) -> str:
        """That of searching and tuning, ``fp32`` or ``bf16``; `draw` is told its own."""
        return pick_precision("auto", self.device, search_trial(self.generator))

    @property
    def inverting(self) -> Inverting:
        """How latents are searched for behind photos."""
        return architecture(self.weights.description.model.architecture).inverting

    def tune(
        self,
        latents: Tensor,
        targets: Tensor,
        steps: int,
        inside: Tensor | None = None,
        on_step: Report | None = None,
    ) -> Self:
        """Tune a copy whose generator draws the targets better; see `latents.tuning.tune`."""
        generator = tune(
            self.weights.generator,
            latents,
            targets,
            steps,
            perceptual=self.weights.perceptual,
            inside=inside,
            precision=self.precision,
            on_step=on_step,
        )
        own = replace(self.weights, generator=generator)
        return replace(self, generator=build_drawer(generator), weights=own, is_tuned=True)

    def save(self, path: str | Path) -> Self:
        """Write the weights; returns a copy with the new file's id, which latents then carry.

        Raises `OutputError`.
        """
        own, place = self.weights, Path(path)
        save_weights(
            place,
            own.generator,
            own.description,
            own.metric,
            own.encoder,
            own.directions,
            own.perceptual,
        )
        weights = replace(own, id=file_id(place), path=place)
        return replace(self, weights=weights, is_tuned=False)

    def check_room(self, count: int, scale: float, copies: int = 3) -> None:
        """Raise `ConfigError` now if so many enlarged faces do not fit into memory.

        ``copies`` of them are in memory at once before the picture is whole.
        """
        side, one = self.size * scale, (self.size, self.size, 3)
        needed = 3.0 * copies * count * side**2 + needed_memory(one, scale, DEFAULT_METHOD)
        what = f"{count} faces of {side:.0f} pixels"
        check_memory(needed, what, "fewer faces, or a smaller `scale`")

    def draw(
        self,
        latents: Tensor,
        scale: float = 1.0,
        precision: str = "fp32",
        on_face: Report | None = None,
    ) -> np.ndarray:
        """Draw latents ``(N, *L)`` as uint8 ``(N, H, W, 3)``, enlarged by the default method.

        ``precision`` is "fp32" or "bf16". ``on_face(done, total)`` is called for each face, after
        it was enlarged; up to 64 are drawn at a time.
        """
        if not len(latents):
            return np.empty((0, *2 * (round(self.size * scale),), 3), np.uint8)
        drawer = self._in_bfloat16 if precision == "bf16" else self.generator
        done: list[np.ndarray] = []
        for part in latents.split(GROUP):
            faces = draw_faces(drawer, part, precision)
            check_finite(faces)
            for face in images.to_uint8(faces):
                done.append(self._enlarge_one(face, scale))
                if on_face is not None:
                    on_face(len(done), len(latents))
        return np.stack(done)

    @cached_property
    def _in_bfloat16(self) -> Drawer:
        return prepare(self.generator, "bf16")

    def enlarge(self, faces: np.ndarray, scale: float) -> np.ndarray:
        """Enlarge uint8 ``(N, H, W, 3)`` by the default method; a scale of 1 changes nothing."""
        return faces if scale == 1 else np.stack([self._enlarge_one(x, scale) for x in faces])

    def _enlarge_one(self, face: np.ndarray, scale: float) -> np.ndarray:
        return face if scale == 1 else upscale_array(face, scale, device=self.device)
