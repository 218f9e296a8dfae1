"""``invert``: photos -> latents."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.device import pick_precision
from ..core.errors import ConfigError
from ..core.files import check_writable
from ..faces.config import CropConfig
from ..latents import latent
from ..latents.config import InvertConfig
from ..latents.inversion import invert as search
from ..models.drawing import draw_faces
from ..pictures import images
from ..pictures.quality import psnr, ssim
from ._framing import (
    Framed,
    Framing,
    frame_all,
    save_frames,
)
from ._studio import (
    Failure,
    Studio,
    check_picture,
    one_of,
    place_for,
    quiet,
    sibling,
)

PAIR_SUFFIX = ".inverted.png"
LATENT_SUFFIX = ".latent.safetensors"
CHUNK = 32  # photos inverted together
SHOWN = 4  # the side-by-side picture is enlarged so many times


@dataclass(frozen=True)
class Inverted:
    """One photo's latent, and how well it draws the photo again."""

    photo: Path
    latent: Tensor  # (Z,)
    psnr: float  # dB, of the reconstruction against the cropped photo
    ssim: float  # of their luma, 1 at best
    target: np.ndarray  # uint8 (S, S, 3): the cropped photo
    reconstruction: np.ndarray  # uint8 (S, S, 3): what the generator draws
    crop: CropConfig
    evaluations: int  # generator passes spent
    seconds: float  # its share of its batch's time
    files: tuple[Path, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The figures and files, as JSON has them."""
        return {
            "photo": str(self.photo),
            "psnr": round(self.psnr, 3),
            "ssim": round(self.ssim, 4),
            "steps": self.evaluations,
            "seconds": round(self.seconds, 3),
            "latent_norm": round(float(self.latent.norm()), 3),
            "crop": asdict(self.crop),
            "files": [str(path) for path in self.files],
        }


def invert(
    photos: Sequence[str | Path],
    *,
    output: str | Path | None = None,
    outdir: str | Path | None = None,
    overwrite: bool = True,
    fidelity: str = InvertConfig.fidelity,
    steps: int | None = None,
    prior: float = InvertConfig.prior,
    face_size: int | None = None,
    delta_i: int = 0,
    delta_j: int = 0,
    rotation: float = 0.0,
    align: bool = True,
    face: int | None = None,
    show_crop: str | Path | None = None,
    save_weights: str | Path | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    on_message: Callable[[str], None] = quiet,
    on_step: Callable[[int, int], None] | None = None,
    on_failure: Failure | None = None,
) -> list[Inverted]:
    """Find the latent behind each photo of a face (paper, section 3.3).

    The largest face in a photo, or the ``face``-th from the left, is framed as the weights'
    training faces were. With ``align=False`` it is the paper's square instead (108 for CelebA's
    178x218 pictures, 54 at half that size, else the largest) in the middle; any of the paper's four
    numbers (pixels and degrees), if given, frames by hand. ``show_crop`` is a picture to write of
    the frame in the photo. With ``output`` (one photo) or ``outdir``, a side-by-side picture and
    ``NAME.latent.safetensors`` are written; ``overwrite=False`` numbers names that are taken.
    ``fidelity`` is "fast" (the encoder's guess and a few steps), "balanced", or "high", which also
    tunes the generator to each photo, in memory, or, with ``save_weights``, to all of them together
    and writes it there. ``steps`` are evaluations a face, if not the fidelity's own; ``prior`` is
    the weight of the latent's squared length, 0 for the paper's own objective.

    A photo that fails raises, or, with ``on_failure(photo, error)``, is passed over.
    Raises `ImageError`, `ConfigError`, `DeviceError`, `WeightsError` or `OutputError`.
    """
    paths = [Path(photo) for photo in photos]
    config = InvertConfig(fidelity, steps, prior=prior)
    framing = Framing(CropConfig(face_size, delta_i, delta_j, rotation), align, face)
    one_of(output, outdir, len(paths))
    places = _places(paths, output, outdir, overwrite)
    check_picture(show_crop)
    check_tuned(save_weights, config)
    studio = Studio.open(weights, device, on_message)
    framed = frame_all(paths, studio, framing, on_failure, on_message, show=bool(show_crop))
    save_frames(show_crop, framed)
    joint = save_weights is not None
    found, tuned = invert_framed(studio, framed, config, on_step, joint=joint)
    if found:  # else every photo failed, and was reported
        studio = kept(studio, tuned, save_weights)
    return [_write(item, places.get(item.photo), studio) for item in found]


def check_tuned(save_weights: str | Path | None, config: InvertConfig) -> None:
    """Raise now if tuned weights could not be written later, or there will be none."""
    if save_weights is None:
        return
    if not config.tunes:
        raise ConfigError("--save-weights is for tuned weights", hint="add --fidelity high")
    check_writable(Path(save_weights))


def kept(studio: Studio, tuned: Studio, save_weights: str | Path | None) -> Studio:
    """The studio to draw with, its weights written if asked for; an error if none were tuned."""
    if save_weights is None:
        return tuned
    if tuned is studio:
        raise ConfigError(
            "no photo to tune the generator to, so --save-weights has nothing to keep",
            hint="give at least one photo among the inputs",
        )
    return tuned.saved(Path(save_weights))


def invert_framed(
    studio: Studio,
    framed: Sequence[Framed],
    config: InvertConfig,
    on_step: Callable[[int, int], None] | None,
    *,
    joint: bool,
) -> tuple[list[Inverted], Studio]:
    """Invert cropped photos, some at a time, and at high fidelity tune the generator to them.

    Returns what was found, and the studio to draw with: ``joint``, the one tuned to all of them.
    """
    parts = [framed[start : start + CHUNK] for start in range(0, len(framed), CHUNK)]
    groups = 0 if not config.tunes else min(1, len(framed)) if joint else len(framed)
    progress = _Progress(config.evaluations * len(parts) + config.tuning * groups, on_step)
    found: list[Inverted] = []
    for part in parts:
        found += _invert_batch(studio, part, config, progress)
        progress.before += config.evaluations
    if not groups:
        return found, studio
    tuned = []
    for group in [found] if joint else [[item] for item in found]:
        drawn, studio_ = _tuned(studio, group, config, progress)
        tuned += drawn
        progress.before += config.tuning
    return tuned, studio_ if joint else studio


@dataclass
class _Progress:
    """Steps of one stage, told as steps of the whole."""

    total: int
    on_step: Callable[[int, int], None] | None
    before: int = 0

    def __call__(self, done: int, _: int) -> None:
        if self.on_step is not None:
            self.on_step(self.before + done, self.total)


def _invert_batch(
    studio: Studio, framed: Sequence[Framed], config: InvertConfig, on_step: _Progress
) -> list[Inverted]:
    targets = images.to_tensor(np.stack([item.face for item in framed]))
    own = studio.weights
    result = search(
        studio.generator,
        targets,
        config,
        coordinates=own.coordinates,
        encoder=own.encoder,
        precision=pick_precision("auto", studio.device),
        on_step=on_step,
    )
    drawn = images.to_uint8(result.faces)
    return [
        Inverted(
            item.photo,
            result.latents[i],
            float(result.psnr[i]),
            float(result.ssim[i]),
            item.face,
            drawn[i],
            item.crop,
            int(result.evaluations[i]),
            result.seconds / len(framed),
        )
        for i, item in enumerate(framed)
    ]


def _tuned(
    studio: Studio, found: Sequence[Inverted], config: InvertConfig, on_step: _Progress
) -> tuple[list[Inverted], Studio]:
    """The same latents, drawn by a generator tuned to them together."""
    started = time.perf_counter()
    latents = torch.stack([item.latent for item in found])
    targets = images.to_tensor(np.stack([item.target for item in found]))
    tuned = studio.tuned(latents, targets, config.tuning, on_step)
    faces = draw_faces(tuned.generator, latents)
    seconds = (time.perf_counter() - started) / len(found)
    figures = zip(
        found, images.to_uint8(faces), psnr(faces, targets), ssim(faces, targets), strict=True
    )
    return [
        replace(
            item,
            reconstruction=face,
            psnr=float(decibels),
            ssim=float(likeness),
            seconds=item.seconds + seconds,
        )
        for item, face, decibels, likeness in figures
    ], tuned


def _places(
    photos: Sequence[Path],
    output: str | Path | None,
    outdir: str | Path | None,
    overwrite: bool,
) -> dict[Path, tuple[Path, Path]]:
    """For each photo its picture and its latent file; none where nothing is to be written."""
    if output is not None:
        picture = Path(output)
        check_picture(picture)
        return {photos[0]: (picture, picture.with_suffix(LATENT_SUFFIX))}
    if outdir is None:
        return {}
    taken: set[Path] = set()
    places = {}
    for photo in dict.fromkeys(photos):
        picture = place_for(
            None, outdir, photo.stem, PAIR_SUFFIX, overwrite, taken, beside=LATENT_SUFFIX
        )
        places[photo] = (picture, sibling(picture, PAIR_SUFFIX, LATENT_SUFFIX))
    return places


def _write(item: Inverted, place: tuple[Path, Path] | None, studio: Studio) -> Inverted:
    if place is None:
        return item
    picture, file = place
    facts: dict[str, Any] = {
        "source": item.photo.name,
        "psnr": round(item.psnr, 3),
        "crop": asdict(item.crop),
    }
    latent.save_latent(file, item.latent, studio.weights.id, facts)
    pair = np.stack([item.target, item.reconstruction])
    line = latent.to_text(item.latent, studio.weights.id)
    images.save_picture(
        picture, images.hstack(list(studio.enlarge(pair, SHOWN))), {images.LATENT_KEY: line}
    )
    return replace(item, files=(file, picture))
