"""How near the faces of any weights are to real ones, next to real faces against real ones.

    python benchmarks/quality.py FOLDER [--weights W] [--rounds 4] [--most 2000] [--page DIR]
    python benchmarks/quality.py FOLDER --cost
    python benchmarks/quality.py --log RUN/log.jsonl

FOLDER holds the pictures the weights were trained on. Drawn faces are compared with those kept for
validation, which training never sees; for the floors training faces take their place. Each round
draws other faces and takes other real ones for the floors: a difference means something only if it
exceeds the spread of the rounds. ``--page`` shows the nearest training faces in
DIR/neighbours.html. ``--cost`` prints how many pictures could be trained on in the time that a
snapshot's metrics take; ``--log`` prints what share of a run's time they took.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import torch

from neuralid import weights
from neuralid.core.device import pick_precision
from neuralid.core.home import cache_folder
from neuralid.core.memory import keep_freed_memory
from neuralid.data.dataset import Dataset, load_dataset
from neuralid.faces.config import CropConfig, Frame
from neuralid.latents import latent
from neuralid.models.building import build_drawer
from neuralid.models.drawing import Drawer, draw_faces
from neuralid.training.batches import Batches
from neuralid.training.config import TrainConfig
from neuralid.training.loop import train_loop
from neuralid.training.metrics.case import Case
from neuralid.training.metrics.features import Faces
from neuralid.training.metrics.inversion import INVERTED
from neuralid.training.metrics.judge import Judge
from neuralid.training.metrics.neighbours import FEWEST, Study, study
from neuralid.training.metrics.sets import RealFaces, shuffle_indices, take
from neuralid.training.metrics.table import METRICS, groups
from neuralid.training.runs.history import History
from neuralid.training.runs.neighbours_page import write_neighbours
from neuralid.training.state import TrainState

Values = dict[str, float]


def rounds_of(
    generator: Drawer, faces: Dataset, rounds: int, most: int
) -> Iterator[tuple[Values, Values, torch.Tensor]]:
    """Each round's metrics, its floors, and the faces it drew."""
    kept, order = len(faces.validation()), shuffle_indices(faces.training(), faces.validation())
    count = min(most, kept) if kept >= FEWEST else len(order) // (rounds + 1)
    real = Faces(take(faces.images, order[:count]))
    precision = pick_precision("auto", torch.device("cpu"))
    for i in range(rounds):
        z = latent.draw_latents(generator, range(i * count, (i + 1) * count))
        drawn = Faces(draw_faces(generator, z))
        end = len(order) - i * count
        others = Faces(take(faces.images, order[end - count : end]))
        photos = real.pictures[:kept][i * INVERTED : (i + 1) * INVERTED]
        case = Case(RealFaces(real, others, photos), drawn, generator, precision)
        values, floors = Values(), Values()
        for group in groups():
            if group.count(case.real):
                values |= group.measure(case)
                floors |= group.find_floor(case)
        yield values, floors, drawn.pictures


def table(values: list[Values], floors: list[Values]) -> Iterator[str]:
    """Markdown: the mean of all rounds and, after it, their standard deviation."""
    yield "| metric | better | floor: real against real | these weights |"
    yield "|---|---|---|---|"
    for name, metric in METRICS.items():
        cells = [_cell([each[name] for each in rows if name in each]) for rows in (floors, values)]
        yield f"| {metric.label} | {metric.better} | {cells[0]} | {cells[1]} |"


def _cell(values: list[float]) -> str:
    if not values:
        return "-"
    mean = statistics.mean(values)
    spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
    return f"{mean:.3g}{spread}" if abs(mean) < 100 else f"{mean:.0f}{spread}"


def nearest(found: Study) -> Iterator[str]:
    for each in found.comparisons:
        yield (
            f"nearest by {each.name}, of {each.searched}: {float(each.drawn.nearest.median()):.3g} "
            f"median of drawn faces, {float(each.real.nearest.median()):.3g} of held-out ones; "
            f"{each.near():.1%} of drawn ones are nearer than the nearest 1% of held-out ones, "
            f"{each.alone():.1%} more alone with their nearest"
        )


def share_of_time(log: Path) -> str:
    history = History.read(log)
    last = (history.measured[-1].seconds or 0.0) if history.measured else 0.0
    before = history.judging - last
    return (
        f"{before:.1f} of {history.seconds:.0f} s went into metrics, "
        f"{before / max(history.seconds, 1e-9):.1%}; and at the end {last:.1f} s into all of them"
    )


def cost(loaded: weights.Weights, faces: Dataset) -> Iterator[str]:
    """The cost of all metrics, in pictures that could be trained on meanwhile; processor time."""
    cpu = torch.device("cpu")
    precision = pick_precision("auto", cpu)
    real = RealFaces.choose(faces.images, faces.training(), faces.validation())
    judge = Judge(real, precision, clock=time.process_time)
    generator = build_drawer(loaded.generator)
    first = judge.measure(generator, must=True).seconds
    again = judge.measure(generator, must=True).seconds
    config = TrainConfig(kimg=0.512)
    batches = Batches(faces.images, faces.training(), 0, True)
    state, times = TrainState.fresh(loaded.description.model, config, cpu), [0.0]
    train_loop(
        state,
        batches,
        config,
        precision,
        on_step=lambda step: times.append(time.process_time()),
        on_snapshot=lambda state: None,
        go_back=lambda: None,
        should_stop=lambda: False,
    )
    steps = [b - a for a, b in pairwise(times[2:])]
    pictures = config.batch / statistics.median(steps)
    yield f"all metrics: {again:.1f} s, as long as training on {again * pictures:.0f} pictures"
    yield f"with the floors, once: {first:.1f} s, {first * pictures:.0f} pictures"


def measure(options: argparse.Namespace) -> None:
    loaded = weights.load_weights(options.weights)
    known = loaded.description
    faces = load_dataset(
        options.folder,
        known.model.size,
        CropConfig(**known.crop),
        cache_folder() / "datasets",
        frame=Frame() if options.align else None,
    )
    print(f"{len(faces.names)} faces, {len(faces.validation())} of them held out", flush=True)
    if options.cost:
        print("\n".join(cost(loaded, faces)))
        return
    generator = build_drawer(loaded.generator)
    found = list(rounds_of(generator, faces, options.rounds, options.most))
    print("\n".join(table([v for v, _, _ in found], [f for _, f, _ in found])), flush=True)
    drawn = torch.cat([drawn for _, _, drawn in found])
    page = study(drawn, faces.images, faces.training(), faces.validation())
    print("\n".join(nearest(page)))
    if options.page is not None:
        options.page.mkdir(parents=True, exist_ok=True)
        seen = known.images_seen / 1000
        print(write_neighbours(options.page, page, faces.images, faces.names, seen))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--weights")
    parser.add_argument("--align", action="store_true", help="if the weights were trained so")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--most", type=int, default=2000, help="faces in each set")
    parser.add_argument("--page", type=Path)
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--log", type=Path)
    options = parser.parse_args()
    if options.log is not None:
        print(share_of_time(options.log))
    if options.folder is not None:
        keep_freed_memory()
        measure(options)


if __name__ == "__main__":
    main()
