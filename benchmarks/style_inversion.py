"""Crops and reconstructions of photos for a judge of likeness, with seconds per photo.

    python benchmarks/style_inversion.py FOLDER OUT [--framed] [--count 40] [--weights W]
        [--fidelity NAME ...] [--alone 4]

FOLDER holds photos; with ``--framed`` they are framed as the training faces are, and only those
that training never sees (a twentieth, by hash of the file name) are used. Photos are inverted in
batches of 8, and the first few (``--alone``) once more, each by itself. For each fidelity OUT/NAME
gets the crops, the reconstructions and ``pairs.csv`` with the columns photo, reconstruction: what a
program that knows faces needs to say whether the right person is nearest. ``OUT/sheet-NAME.png``
shows them, each photo above its reconstruction.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import neuralid
from neuralid.core.memory import keep_freed_memory
from neuralid.data.dataset import BY_NAME, is_held_out, list_pictures
from neuralid.latents.config import FIDELITIES
from neuralid.pictures import images

BATCH = 8
COLUMNS = 10  # of a sheet


def photos_in(folder: Path, count: int, framed: bool) -> list[Path]:
    names = [entry.name for entry in list_pictures(folder)]
    names = [name for name in names if not framed or is_held_out(name, BY_NAME)]
    return [folder / name for name in np.random.default_rng(0).permutation(names)[:count]]


def write(found: Sequence[neuralid.Inverted], folder: Path) -> None:
    """The crops, the reconstructions, and the table of both."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for item in found:
        places = [folder / f"{Path(item.name).stem}-{kind}.png" for kind in ("photo", "found")]
        images.save_picture(places[0], item.target)
        images.save_picture(places[1], item.reconstruction)
        rows.append(places)
    with (folder / "pairs.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["photo", "reconstruction"], *rows])


def write_sheet(found: Sequence[neuralid.Inverted], path: Path) -> None:
    cells = []
    for start in range(0, len(found), COLUMNS):
        row = found[start : start + COLUMNS]
        blank = [np.full_like(row[0].target, 255)] * (COLUMNS - len(row))
        cells += [*(item.target for item in row), *blank]
        cells += [*(item.reconstruction for item in row), *blank]
    images.save_picture(path, images.grid(np.stack(cells), columns=COLUMNS))


def invert(
    studio: neuralid.Studio, photos: list[Path], fidelity: str, framed: bool, batch: int
) -> tuple[list[neuralid.Inverted], float, float]:
    """What is found, seconds a photo, and the processor's seconds a photo."""
    found: list[neuralid.Inverted] = []
    started, busy = time.perf_counter(), time.process_time()
    for start in range(0, len(photos), batch):
        part = photos[start : start + batch]
        found += studio.invert(part, fidelity=fidelity, align=not framed)
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    return found, seconds / len(found), busy / len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--framed", action="store_true")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--weights")
    parser.add_argument("--fidelity", nargs="+", default=list(FIDELITIES), choices=FIDELITIES)
    parser.add_argument("--alone", type=int, default=4)
    options = parser.parse_args()

    keep_freed_memory()
    photos = photos_in(options.folder, options.count, options.framed)
    studio = neuralid.open(options.weights)
    studio.invert(photos[:1], fidelity="fast", align=not options.framed)  # the first is slower
    for name in options.fidelity:
        for batch, some in ((BATCH, photos), (1, photos[: options.alone])):
            if not some:
                continue
            found, seconds, busy = invert(studio, some, name, options.framed, batch)
            mean = statistics.mean(item.psnr for item in found)
            print(
                f"{name:9} {len(found):3} photos, {batch} at a time: {mean:.2f} dB, "
                f"{seconds:.2f} s a photo, {busy:.2f} of the processor, load {load():.1f}",
                flush=True,
            )
            if batch == BATCH:
                write(found, options.out / name)
                write_sheet(found, options.out / f"sheet-{name}.png")


def load() -> float:
    """How many processes wanted a core in the last minute."""
    return os.getloadavg()[0]


if __name__ == "__main__":
    main()
