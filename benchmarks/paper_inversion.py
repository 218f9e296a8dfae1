"""The paper's own inversion against this program's, on real faces kept out of training.

    python benchmarks/paper_inversion.py FOLDER [--count 3] [--batch 16] [--weights W]

FOLDER holds pictures framed as the training faces were. The paper's `gan_reverse` (section 3.3):
a random start, SciPy's L-BFGS-B, 50 rounds of at most 20 evaluations each, one photo at a time, on
the plain network. Then the same photos inverted here, alone and in a batch, at default settings.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import fmin_l_bfgs_b  # type: ignore[import-untyped]
from speed import plainly
from torch import Tensor

import neuralid
from neuralid import images, weights
from neuralid.config import LATENT_STD, CropConfig
from neuralid.crop import crop_face
from neuralid.dataset import is_held_out, list_pictures
from neuralid.models.dcgan import Generator
from neuralid.quality import psnr

ROUNDS, EVALUATIONS = 50, 20


def gan_reverse(network: Generator, face: Tensor, rng: np.random.Generator) -> Tensor:
    """The paper's procedure: a face ``(1, 3, S, S)`` -> a latent ``(1, Z)``."""
    size = network.config.latent_size

    def loss_and_gradient(values: np.ndarray) -> tuple[float, np.ndarray]:
        z = torch.tensor(values.reshape(1, size), dtype=torch.float32, requires_grad=True)
        loss = (face - network(z)).square().sum()
        (gradient,) = torch.autograd.grad(loss, z)
        return loss.item(), gradient.double().numpy().ravel()

    z: np.ndarray = rng.normal(0, LATENT_STD, size)
    for _ in range(ROUNDS):
        z, _, _ = fmin_l_bfgs_b(loss_and_gradient, z, maxfun=EVALUATIONS)
    return torch.tensor(z.reshape(1, size), dtype=torch.float32)


def report(name: str, quality: list[float], lengths: list[float], seconds: float) -> None:
    print(
        f"{name:24} {statistics.mean(quality):6.2f} dB mean, {min(quality):6.2f} least, "
        f"latent length {statistics.mean(lengths):5.2f}, {seconds:7.2f} s a photo",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=3, help="photos for the paper's procedure")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--weights")
    options = parser.parse_args()

    names = [entry.name for entry in list_pictures(options.folder) if is_held_out(entry.name)]
    chosen = np.random.default_rng(0).permutation(names)[: options.batch]
    photos = [options.folder / name for name in chosen]
    loaded = weights.load_weights(options.weights)
    side = loaded.description.model.size
    faces = images.to_tensor(
        np.stack([crop_face(images.load_rgb(photo), side, CropConfig()) for photo in photos])
    )

    network = loaded.generator
    plainly(network)
    started, rng = time.perf_counter(), np.random.default_rng(0)
    found = torch.cat([gan_reverse(network, face[None], rng) for face in faces[: options.count]])
    seconds = (time.perf_counter() - started) / options.count
    with torch.no_grad():
        quality = psnr(network(found), faces[: options.count]).tolist()
    report(f"the paper's, {options.count} photos", quality, found.norm(dim=1).tolist(), seconds)

    for name, part in (
        (f"here, the same {options.count}", photos[: options.count]),
        ("here, one alone", photos[:1]),
        (f"here, a batch of {len(photos)}", photos),
    ):
        results = neuralid.invert(part, align=False, weights=options.weights)
        lengths = [float(item.latent.norm()) for item in results]
        report(
            name, [r.psnr for r in results], lengths, statistics.mean(r.seconds for r in results)
        )


if __name__ == "__main__":
    main()
