"""What a step along each direction of the weights does: a reader's score, from -2 to +2.

    python benchmarks/directions.py --utkface DIR --celeba DIR [--weights W] [--count 256]

The reader is a small network trained here on real faces (UTKFace's and CelebA's, as
tools/default_weights.py frames them), not the one that measured the directions: another seed
and other faces kept out. Scores are in standard deviations of the real faces: the mean over drawn
faces, each moved by ``step`` times the direction. Beside them are the step's effects on the other
attributes, and how far it moves the pixels, as a share of the way to another person's face.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from neuralid import weights
from neuralid.core.device import pick_precision
from neuralid.core.memory import keep_freed_memory
from neuralid.latents import latent
from neuralid.models.building import build_drawer
from neuralid.models.drawing import draw_faces
from neuralid.training.finish.reader import read, train_reader

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from default_weights import both

STEPS = (-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2)
SEED = 77


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--utkface", type=Path, required=True)
    parser.add_argument("--celeba", type=Path, required=True)
    parser.add_argument("--weights")
    parser.add_argument("--count", type=int, default=256)
    options = parser.parse_args()

    keep_freed_memory()
    loaded = weights.load_weights(options.weights)
    generator, model = build_drawer(loaded.generator), loaded.description.model
    faces, known = both(options.utkface, options.celeba, model.size, most=100_000)
    cpu = torch.device("cpu")
    trained = train_reader(
        faces,
        known.standardised()[0],
        seed=SEED,
        device=cpu,
        precision=pick_precision("auto", cpu),
    )
    assert trained is not None
    reader, accuracy = trained
    for name, share in zip(known.names, accuracy, strict=True):
        print(f"reader of {name}: correlation {share:.3f} on faces it never saw")

    z = latent.draw_latents(generator, range(10_000, 10_000 + options.count))
    drawn = draw_faces(generator, z)
    apart = (drawn - drawn.roll(1, 0)).abs().mean()
    before = read(reader, drawn)
    print("| direction | step | " + " | ".join(known.names) + " | pixels moved | grew |")
    print("|" + "---|" * (len(known.names) + 4))
    for name, direction in loaded.directions.items():
        column = known.names.index(name)
        for step in STEPS:
            moved = draw_faces(generator, z + step * direction.vector)
            change = read(reader, moved) - before
            scores = " | ".join(f"{value:+.2f}" for value in change.mean(0).tolist())
            share = float((moved - drawn).abs().mean() / apart)
            grew = float(np.mean((change[:, column] * np.sign(step) > 0).numpy())) if step else 1.0
            print(f"| {name} | {step:+g} | {scores} | {share:.2f} | {grew:.0%} |")


if __name__ == "__main__":
    main()
