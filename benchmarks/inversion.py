"""Inversion of real faces kept out of training: PSNR and seconds a photo.

    python benchmarks/inversion.py FOLDER [--count 50] [--steps 50] [--weights W]

FOLDER holds pictures framed as the training faces were. Those that training never sees (a
twentieth, by hash of the file name) are used.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np

import neuralid
from neuralid.config import InvertConfig
from neuralid.dataset import is_held_out, list_pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--steps", type=int, default=InvertConfig.steps)
    parser.add_argument("--weights")
    parser.add_argument("--framed", action="store_true", help="take the pictures as they are")
    options = parser.parse_args()

    names = [entry.name for entry in list_pictures(options.folder) if is_held_out(entry.name)]
    chosen = np.random.default_rng(0).permutation(names)[: options.count]
    photos = [options.folder / name for name in chosen]
    found = neuralid.invert(
        photos, steps=options.steps, align=not options.framed, weights=options.weights
    )

    psnr = [item.psnr for item in found]
    lengths = [float(item.latent.norm()) for item in found]
    print(f"{len(found)} photos, {options.steps} steps")
    print(f"PSNR {statistics.mean(psnr):.2f} dB mean, {min(psnr):.2f} least")
    print(f"seconds a photo {statistics.mean(item.seconds for item in found):.2f}")
    print(f"latent length {statistics.mean(lengths):.2f} (a typical draw's: 10)")
    print(f"evaluations {statistics.mean(item.evaluations for item in found):.0f}")


if __name__ == "__main__":
    main()
