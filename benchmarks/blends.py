"""How real the mixes of each blend look: the evidence for the default.

    python -m benchmarks.blends FOLDER --checkpoint RUN/checkpoint-N.pt [--count 48] [--weights W]
        [--sheet blends.png]

FOLDER holds pictures framed as the training faces were; pairs of those kept out of training are
mixed. It prints for each blend the mixes' latent length, the logit that the run's discriminator
gives them, and FD-random against real faces, and the same for the inversions themselves.
``--sheet`` shows pairs and their mixes, one row per pair.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from neuralid import weights
from neuralid.core.device import pick_precision
from neuralid.core.memory import keep_freed_memory
from neuralid.latents.inversion import invert
from neuralid.latents.mixing import BLENDS, mix_latents
from neuralid.models.building import build_drawer
from neuralid.models.drawing import draw_faces
from neuralid.pictures import images
from neuralid.training.metrics.frechet import fd_random

from .prior_curve import STEPS, held_out, judge, logit

ROWS = 8


def all_mixed(latents: Tensor, blend: str) -> Tensor:
    """Each latent with a few others: ``(N, Z) -> (4 N, Z)``."""
    pairs = torch.cat([torch.stack([latents, latents.roll(s, 0)], 1) for s in STEPS])
    return torch.stack([mix_latents(pair, None, blend) for pair in pairs])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--weights")
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()

    keep_freed_memory()
    loaded = weights.load_weights(options.weights)
    generator, size = build_drawer(loaded.generator), loaded.description.model.size
    real, discriminator = held_out(options.folder, size), judge(options.checkpoint, loaded)
    latents = torch.cat(
        [
            invert(
                generator,
                part,
                coordinates=loaded.coordinates,
                encoder=loaded.encoder,
                precision=pick_precision("auto", torch.device("cpu")),
            ).latents
            for part in real[: options.count].split(16)
        ]
    )
    sheets = [
        draw_faces(generator, latents[:ROWS]),
        draw_faces(generator, latents.roll(1, 0)[:ROWS]),
    ]
    for name, z in [
        ("inversions", latents),
        *((blend, all_mixed(latents, blend)) for blend in BLENDS),
    ]:
        faces = draw_faces(generator, z)
        sheets.append(faces[:ROWS])
        print(
            f"{name:10} length {z.norm(dim=1).mean():5.2f}, logit "
            f"{logit(discriminator, faces):6.2f}, FD {fd_random(real, faces):.3f}",
            flush=True,
        )
    if options.sheet is not None:
        rows = torch.stack([*sheets[:2], *sheets[3:]], 1).flatten(0, 1)
        images.save_picture(options.sheet, images.grid(images.to_uint8(rows), columns=5))


if __name__ == "__main__":
    main()
