"""What `sample`, `invert` and `mix` share: a generator on a device, ready to draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import weights
from ..core.device import (
    describe,
    pick_device,
    pick_precision,
)
from ..core.errors import ConfigError
from ..core.files import check_writable, free_name, make_folder
from ..faces.config import Frame
from ..latents.tuning import tune
from ..models.building import build_drawer
from ..models.drawing import Drawer, draw_faces
from ..pictures import images
from ..upscaling import enlarge as upscaling

Failure = Callable[[Path, Exception], None]


@dataclass(frozen=True)
class Studio:
    """A generator in its inference form, and the weights it came from."""

    generator: Drawer
    weights: weights.Weights
    device: torch.device

    @classmethod
    def open(cls, name: str | Path | None, device: str, say: Callable[[str], None]) -> Studio:
        """Pick the device first (an absent one is an error), then read the weights."""
        where = pick_device(device)
        say(f"device: {describe(where)}")
        loaded = weights.load_weights(name)
        return cls(build_drawer(loaded.generator.to(where)), loaded, where)

    @property
    def size(self) -> int:
        return self.weights.description.model.size

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return self.generator.latent_shape

    @property
    def frame(self) -> Frame:
        """Where the training faces had their eyes; UTKFace's places if the weights do not say."""
        return self.weights.description.frame or Frame()

    def tuned(
        self,
        latents: Tensor,
        targets: Tensor,
        steps: int,
        on_step: Callable[[int, int], None] | None,
    ) -> Studio:
        """One whose generator draws the targets better, see `tuning.tune`."""
        precision = pick_precision("auto", self.device)
        generator = tune(
            self.weights.generator, latents, targets, steps, precision=precision, on_step=on_step
        )
        own = replace(self.weights, generator=generator)
        return replace(self, generator=build_drawer(generator), weights=own)

    def saved(self, path: Path) -> Studio:
        """Write the weights; the studio then speaks of those in the file."""
        own = self.weights
        weights.save_weights(
            path, own.generator, own.description, own.metric, own.encoder, own.directions
        )
        return replace(self, weights=replace(own, id=weights.file_id(path), path=path))

    def draw(self, latents: Tensor, scale: float = 1.0) -> np.ndarray:
        """Faces as uint8 ``(N, H, W, 3)``, enlarged by the default upscaler."""
        return self.enlarge(images.to_uint8(draw_faces(self.generator, latents)), scale)

    def enlarge(self, faces: np.ndarray, scale: float) -> np.ndarray:
        """uint8 ``(N, H, W, 3)`` enlarged by the default upscaler; a scale of 1 changes nothing."""
        if scale == 1:
            return faces
        return np.stack(
            [upscaling.upscale_array(face, scale, device=self.device) for face in faces]
        )


def quiet(text: str) -> None:
    """What happens to messages nobody asked for."""


def check_picture(path: str | Path | None) -> None:
    """Raise `OutputError` or `ImageError` now if a picture could not be written there later."""
    if path is not None:
        check_writable(Path(path))
        images.check_format(Path(path))


def one_of(output: str | Path | None, outdir: str | Path | None, count: int) -> None:
    """Raise `ConfigError` when -o and --outdir are both given, or -o is given for several."""
    if output is not None and outdir is not None:
        raise ConfigError("-o and --outdir exclude each other", hint="-o is for one file")
    if output is not None and count > 1:
        raise ConfigError(f"-o names one file, but there are {count} results", hint="use --outdir")


def place_for(
    output: str | Path | None,
    outdir: str | Path | None,
    stem: str,
    suffix: str,
    overwrite: bool = True,
    taken: set[Path] | None = None,
    *,
    beside: str | None = None,
) -> Path:
    """Where a result goes: ``output``, or ``stem.suffix`` in ``outdir`` or in the working folder.

    Without ``overwrite``, or in the working folder, a name that is taken gets a number; so does
    one in ``taken``, which was given out before. A name is taken too if ``stem + beside``, a file
    that goes with it, is.
    Raises `ImageError` or `OutputError` now if the file could not be written later.
    """
    if output is not None:
        path = Path(output)
    else:
        folder = make_folder(Path(outdir or "."))
        free = outdir is None or not overwrite
        used = taken if taken is not None else set()

        def is_taken(path: Path) -> bool:
            others = [] if beside is None else [sibling(path, suffix, beside)]
            return (free and any(p.exists() for p in (path, *others))) or path in used

        path = free_name(folder, stem, suffix, is_taken)
        used.add(path)
    if output is not None:
        check_picture(path)
    else:
        check_writable(path)
    return path


def sibling(path: Path, suffix: str, other: str) -> Path:
    """``NAME.other`` beside ``NAME.suffix``."""
    return path.with_name(path.name.removesuffix(suffix) + other)
