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
from ..inversion import invert as search
from ._framing import Framed, Framing, frame_all, save_frames
from ._studio import Failure, Studio, check_picture, enlarge, one_of, place_for, quiet, sibling

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
    steps: int = InvertConfig.steps,
    prior: float = InvertConfig.prior,
    face_size: int | None = None,
    delta_i: int = 0,
    delta_j: int = 0,
    rotation: float = 0.0,
    align: bool = True,
    face: int | None = None,
    show_crop: str | Path | None = None,
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
    ``steps`` are evaluations a face; ``prior`` is the weight of the latent's squared length, 0 for
    the paper's own objective.

    A photo that fails raises, or, with ``on_failure(photo, error)``, is passed over.
    Raises `ImageError`, `ConfigError`, `DeviceError`, `WeightsError` or `OutputError`.
    """
    paths = [Path(photo) for photo in photos]
    config = InvertConfig(steps=steps, prior=prior)
    framing = Framing(CropConfig(face_size, delta_i, delta_j, rotation), align, face)
    one_of(output, outdir, len(paths))
    places = _places(paths, output, outdir, overwrite)
    check_picture(show_crop)
    studio = Studio.open(weights, device, on_message)
    framed = frame_all(paths, studio, framing, on_failure, on_message, show=bool(show_crop))
    save_frames(show_crop, framed)
    found = invert_framed(studio, framed, config, on_step)
    return [_write(item, places.get(item.photo), studio) for item in found]


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
            float(result.ssim[i]),
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
        picture, images.hstack(list(enlarge(pair, SHOWN))), {images.LATENT_KEY: line}
    )
    return Inverted(**{**vars(item), "files": (file, picture)})
