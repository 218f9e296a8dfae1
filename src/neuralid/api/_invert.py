"""``invert``: photos -> latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from .. import images, latent
from ..config import CropConfig, InvertConfig
from ..crop import crop_face, default_face_size
from ..errors import NeuralidError
from ..files import check_writable
from ..inversion import invert as search
from ._studio import Failure, Studio, enlarge, one_of, place_for, quiet

LATENT_SUFFIX = ".latent.safetensors"
CHUNK = 32  # photos inverted together
SHOWN = 4  # the side-by-side picture is enlarged so many times


@dataclass(frozen=True)
class Inverted:
    """One photo's latent, and how well it draws the photo again."""

    photo: Path
    latent: Tensor  # (Z,)
    psnr: float  # dB, of the reconstruction against the cropped photo
    target: np.ndarray  # uint8 (S, S, 3): the cropped photo
    reconstruction: np.ndarray  # uint8 (S, S, 3): what the generator draws
    crop: CropConfig
    evaluations: int  # generator passes spent
    seconds: float  # its share of its batch's time
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Framed:
    """A photo, read and cropped."""

    photo: Path
    face: np.ndarray  # uint8 (S, S, 3)
    crop: CropConfig


def invert(
    photos: Sequence[str | Path],
    *,
    output: str | Path | None = None,
    outdir: str | Path | None = None,
    overwrite: bool = True,
    steps: int | None = None,
    face_size: int | None = None,
    delta_i: int = 0,
    delta_j: int = 0,
    rotation: float = 0.0,
    weights: str | Path | None = None,
    device: str = "auto",
    on_message: Callable[[str], None] = quiet,
    on_step: Callable[[int, int], None] | None = None,
    on_failure: Failure | None = None,
) -> list[Inverted]:
    """Find the latent behind each photo of one face (paper, section 3.3).

    A photo is framed by the paper's four numbers (pixels and degrees). Left alone they are 108 for
    CelebA's 178x218 pictures, 54 at half that size, else the largest centred square. With
    ``output`` (one photo) or ``outdir``, a side-by-side picture and ``NAME.latent.safetensors`` are
    written; ``overwrite=False`` numbers names that are taken. ``steps`` are evaluations a face.

    A photo that fails raises, or, with ``on_failure(photo, error)``, is passed over.
    Raises `ImageError`, `ConfigError`, `DeviceError`, `WeightsError` or `OutputError`.
    """
    paths = [Path(photo) for photo in photos]
    config = InvertConfig() if steps is None else InvertConfig(steps=steps)
    crop = CropConfig(face_size, delta_i, delta_j, rotation)
    one_of(output, outdir, len(paths))
    places = _places(paths, output, outdir, overwrite)
    studio = Studio.open(weights, device, on_message)
    framed = frame_all(paths, studio.size, crop, on_failure)
    found = invert_framed(studio, framed, config, on_step)
    return [_write(item, places.get(item.photo), studio) for item in found]


def frame_all(
    photos: Sequence[Path], size: int, crop: CropConfig, on_failure: Failure | None
) -> list[Framed]:
    """Read and crop each photo; one that fails raises or is reported."""
    framed = []
    for photo in photos:
        try:
            image = images.load_rgb(photo)
            face_size = crop.face_size or default_face_size(image.shape[1], image.shape[0])
            own = CropConfig(face_size, crop.delta_i, crop.delta_j, crop.rotation)
            framed.append(Framed(photo, crop_face(image, size, own), own))
        except NeuralidError as error:
            if on_failure is None:
                raise
            on_failure(photo, error)
    return framed


def invert_framed(
    studio: Studio,
    framed: Sequence[Framed],
    config: InvertConfig,
    on_step: Callable[[int, int], None] | None,
) -> list[Inverted]:
    """Invert cropped photos, some at a time."""
    total = config.steps * -(-len(framed) // CHUNK)
    found: list[Inverted] = []
    for start in range(0, len(framed), CHUNK):
        part = framed[start : start + CHUNK]
        before = config.steps * (start // CHUNK)

        def report(done: int, _: int, before: int = before) -> None:
            if on_step is not None:
                on_step(before + done, total)

        found += _invert_batch(studio, part, config, report)
    return found


def _invert_batch(
    studio: Studio,
    framed: Sequence[Framed],
    config: InvertConfig,
    on_step: Callable[[int, int], None],
) -> list[Inverted]:
    targets = images.to_tensor(np.stack([item.face for item in framed]))
    result = search(
        studio.generator, targets, config, metric=studio.weights.metric, on_step=on_step
    )
    drawn = images.to_uint8(result.faces)
    return [
        Inverted(
            item.photo,
            result.latents[i],
            float(result.psnr[i]),
            item.face,
            drawn[i],
            item.crop,
            int(result.evaluations[i]),
            result.seconds / len(framed),
        )
        for i, item in enumerate(framed)
    ]


def _places(
    photos: Sequence[Path],
    output: str | Path | None,
    outdir: str | Path | None,
    overwrite: bool,
) -> dict[Path, tuple[Path, Path]]:
    """For each photo its picture and its latent file; none where nothing is to be written."""
    if output is not None:
        picture = Path(output)
        check_writable(picture)
        images.check_format(picture)
        return {photos[0]: (picture, picture.with_suffix(LATENT_SUFFIX))}
    if outdir is None:
        return {}
    taken: set[Path] = set()
    return {
        photo: (
            place_for(None, outdir, photo.stem, ".inverted.png", overwrite, taken),
            place_for(None, outdir, photo.stem, LATENT_SUFFIX, overwrite, taken),
        )
        for photo in dict.fromkeys(photos)
    }


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
        picture, images.hstack(list(enlarge(pair, SHOWN))), {images.LATENT_KEY: line}
    )
    return Inverted(**{**vars(item), "files": (file, picture)})
