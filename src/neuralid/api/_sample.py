"""``sample``: seeds -> faces."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from .. import __version__
from ..core.checks import check_range
from ..core.errors import ConfigError
from ..core.files import check_writable, make_folder
from ..latents import latent
from ..pictures import images
from ..upscaling.enlarge import MOST_PIXELS
from ._studio import (
    Studio,
    check_picture,
    one_of,
    quiet,
)

COUNT = 16  # faces drawn if nobody says how many
CHUNK = 64  # faces drawn between two reports of progress


@dataclass(frozen=True)
class Sampled:
    """Faces drawn: uint8 ``(N, H, W, 3)``, their latents ``(N, Z)`` and seeds, files written."""

    images: np.ndarray
    latents: Tensor
    seeds: list[int]
    files: list[Path]


def sample(
    n: int | None = None,
    *,
    output: str | Path | None = None,
    outdir: str | Path | None = None,
    seed: int | None = None,
    seeds: Sequence[int] | str | None = None,
    trunc: float = 1.0,
    scale: float = 1.0,
    weights: str | Path | None = None,
    device: str = "auto",
    on_message: Callable[[str], None] = quiet,
    on_step: Callable[[int, int], None] | None = None,
) -> Sampled:
    """Draw faces of people who do not exist.

    ``seeds`` (numbers, or text such as "0,1,4-6") names each face; else ``n`` faces (16) follow
    ``seed``, or a random one that ``on_message`` hears of. ``trunc`` scales the latents: nearer 0
    the faces are more alike and more average. With ``output`` they become one grid, with ``outdir``
    single files such as ``seed0004.png`` that carry their latent, with neither nothing is written.

    Raises `ConfigError`, `DeviceError`, `WeightsError` or `OutputError`.
    """
    chosen = _choose(n, seed, seeds, on_message)
    check_range("trunc", trunc, 0, 10)
    check_range("scale", scale, 1, 64)
    one_of(output, outdir, 1)
    check_picture(output)
    if outdir is not None:
        check_writable(make_folder(Path(outdir)) / "seed.png")
    studio = Studio.open(weights, device, on_message)
    side = studio.size * scale
    megapixels = len(chosen) * side * side / 1e6  # all faces are held at once
    most = MOST_PIXELS / 1e6 * (1 if output is not None else 10)
    check_range("megapixels of all the faces together", megapixels, 0, most)

    latents = latent.draw_latents(studio.generator, chosen, trunc)
    parts = []
    for part in latents.split(CHUNK):
        parts.append(studio.draw(part, scale))
        if on_step is not None:
            on_step(sum(map(len, parts)), len(latents))
    result = Sampled(np.concatenate(parts), latents, chosen, [])
    files = _write(result, output, outdir, studio, trunc)
    return Sampled(result.images, latents, chosen, files)


def _choose(
    n: int | None, seed: int | None, seeds: Sequence[int] | str | None, say: Callable[[str], None]
) -> list[int]:
    if seeds is not None:
        if seed is not None or n is not None:
            one = "-n" if seed is None else "--seed"
            raise ConfigError(f"{one} and --seeds exclude each other", hint=f"leave {one} out")
        return latent.parse_seeds(seeds) if isinstance(seeds, str) else list(seeds)
    n = COUNT if n is None else n
    check_range("number of faces", n, 1, 100_000)
    if seed is None:
        seed = secrets.randbelow(1 << 31)
        say(f"seed: {seed}")
    check_range("seed", seed, 0, (1 << 63) - 1 - n)
    return list(range(seed, seed + n))


def _write(
    result: Sampled,
    output: str | Path | None,
    outdir: str | Path | None,
    studio: Studio,
    trunc: float,
) -> list[Path]:
    def text(seeds: list[int]) -> dict[str, str]:
        facts = {"seeds": seeds, "trunc": trunc, "weights": studio.weights.id}
        return {images.RECIPE_KEY: json.dumps({"sample": facts, "version": __version__})}

    def carried(index: int) -> dict[str, str]:
        line = latent.to_text(result.latents[index], studio.weights.id)
        return {**text([result.seeds[index]]), images.LATENT_KEY: line}

    if output is not None:
        labels = carried(0) if len(result.seeds) == 1 else text(result.seeds)
        images.save_picture(Path(output), images.grid(result.images), labels)
        return [Path(output)]
    if outdir is None:
        return []
    files = [Path(outdir) / f"seed{seed:04d}.png" for seed in result.seeds]
    for index, path in enumerate(files):
        images.save_picture(path, result.images[index], carried(index))
    return files
