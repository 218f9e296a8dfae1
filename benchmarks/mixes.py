"""Mixes of pairs of photos for a judge of likeness, with seconds per pair.

    python -m benchmarks.mixes FOLDER OUT [--framed] [--pairs 40] [--weights W]

Photos are chosen as in `style_inversion.py`; each is in one pair. Both are inverted together, at
default settings, and mixed half and half by each blend. OUT gets the crops, the mixes and
``pairs.csv`` with the columns a, b, one for each blend, and average, the mean of the two crops'
pixels: what a program that knows faces needs to say whose child it sees. ``OUT/sheet.png`` shows
the pairs in columns: a, the mean, that mean rescaled, b.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np

import neuralid
from neuralid.core.memory import keep_freed_memory
from neuralid.latents.mixing import BLENDS
from neuralid.pictures import images

from .style_inversion import photos_in

SHOWN = BLENDS[:2]


def mix_pair(
    studio: neuralid.Studio, pair: list[Path], framed: bool
) -> tuple[dict[str, np.ndarray], float]:
    """The pictures by column, and the seconds it took to have one mix."""
    started = time.perf_counter()
    a, b = studio.invert(pair, align=not framed, together=True)
    studio.mix([a, b], scale=1)
    seconds = time.perf_counter() - started
    mixed = {blend: studio.mix([a, b], blend=blend, scale=1).image for blend in BLENDS}
    average = ((a.target.astype(int) + b.target + 1) // 2).astype(np.uint8)
    return {"a": a.target, "b": b.target, **mixed, "average": average}, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--framed", action="store_true")
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--weights")
    options = parser.parse_args()

    keep_freed_memory()
    photos = photos_in(options.folder, 2 * options.pairs, options.framed)
    studio = neuralid.open(options.weights)
    options.out.mkdir(parents=True, exist_ok=True)
    rows, columns, spent = [], [], []
    for number, pair in enumerate(zip(photos[::2], photos[1::2], strict=False)):
        found, seconds = mix_pair(studio, list(pair), options.framed)
        spent.append(seconds)
        places = {name: options.out / f"{number:02}-{name}.png" for name in found}
        for name, place in places.items():
            images.save_picture(place, found[name])
        rows.append(places)
        columns.append(images.vstack([found[name] for name in ("a", *SHOWN, "b")]))
        print(f"{number + 1} pairs, {np.median(spent):.1f} s a pair", flush=True)
    with (options.out / "pairs.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    images.save_picture(options.out / "sheet.png", images.hstack(columns))


if __name__ == "__main__":
    main()
