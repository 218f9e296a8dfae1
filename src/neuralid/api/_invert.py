"""``invert``: photos -> latents."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch

from ..core.device import pick_precision
from ..latents.config import InvertConfig
from ..latents.inversion import invert as search
from ..models.inference import draw_faces
from ..pictures import images
from ..pictures.photo import Photo, Source
from ..pictures.quality import psnr, ssim
from ._framing import Framed, Framing, each_photo, frame_photo
from ._model import Failure, Model, Report
from .results import Inverted

CHUNK = 32  # photos inverted together
M = TypeVar("M", bound=Model)


def invert(
    model: Model,
    photos: Sequence[Source],
    framing: Framing,
    config: InvertConfig,
    together: bool,
    on_step: Report | None,
    on_failure: Failure | None,
) -> list[Inverted]:
    """See `Studio.invert`."""
    framed: list[Framed] = []

    def frame(photo: Photo) -> None:
        framed.append(frame_photo(photo, model.size, model.frame, framing, model.say))

    each_photo(photos, frame, on_failure)
    return invert_framed(model, framed, config, on_step, joint=together)[0]


def invert_framed(
    model: M,
    framed: Sequence[Framed],
    config: InvertConfig,
    on_step: Report | None,
    *,
    joint: bool,
) -> tuple[list[Inverted], M]:
    """Invert cropped photos, some at a time, and at high fidelity tune the generator to them.

    Returns what was found, and the model to draw with: if ``joint``, one tuned to all of them.
    """
    parts = [framed[start : start + CHUNK] for start in range(0, len(framed), CHUNK)]
    groups = 0 if not config.tunes else min(1, len(framed)) if joint else len(framed)
    progress = _Progress(config.evaluations * len(parts) + config.tuning * groups, on_step)
    found: list[Inverted] = []
    for part in parts:
        found += _invert_batch(model, part, config, progress)
        progress.before += config.evaluations
    if not groups:
        return found, model
    if joint:
        tuned, drawn = _tune(model, found, config, progress)
        return [replace(item, model=tuned) for item in drawn], tuned
    alone = []
    for item in found:
        alone += _tune(model, [item], config, progress)[1]
        progress.before += config.tuning
    return alone, model


@dataclass
class _Progress:
    """Steps of one stage, told as steps of the whole."""

    total: int
    on_step: Report | None
    before: int = 0

    def __call__(self, done: int, _: int) -> None:
        if self.on_step is not None:
            self.on_step(self.before + done, self.total)


def _invert_batch(
    model: Model, framed: Sequence[Framed], config: InvertConfig, on_step: _Progress
) -> list[Inverted]:
    targets = images.to_tensor(np.stack([item.face for item in framed]))
    own = model.weights
    result = search(
        model.generator,
        targets,
        config,
        metric=own.metric,
        encoder=own.encoder,
        precision=pick_precision("auto", model.device),
        on_step=on_step,
    )
    drawn = images.to_uint8(result.faces)
    return [
        Inverted(
            item.name,
            result.latents[i],
            float(result.psnr[i]),
            float(result.ssim[i]),
            item.face,
            drawn[i],
            item.crop,
            int(result.evaluations[i]),
            result.seconds / len(framed),
            model,
            item.shown,
        )
        for i, item in enumerate(framed)
    ]


def _tune(
    model: M, found: Sequence[Inverted], config: InvertConfig, on_step: _Progress
) -> tuple[M, list[Inverted]]:
    """A generator tuned to some latents together, and what it draws from them."""
    started = time.perf_counter()
    latents = torch.stack([item.latent for item in found])
    targets = images.to_tensor(np.stack([item.target for item in found]))
    tuned = model.tune(latents, targets, config.tuning, on_step)
    faces = draw_faces(tuned.generator, latents)
    seconds = (time.perf_counter() - started) / len(found)
    figures = zip(
        found, images.to_uint8(faces), psnr(faces, targets), ssim(faces, targets), strict=True
    )
    return tuned, [
        replace(
            item,
            reconstruction=face,
            psnr=float(decibels),
            ssim=float(likeness),
            seconds=item.seconds + seconds,
        )
        for item, face, decibels, likeness in figures
    ]
