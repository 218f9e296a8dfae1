"""``invert``: find the latents of photos."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ..latents.config import InvertConfig
from ..latents.inversion import invert as search
from ..pictures import images
from ..pictures.photo import Photo, Source
from ..pictures.quality import psnr, ssim
from ._framing import Framed, Framing, each_photo, frame_photo
from ._model import Failure, Model, Progress, Report, check_finite
from .results import Inverted

M = TypeVar("M", bound=Model)


def invert(
    model: Model,
    photos: Sequence[Source],
    framing: Framing,
    config: InvertConfig,
    together: bool,
    on_step: Report | None,
    on_failure: Failure | None,
    on_result: Callable[[Inverted], None] | None,
    keep: bool,
) -> list[Inverted]:
    """See `Studio.invert`."""
    framed: list[Framed] = []

    def frame(photo: Photo) -> None:
        framed.append(frame_photo(photo, model.size, model.frame, framing, model.say))

    each_photo(photos, frame, on_failure)
    if not together:
        each = _invert_each(model, framed, config, on_step, on_result or (lambda _: None))
        return [item for item in each if keep]
    found, _ = invert_framed(model, framed, config, on_step)
    if on_result is not None:
        for item in found:
            on_result(item)
    return found if keep else []


def invert_framed(
    model: M, framed: Sequence[Framed], config: InvertConfig, on_step: Report | None
) -> tuple[list[Inverted], M]:
    """Invert cropped photos in batches; then tune one generator to all, if the fidelity does.

    That is for faces that will be mixed. Returns the results, and the model to draw with.
    """
    config = replace(config, to_mix=True)
    effort = config.effort(model.inverting)
    parts = _split(model, framed)
    tunings = min(1, len(framed)) if effort.tuning else 0
    progress = Progress(effort.steps * len(parts) + effort.tuning * tunings, on_step)
    found: list[Inverted] = []
    for part in parts:
        found += _invert_batch(model, part, config, progress)
        progress.before += effort.steps
    if not tunings:
        return found, model
    tuned, drawn = _tune(model, found, framed, effort.tuning, progress)
    return [replace(item, model=tuned) for item in drawn], tuned


def _invert_each(
    model: Model,
    framed: Sequence[Framed],
    config: InvertConfig,
    on_step: Report | None,
    on_result: Callable[[Inverted], None],
) -> Iterator[Inverted]:
    """Invert cropped photos in batches, and tune a generator of its own to each, if need be.

    Each result is handed out before the next photos are looked at, so that it can be kept.
    """
    effort = config.effort(model.inverting)
    parts = _split(model, framed)
    progress = Progress(effort.steps * len(parts) + effort.tuning * len(framed), on_step)
    for part in parts:
        found = _invert_batch(model, part, config, progress)
        progress.before += effort.steps
        for item, photo in zip(found, part, strict=True):
            if effort.tuning:
                item = _tune(model, [item], [photo], effort.tuning, progress)[1][0]
                progress.before += effort.tuning
            on_result(item)
            yield item


def _split(model: Model, framed: Sequence[Framed]) -> list[Sequence[Framed]]:
    """As many at a time as are searched for together."""
    chunk = model.inverting.together
    return [framed[start : start + chunk] for start in range(0, len(framed), chunk)]


def _invert_batch(
    model: Model, framed: Sequence[Framed], config: InvertConfig, on_step: Progress
) -> list[Inverted]:
    targets = images.to_tensor(np.stack([item.face for item in framed]))
    own = model.weights
    result = search(
        model.generator,
        targets,
        config,
        coordinates=own.coordinates,
        encoder=own.encoder,
        perceptual=own.perceptual,
        inside=_inside(model, framed),
        precision=model.precision,
        on_step=on_step,
    )
    check_finite(result.faces)
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


def _inside(model: Model, framed: Sequence[Framed]) -> Tensor | None:
    """What of the crops is photo, ``(N, 1, S, S)``; None if all is, or the search doesn't ask."""
    if not model.inverting.by_layer or all(item.inside is None for item in framed):
        return None
    whole = np.ones((model.size, model.size), np.float32)
    known = [whole if item.inside is None else item.inside for item in framed]
    return torch.from_numpy(np.stack(known)[:, None])


def _tune(
    model: M, found: Sequence[Inverted], framed: Sequence[Framed], steps: int, on_step: Progress
) -> tuple[M, list[Inverted]]:
    """Tune a generator to some latents together; returns it and the results redrawn with it."""
    started = time.perf_counter()
    latents = torch.stack([item.latent for item in found])
    targets = images.to_tensor(np.stack([item.target for item in found]))
    inside = _inside(model, framed)
    tuned = model.tune(latents, targets, steps, inside, on_step)
    with torch.no_grad():
        faces = tuned.generator(latents.to(tuned.device)).cpu()
    check_finite(faces)
    seconds = (time.perf_counter() - started) / len(found)
    figures = zip(
        found,
        images.to_uint8(faces),
        psnr(faces, targets, inside),
        ssim(faces, targets),
        strict=True,
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
