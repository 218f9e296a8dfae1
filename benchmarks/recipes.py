"""What each ingredient of a recipe is worth: train every variant alike, then judge it.

    python benchmarks/recipes.py FOLDER [--kimg 60] [--size 56] [--out runs-recipes] [--only ...]
    python benchmarks/recipes.py FOLDER --architecture style --size 28

Each variant is one change to plain binary cross-entropy with an averaged generator, or a recipe
that ships. Judged on the pictures kept for validation: FD-random with its real-against-real floor,
and the PSNR of inversion where the architecture has an encoder. A variant whose run is complete is
not trained again.
"""

from __future__ import annotations

import argparse
import math
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import neuralid
from neuralid import weights
from neuralid.core.home import cache_folder
from neuralid.data.dataset import load_dataset
from neuralid.faces.config import CropConfig
from neuralid.latents.latent import draw_latents
from neuralid.models.building import build_drawer
from neuralid.models.drawing import draw_faces
from neuralid.models.recipe import RECIPES, Recipe
from neuralid.pictures import images
from neuralid.training.metrics.frechet import fd_random

PLAIN = Recipe("plain", ema=0.999, dropout_g=0.0)
STYLE = RECIPES["style"]
BARE = replace(STYLE, name="bare", r1=0.0, augment="", augment_p=1.0, augment_target=0.0)
VARIANTS = {
    "dcgan": (
        RECIPES["paper"],
        PLAIN,
        replace(PLAIN, name="smooth", real_label=0.9),
        replace(PLAIN, name="r1", r1=0.02),
        replace(PLAIN, name="augment", augment="color,translation"),
        replace(PLAIN, name="ttur", learning_rate_d=4e-4),  # now "stable"
        replace(PLAIN, name="ttur-smooth", learning_rate_d=4e-4, real_label=0.9),
    ),
    "style": (
        STYLE,
        BARE,
        replace(BARE, name="bare-r1", r1=STYLE.r1),
        replace(
            BARE, name="bare-adaptive", augment=STYLE.augment, augment_p=0.4, augment_target=0.6
        ),
        replace(BARE, name="bare-fixed", augment=STYLE.augment, augment_p=0.2),
        replace(BARE, name="bare-last", ema_half_life=0.0),
        replace(BARE, name="bare-slow", learning_rate_g=2e-4, learning_rate_d=2e-4),
        replace(BARE, name="bare-momentum", beta1=0.5, beta2=0.999),
    ),
}


def judge(path: Path, faces: torch.Tensor, photos: list[Path]) -> tuple[float, float]:
    """FD-random against the validation faces, and the mean PSNR of inverting the photos, or NaN."""
    loaded = weights.load_weights(path)
    generator = build_drawer(loaded.generator)
    drawn = draw_faces(generator, draw_latents(generator, range(len(faces))))
    distance = fd_random(faces, drawn)
    if loaded.encoder is None:
        return distance, math.nan
    found = neuralid.invert(photos, align=False, model=path)
    return distance, statistics.mean(item.psnr for item in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kimg", type=float, default=60)
    parser.add_argument("--size", type=int, default=56)
    parser.add_argument("--out", type=Path, default=Path("runs-recipes"))
    parser.add_argument("--architecture", choices=list(VARIANTS), default="dcgan")
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    variants = {recipe.name: recipe for recipe in VARIANTS[options.architecture]}

    data = load_dataset(options.folder, options.size, CropConfig(), cache_folder() / "datasets")
    held_out = data.validation()
    faces = images.to_tensor(np.asarray(data.images[held_out]))
    photos = [options.folder / data.names[i] for i in held_out[:20]]
    half = len(faces) // 2
    print(f"floor: FD-random {fd_random(faces[:half], faces[half:]):.3f} (half the faces each)")
    for name in options.only or variants:
        path = options.out / f"{name}.safetensors"
        if not path.exists():
            run = neuralid.train(
                options.folder,
                out=options.out,
                name=name,
                recipe=variants[name],
                architecture=options.architecture,
                size=options.size,
                kimg=options.kimg,
                snapshot=options.kimg,
            )
            assert run.weights is not None
            path.write_bytes(run.weights.read_bytes())
        distance, psnr = judge(path, faces, photos)
        print(f"{name:10} FD-random {distance:7.3f}  inversion {psnr:5.2f} dB", flush=True)


if __name__ == "__main__":
    main()
