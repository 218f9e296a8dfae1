"""Inversion of real faces kept out of training, or of drawn ones: PSNR, and seconds per photo.

    python benchmarks/inversion.py FOLDER [--count 50] [--fidelity NAME] [--weights W] [--framed]
    python benchmarks/inversion.py --drawn 100

FOLDER holds pictures framed as the training faces were. Those that training never sees (a
twentieth, by hash of the file name) are used. For drawn faces it prints how many are recovered at
more than 35 dB.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np

import neuralid
from neuralid.data.dataset import BY_NAME, is_held_out, list_pictures
from neuralid.latents.config import InvertConfig

RECOVERED = 35.0  # dB


def photos_in(folder: Path, count: int) -> list[Path]:
    names = [entry.name for entry in list_pictures(folder) if is_held_out(entry.name, BY_NAME)]
    return [folder / name for name in np.random.default_rng(0).permutation(names)[:count]]


def report(found: list[neuralid.Inverted], fidelity: str) -> None:
    psnr = [item.psnr for item in found]
    lengths = [float(item.latent.norm()) for item in found]
    print(f"{len(found)} photos, {fidelity}")
    print(f"PSNR {statistics.mean(psnr):.2f} dB mean, {min(psnr):.2f} least")
    print(f"above {RECOVERED:g} dB: {sum(value > RECOVERED for value in psnr)}")
    print(f"SSIM {statistics.mean(item.ssim for item in found):.3f}")
    print(f"seconds per photo {statistics.mean(item.seconds for item in found):.2f}")
    print(f"latent length {statistics.mean(lengths):.2f} (a typical draw's: 10)")
    print(f"evaluations {statistics.mean(item.evaluations for item in found):.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--drawn", type=int, help="invert N drawn faces, not photos", metavar="N")
    parser.add_argument("--fidelity", default=InvertConfig.fidelity)
    parser.add_argument("--weights")
    parser.add_argument("--framed", action="store_true", help="take the pictures as they are")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        if options.drawn:
            seeds = range(1000, 1000 + options.drawn)
            drawn = neuralid.sample(seeds=seeds, model=options.weights)
            photos = [face.save(Path(folder) / f"{face.seed}.png") for face in drawn]
        else:
            photos = photos_in(options.folder, options.count)
        found = neuralid.invert(
            photos,
            fidelity=options.fidelity,
            align=not options.framed,
            model=options.weights,
        )
    report(found, options.fidelity)


if __name__ == "__main__":
    main()
