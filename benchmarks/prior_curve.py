"""What the prior costs reconstructions and gains for mixes: its weight is chosen from this.

    python benchmarks/prior_curve.py FOLDER --checkpoint RUN/checkpoint-N.pt [--count 64]
        [--weights W] [--sheet mixes.png]

FOLDER holds pictures framed as the training faces were; those kept out of training are used.
It prints for each prior the PSNR of their inversions, the length of their latents, and how real
their mixes look: the logit that the run's discriminator gives them, and FD-random against the real
faces. The logits of drawn and real faces come first. ``--sheet`` shows the first mixes, one row per
prior.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neuralid import weights
from neuralid.core.device import pick_precision
from neuralid.core.memory import keep_freed_memory
from neuralid.data.dataset import BY_NAME, is_held_out, list_pictures
from neuralid.faces.config import CropConfig
from neuralid.faces.crop import crop_face
from neuralid.latents.config import InvertConfig
from neuralid.latents.inversion import invert
from neuralid.latents.latent import draw_latents
from neuralid.models.building import build_discriminator, build_drawer
from neuralid.models.drawing import draw_faces
from neuralid.models.network import DiscriminatorNetwork
from neuralid.pictures import images
from neuralid.training.metrics.frechet import fd_random

PRIORS = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
SHOWN = 10
STEPS = (1, 5, 11, 17)  # how far the mixed photos are from each other in the list


def held_out(folder: Path, size: int, count: int = 512) -> Tensor:
    """Real faces kept out of training: ``(N, 3, S, S)``."""
    names = [entry.name for entry in list_pictures(folder) if is_held_out(entry.name, BY_NAME)]
    chosen = np.random.default_rng(1).permutation(names)[:count]
    crops = [crop_face(images.load_rgb(folder / n), size, CropConfig()) for n in chosen]
    return images.to_tensor(np.stack(crops))


def mixed(latents: Tensor) -> Tensor:
    """Means of each latent and a few others: ``(N, Z) -> (4 N, Z)``."""
    return torch.cat([(latents + latents.roll(step, 0)) / 2 for step in STEPS])


def judge(path: Path, loaded: weights.Weights) -> DiscriminatorNetwork:
    discriminator = build_discriminator(loaded.description.model, torch.Generator())
    state = torch.load(path, map_location="cpu", weights_only=True)["discriminator"]
    discriminator.load_state_dict(state)
    return discriminator.eval().requires_grad_(False)


def logit(discriminator: DiscriminatorNetwork, faces: Tensor) -> float:
    return float(torch.cat([discriminator(part) for part in faces.split(64)]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--weights")
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()

    keep_freed_memory()
    loaded = weights.load_weights(options.weights)
    generator, size = build_drawer(loaded.generator), loaded.description.model.size
    real = held_out(options.folder, size)
    discriminator = judge(options.checkpoint, loaded)
    drawn = draw_faces(generator, draw_latents(generator, range(512)))
    print(f"logit of real faces {logit(discriminator, real):.2f}, ", end="")
    print(f"of drawn ones {logit(discriminator, drawn):.2f}; FD {fd_random(real, drawn):.3f}")

    precision, rows = pick_precision("auto", torch.device("cpu")), []
    for prior in PRIORS:
        parts = [
            invert(
                generator,
                part,
                InvertConfig(prior=prior),
                coordinates=loaded.coordinates,
                encoder=loaded.encoder,
                precision=precision,
            )
            for part in real[: options.count].split(16)
        ]
        latents = torch.cat([part.latents for part in parts])
        quality = torch.cat([part.psnr for part in parts])
        between = mixed(latents)
        mixes = draw_faces(generator, between)
        rows.append(mixes[:SHOWN])
        lengths = [float(z.norm(dim=1).mean()) for z in (latents, between)]
        print(
            f"prior {prior:5.3f}: {quality.mean():.2f} dB, length {lengths[0]:5.2f}; mixes: length "
            f"{lengths[1]:5.2f}, logit {logit(discriminator, mixes):6.2f}, "
            f"FD {fd_random(real, mixes):.3f}",
            flush=True,
        )
    if options.sheet is not None:
        faces = images.to_uint8(torch.cat([real[:SHOWN], *rows]))
        images.save_picture(options.sheet, images.grid(faces, columns=SHOWN))


if __name__ == "__main__":
    main()
