"""What each ingredient of a recipe is worth: train every variant alike, then judge it.

    python benchmarks/recipes.py FOLDER [--kimg 60] [--size 56] [--out runs-recipes] [--only ...]

Each variant is one change to plain binary cross-entropy with an averaged generator, or the paper's
recipe. Judged on the pictures kept for validation: FD-random with its real-against-real floor, and
the PSNR of inversion. A variant whose run is complete is not trained again.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import neuralid
from neuralid import weights
from neuralid.data.dataset import load_dataset
from neuralid.faces.config import CropConfig
from neuralid.latents.latent import draw_latents
from neuralid.models.building import build_drawer
from neuralid.models.drawing import draw_faces
from neuralid.models.recipe import RECIPES, Recipe
from neuralid.pictures import images
from neuralid.training.metrics.frechet import fd_random

PLAIN = Recipe("plain", ema=0.999, dropout_g=0.0)
VARIANTS = {
    recipe.name: recipe
    for recipe in (
        RECIPES["paper"],
        PLAIN,
        replace(PLAIN, name="smooth", real_label=0.9),
        replace(PLAIN, name="r1", r1=0.02),
        replace(PLAIN, name="augment", augment="color,translation"),
        replace(PLAIN, name="ttur", learning_rate_d=4e-4),  # now "stable"
        replace(PLAIN, name="ttur-smooth", learning_rate_d=4e-4, real_label=0.9),
    )
}


def judge(path: Path, faces: torch.Tensor, photos: list[Path]) -> tuple[float, float]:
    """FD-random against the validation faces, and the mean PSNR of inverting the photos."""
    generator = build_drawer(weights.load_weights(path).generator)
    drawn = draw_faces(generator, draw_latents(generator, range(len(faces))))
    found = neuralid.invert(photos, align=False, model=path)
    return fd_random(faces, drawn), statistics.mean(item.psnr for item in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kimg", type=float, default=60)
    parser.add_argument("--size", type=int, default=56)
    parser.add_argument("--out", type=Path, default=Path("runs-recipes"))
    parser.add_argument("--only", nargs="*", default=list(VARIANTS))
    options = parser.parse_args()

    data = load_dataset(
        options.folder, options.size, CropConfig(), weights.cache_folder() / "datasets"
    )
    held_out = data.validation()
    faces = images.to_tensor(np.asarray(data.images[held_out]))
    photos = [options.folder / data.names[i] for i in held_out[:20]]
    half = len(faces) // 2
    print(f"floor: FD-random {fd_random(faces[:half], faces[half:]):.3f} (half the faces each)")
    for name in options.only:
        path = options.out / f"{name}.safetensors"
        if not path.exists():
            run = neuralid.train(
                options.folder,
                out=options.out,
                name=name,
                recipe=VARIANTS[name],
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
