"""Measure how fast this program is, beside others doing the same work.

    python -m benchmarks [--list] [--only NAME ...] [--keras] [--cores 2]
        [--seconds 60] [--rounds 15]

Each benchmark runs in a process of its own and writes results/NAME.json. ``--keras`` has the
paper's own stack take part: it is installed into the cache folder first, 2 GB. Afterwards
``python -m benchmarks.render`` writes docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from .speed.timing import Effort, Report

RESULTS = Path(__file__).with_name("results")
GPU = Path(__file__).with_name("gpu.py")  # a script that can be run alone
BENCHMARKS = {
    "training": "a training step of both architectures",
    "drawing": "drawing 64 faces with both weights",
    "search": "a loss and gradient of the search for latents, and a whole search",
    "reading": "reading 10,000 JPEG files",
    "starting": "`neuralid sample -n 1`, from beginning to end",
    "sharing": "`neuralid mix` beside another one on the same cores",
    "enlarging": "`cubic` and `lanczos` on a photograph of 3 megapixels",
    "gpu": "training on a CUDA GPU; left out where there is none",
}


def main(words: list[str] | None = None) -> int:
    options = _parse(words)
    if options.list:
        print("\n".join(f"{name:10} {what}" for name, what in BENCHMARKS.items()))
        return 0
    names = options.only or list(BENCHMARKS)
    if len(names) == 1:
        return _run(names[0], options)
    return max(_run_apart(name, options) for name in names)


def _parse(words: list[str] | None) -> argparse.Namespace:
    usual = Effort()
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--list", action="store_true", help="say which benchmarks there are")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME")
    parser.add_argument("--keras", action="store_true", help="with Keras, installed if need be")
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="of one comparison")
    parser.add_argument("--rounds", type=int, default=usual.rounds, help="of one, at most")
    parser.add_argument("--cores", type=int, default=usual.cores)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder to write to")
    return parser.parse_args(words)


def _run_apart(name: str, options: argparse.Namespace) -> int:
    """One benchmark in a process of its own: none finds what another has left in memory."""
    words = [
        f"--{key}={getattr(options, key)}" for key in ("seconds", "rounds", "cores", "results")
    ]
    words += ["--keras"] * options.keras
    command = [sys.executable, "-m", "benchmarks", "--only", name, *words]
    return subprocess.run(command, check=False).returncode


def _run(name: str, options: argparse.Namespace) -> int:
    if name == "gpu":
        return _run_gpu(options.results / "gpu.json")
    from neuralid.core.memory import keep_freed_memory

    from .speed import machine

    effort = Effort(
        options.seconds, options.rounds, machine.use_cores(options.cores), options.keras
    )
    keep_freed_memory()  # as the command line does
    before = machine.load()
    print(f"{name}: {BENCHMARKS[name]}", file=sys.stderr, flush=True)
    report: Report = import_module(f".speed.{name}", __package__).measure(effort)
    told = {**machine.describe(effort.cores), "load_before": before, "load_after": machine.load()}
    content = {
        "benchmark": name,
        "date": machine.today(),
        "machine": told,
        "versions": machine.versions(),
        **asdict(report),
    }
    _write(options.results / f"{name}.json", content)
    for row in report.rows:
        sides = f"{row['of']['name']} against {row['against']['name']}"
        print(f"{row['name']}: {sides}: {row['ratio']:.2f}")
    return 0


def _run_gpu(output: Path) -> int:
    import torch

    if not torch.cuda.is_available():
        print("gpu: left out, this machine has no CUDA GPU", file=sys.stderr)
        return 0
    return subprocess.run([sys.executable, str(GPU), "--out", str(output)], check=False).returncode


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rounded = json.loads(json.dumps(content), parse_float=lambda text: float(f"{float(text):.5g}"))
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(rounded, indent=1) + "\n")
    os.replace(unfinished, path)


if __name__ == "__main__":
    raise SystemExit(main())
