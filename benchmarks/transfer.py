"""A few hundred pictures: training from nothing against training from weights that know faces.

    python benchmarks/transfer.py FEW OTHERS [--from faces-112] [--kimg 20]

FEW is trained on, OTHERS of the same kind judge: folders or zips of framed faces. Prints FD-random
of drawn faces against the others, as many as they are, for the weights as they were and for both
runs; and for real pictures, half of the others against the other half.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from torch import Tensor

import neuralid
from neuralid import weights, weights_cache
from neuralid.core.home import cache_folder
from neuralid.data.dataset import load_dataset
from neuralid.faces.config import CropConfig
from neuralid.latents.latent import draw_latents
from neuralid.models.building import build_drawer
from neuralid.models.drawing import draw_faces
from neuralid.pictures import images
from neuralid.training.metrics.frechet import fd_random


def read(pictures: Path, size: int) -> Tensor:
    data = load_dataset(pictures, size, CropConfig(), cache_folder() / "datasets")
    return images.to_tensor(np.asarray(data.images))


def judge(path: Path, real: Tensor) -> float:
    """FD-random of as many faces as there are real ones, drawn without truncation."""
    drawer = build_drawer(weights.load_weights(path).generator)
    return fd_random(real, draw_faces(drawer, draw_latents(drawer, range(len(real)))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("few", type=Path)
    parser.add_argument("others", type=Path)
    parser.add_argument("--from", dest="start", default="faces-112")
    parser.add_argument("--kimg", type=float, default=20)
    options = parser.parse_args()
    start = weights_cache.find_weights(options.start)
    model = weights.load_weights(start).description.model
    real = read(options.others, model.size)
    half = len(real) // 2
    print(f"real, half and half   {fd_random(real[:half], real[half:]):.3f}")
    print(f"the weights as they are {judge(start, real):.3f}", flush=True)
    for name, origin in (("from them", options.start), ("from nothing", None)):
        with tempfile.TemporaryDirectory() as out:
            run = neuralid.train(
                options.few,
                out=out,
                name="transfer",
                architecture=model.architecture,
                size=model.size,
                from_weights=origin,
                kimg=options.kimg,
                snapshot=options.kimg,
            )
            assert run.weights is not None
            print(f"{name:21} {judge(run.weights, real):.3f}", flush=True)


if __name__ == "__main__":
    main()
