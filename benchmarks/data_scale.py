"""How fast 200,000 pictures are read and opened again, and how much memory that takes.

    python benchmarks/data_scale.py [--images 200000] [--size 56] [--work FOLDER]
    python benchmarks/data_scale.py --pictures FOLDER [--size 112]

Makes that many JPEG files of 64x64 pixels in a temporary folder (2,000 different ones, 500 MB).
Then it measures, each in its own process: reading them all into an empty cache, with processes and
with threads, against Pillow alone in one thread, in turn; opening the cache again; and one epoch of
batches from it, which touches every picture. With a folder of your own, only how they are read.
Only ratios matter: speeds depend on the machine.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from neuralid.data import ahead
from neuralid.data.ahead import count_cores, read_all
from neuralid.data.dataset import load_dataset
from neuralid.data.listing import list_pictures
from neuralid.data.reading import Cutter
from neuralid.faces.config import CropConfig
from neuralid.faces.crop import default_face_size

DIFFERENT = 2000
SAMPLE = 10_000  # pictures in each round of the comparison
ROUNDS = 5
PER_FOLDER = 10_000


def make_pictures(folder: Path, count: int) -> None:
    """Gradients with noise, as JPEG files of about 2 kB."""
    rng = np.random.default_rng(0)
    contents = []
    for _ in range(min(DIFFERENT, count)):
        ramp = np.add.outer(*rng.uniform(0, 127, (2, 64)).cumsum(1) / 64)
        noise = rng.normal(0, 8, (64, 64, 1))
        pixels = (ramp[..., None] * rng.uniform(0.5, 1.5, 3) + noise).clip(0, 255)
        buffer = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG", quality=90)
        contents.append(buffer.getvalue())
    for number in range(count):
        place = folder / f"{number // PER_FOLDER:02d}"
        if number % PER_FOLDER == 0:
            place.mkdir()
        (place / f"{number:06d}.jpg").write_bytes(contents[number % len(contents)])


def speeds(data: Path, size: int) -> dict[str, tuple[float, float]]:
    """Pictures/s, and per second of processors: medians of rounds that try each way once."""
    entries = list_pictures(data)
    entries = (entries * -(-SAMPLE // len(entries)))[:SAMPLE]
    cutter = Cutter(size, CropConfig(), None)

    def pillow() -> None:
        for entry in entries:
            with Image.open(data / entry.name) as picture:
                np.asarray(picture.convert("RGB"))

    def pillow_cut() -> None:
        for entry in entries:
            with Image.open(data / entry.name) as picture:
                side = default_face_size(*picture.size)
                left, top = (picture.width - side) // 2, (picture.height - side) // 2
                square = picture.convert("RGB").crop((left, top, left + side, top + side))
                np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))

    def read(many: int, workers: int | None) -> Callable[[], None]:
        def run() -> None:
            ahead.MANY = many
            for _ in read_all(data, entries, cutter, workers):
                pass

        return run

    ways = {
        "Pillow alone, one thread": pillow,
        "the same, that cuts and shrinks too": pillow_cut,
        "one thread": read(sys.maxsize, 1),
        f"{count_cores()} threads": read(sys.maxsize, None),
        f"{count_cores()} processes, their start included": read(1, None),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            started, used = time.perf_counter(), sum(os.times()[:4])
            way()
            times[name].append((time.perf_counter() - started, sum(os.times()[:4]) - used))
    return {name: _per_second(len(entries), taken) for name, taken in times.items()}


def _per_second(count: int, taken: list[tuple[float, float]]) -> tuple[float, float]:
    by_clock, of_processors = zip(*taken, strict=True)
    return count / statistics.median(by_clock), count / statistics.median(of_processors)


def child(task: str, data: Path, size: int, cache: Path) -> dict[str, Any]:
    """Measure one task in a process of its own: seconds, and memory in MB."""
    started = time.perf_counter(), time.process_time()
    faces = load_dataset(data, size, CropConfig(), cache)
    seconds, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
    if task == "epoch":
        from neuralid.training.batches import Batches

        chosen = np.arange(len(faces.names))
        batches = Batches(faces.images, chosen, seed=0, mirror=True)
        started = time.perf_counter(), time.process_time()
        for seen in range(0, len(chosen), 64):
            batches.after(seen, 64)
        seconds, cpu = time.perf_counter() - started[0], time.process_time() - started[1]
    return {"seconds": seconds, "cpu": cpu, "array": faces.images.nbytes / 1e6, **memory()}


def memory() -> dict[str, float]:
    """Peak memory so far, and what is held now without mapped files, in MB."""
    status = Path("/proc/self/status")
    if not status.exists():
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"peak": peak / (1e6 if sys.platform == "darwin" else 1e3), "own": float("nan")}
    values = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return {
        name: float(values[key].split()[0]) * 1.024e-3
        for name, key in (("peak", "VmHWM"), ("own", "RssAnon"))
    }


def measured(task: str, data: Path, size: int, cache: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", task, str(data), str(cache)]
    done = subprocess.run(
        [*command, "--size", str(size)], check=True, stdout=subprocess.PIPE, text=True
    )
    return dict(json.loads(done.stdout))


def report_speeds(data: Path, size: int) -> None:
    """The last column is what the cores would do if nothing else ran on them."""
    found = speeds(data, size)
    (alone, alone_cpu), (cutting, _) = list(found.values())[:2]
    print("| reading | pictures/s | against Pillow alone | with cutting | by processor time |")
    print("|---|---|---|---|---|")
    for name, (speed, by_cpu) in found.items():
        cores = count_cores() if name[0].isdigit() else 1
        shares = f"{speed / alone:.2f} | {speed / cutting:.2f} | {cores * by_cpu / alone_cpu:.2f}"
        print(f"| {name} | {speed:,.0f} | {shares} |")
    print(f"\n{count_cores()} cores, load average {os.getloadavg()[0]:.1f}", flush=True)


def report(data: Path, cache: Path, count: int, size: int) -> None:
    report_speeds(data, size)
    print(
        f"\n| {count:,} pictures at {size}x{size} | seconds | of this process' computing | "
        "most memory | of it its own |"
    )
    print("|---|---|---|---|---|")
    first = measured("prepare", data, size, cache)
    again = sorted((measured("open", data, size, cache) for _ in range(5)), key=_seconds)[2]
    epoch = measured("epoch", data, size, cache)
    for name, values in (
        ("read into an empty cache", first),
        ("opened again", again),
        ("one epoch of batches", epoch),
    ):
        print(
            f"| {name} | {values['seconds']:.2f} | {values['cpu']:.2f} | {values['peak']:,.0f} MB "
            f"| {values['own']:,.0f} MB |"
        )
    print(f"\nThe array has {first['array']:,.0f} MB.")


def _seconds(values: dict[str, Any]) -> float:
    return float(values["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--size", type=int, default=56)
    parser.add_argument("--pictures", type=Path, help="a folder of your own, instead")
    parser.add_argument("--work", type=Path, help="folder for the files; default: a temporary one")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        task, data, cache = options.child
        print(json.dumps(child(task, Path(data), options.size, Path(cache))))
        return
    if options.pictures:
        report_speeds(options.pictures, options.size)
        return
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        data = Path(name) / "data"
        data.mkdir()
        make_pictures(data, options.images)
        report(data, Path(name) / "cache", options.images, options.size)


if __name__ == "__main__":
    main()
