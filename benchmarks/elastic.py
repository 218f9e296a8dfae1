"""Kill workers of a run under torchrun, again and again: what is lost, and how does it end?

    python benchmarks/elastic.py [--kills 4] [--processes 2] [--kimg 3] [--snapshot 0.2]

Trains a small model on drawn pictures under ``torchrun --max-restarts``. A random time after the
first checkpoint since the last start, one worker gets SIGKILL, each in turn; torchrun then starts
all of them again. In the end the run must be complete, in one folder, and every checkpoint kept
must be readable. Its weights must equal those of an undisturbed run bit for bit: on a CPU they do,
with two processes (more may add up in another order). Linux only.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from neuralid.training.runs.checkpoint import checkpoints


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kimg", type=float, default=3)
    parser.add_argument("--snapshot", type=float, default=0.2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_pictures(folder / "faces")
        print(f"{options.processes} processes, a checkpoint each {options.snapshot:g} kimg")
        whole = launch(folder, "undisturbed", options, 0)
        print(f"undisturbed: exit code {whole.wait()}")
        killed = launch(folder, "killed", options, options.kills)
        losses = kill(killed, folder / "killed", options)
        print(f"killed {len(losses)} times: exit code {killed.wait()}")
        report(folder, options, losses)


def draw_pictures(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(256):
        picture = rng.integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(picture).resize((64, 64), Image.Resampling.BICUBIC).save(
            folder / f"{index}.png"
        )


def launch(folder: Path, out: str, options: argparse.Namespace, restarts: int) -> Any:
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", str(options.processes)]
    training = ["--data", folder / "faces", "--out", folder / out, "--name", "run"]
    training += ["--size", 28, "--latent-size", 16, "--batch", 8 * options.processes]
    training += ["--kimg", options.kimg, "--snapshot", options.snapshot]
    return subprocess.Popen(
        [
            *(sys.executable, *torchrun, "--max-restarts", str(restarts)),
            *("-m", "neuralid", "train", *map(str, training)),
        ],
        env={**os.environ, "NEURALID_CACHE_DIR": str(folder / "cache"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=(folder / f"{out}.txt").open("w"),
    )


def kill(process: Any, out: Path, options: argparse.Namespace) -> list[float]:
    """Kill workers; returns how many seconds after the newest checkpoint each died."""
    dice, losses = random.Random(0), []
    for turn in range(options.kills):
        before = newest(out)
        while newest(out) == before and process.poll() is None:
            time.sleep(0.05)
        time.sleep(dice.uniform(0, 3))
        rank = turn % options.processes
        worker = next((pid for pid in children(process.pid) if rank_of(pid) == rank), None)
        if worker is None or process.poll() is not None:
            break
        os.kill(worker, signal.SIGKILL)
        losses.append(time.time() - newest_file(out).stat().st_mtime)
        print(f"killed process {rank}, {losses[-1]:.1f} s after the checkpoint at {newest(out)}")
    return losses


def report(folder: Path, options: argparse.Namespace, losses: list[float]) -> None:
    (run,) = (folder / "killed").iterdir()
    (undisturbed,) = (folder / "undisturbed").iterdir()
    for path in checkpoints(run):
        torch.load(path, weights_only=True)
    print(f"checkpoints kept and readable: {len(checkpoints(run))}; runs: 1, {run.name}")
    print(f"most that was trained again: {max(losses, default=0):.1f} s")
    ends = [max(each.glob("weights-*.safetensors")).read_bytes() for each in (run, undisturbed)]
    same = checkpoint(run) == checkpoint(undisturbed) and ends[0] == ends[1]
    print(f"pictures shown: {newest(folder / 'killed')} of {options.kimg * 1000:g}")
    print(f"the same as undisturbed, bit for bit: {'yes' if same else 'NO'}")
    print(*(f"  {line}" for line in (folder / "killed.txt").read_text().splitlines()), sep="\n")


def checkpoint(run: Path) -> dict[str, bytes]:
    """The weights in the newest checkpoint, as bytes."""
    state = torch.load(checkpoints(run)[-1], weights_only=True)
    parts = ("generator", "discriminator", "average")
    return {f"{p} {k}": v.numpy().tobytes() for p in parts for k, v in state[p].items()}


def newest(out: Path) -> int:
    """Pictures shown at the newest checkpoint; 0 if there is none."""
    found = newest_file(out)
    return int(found.stem.split("-")[1]) if found.suffix else 0


def newest_file(out: Path) -> Path:
    return max(out.glob("*/checkpoint-*.pt"), default=Path())


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def rank_of(pid: int) -> int:
    """The rank torchrun gave a worker."""
    try:
        pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    except OSError:
        return -1
    return next((int(pair[5:]) for pair in pairs if pair.startswith("RANK=")), -1)


if __name__ == "__main__":
    main()
