"""What a training run survives: kills and disturbs real runs, and prints tables.

    python benchmarks/faults.py [--times 100] [--work FOLDER] [--seed 0]

A tiny run (28 pixels, drawn pictures, a checkpoint every second step) is killed with SIGKILL at a
random instant and resumed, again and again. After each kill every file in the run's folder is read,
and the next start must continue from the newest checkpoint. In the end the networks must equal, bit
for bit, those of a run that was never killed. The other faults follow, by the command line, and
then workers killed under torchrun (`elastic.py`; Linux).

A real full disk and a real read-only folder need root on Linux (tmpfs, chattr). Elsewhere a limit
on file sizes and the folder's permissions stand in. POSIX only.
"""

from __future__ import annotations

import argparse
import json
import mmap
import multiprocessing
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

import neuralid
from neuralid import weights
from neuralid.training.runs.checkpoint import checkpoints, read_checkpoint
from neuralid.training.runs.history import History

BATCH, INTERVAL = 8, 16  # pictures per step, and between two checkpoints
TINY: dict[str, Any] = {
    "size": 28,
    "latent_size": 16,
    "batch": BATCH,
    "snapshot": INTERVAL / 1000,
    "name": "t",
}
LONG = 1000.0  # kimg of a run that ends by being killed
START = 4.0  # seconds within which some runs are killed, most of them while they start
STEPS = 5  # the others are killed after at most this many steps, some way into the next
ROOT = sys.platform == "linux" and os.geteuid() == 0


def draw_pictures(folder: Path, count: int = 96) -> Path:
    """Draw simple faces in random colours."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        back, skin, eyes = (tuple(map(int, rng.integers(0, 255, 3))) for _ in range(3))
        picture = Image.new("RGB", (64, 64), back)
        pen = ImageDraw.Draw(picture)
        pen.ellipse((6, 6, 58, 58), fill=skin)
        for x in (20, 38):
            pen.ellipse((x, 22, x + 6, 28), fill=eyes)
        picture.save(folder / f"face{number:03d}.png")
    return folder


def child(data: Path, out: Path, seen: Path, said: Path) -> None:
    """The run that is killed. It notes each step where a kill cannot undo it."""
    with seen.open("r+b") as file:
        note = mmap.mmap(file.fileno(), 8)
    talk = said.open("w", buffering=1)

    def on_step(step: Any) -> None:
        note[:8] = struct.pack("<q", step.images)

    started = any(out.glob("*/options.json"))
    options: dict[str, Any] = {"resume": "latest"} if started else TINY
    neuralid.train(
        data,
        out=out,
        kimg=LONG,
        **options,
        on_step=on_step,
        on_message=lambda x: print(x, file=talk),
    )


class Process:
    """A process whose stderr is read as it comes."""

    def __init__(self, *command: object, before: Callable[[], None] | None = None) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=before,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def wait_for(self, words: str, seconds: float = 120) -> bool:
        """Wait until it has printed this; False if it ended before."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if any(words in line for line in list(self.lines)):
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.005)
        raise TimeoutError("".join(self.lines))

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> int:
        code = self.process.wait(timeout=300)
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    @property
    def said(self) -> str:
        return "".join(self.lines)


def cli(out: Path, *more: object, before: Callable[[], None] | None = None) -> Process:
    """``neuralid train`` into ``out``, as a process."""
    return Process("-m", "neuralid", "train", "--out", out, *more, before=before)


def begun(data: Path, out: Path, kimg: float = 0.032) -> Path:
    """A finished small run, to be damaged; returns its folder."""
    result = neuralid.train(data, out=out, kimg=kimg, **TINY)
    assert result.run is not None
    return result.run


def check(folder: Path) -> int:
    """Read everything in a run's folder; returns the pictures of its newest checkpoint.

    Raises the error of a file that cannot be read.
    """
    for path in folder.iterdir():
        if path.name.startswith("checkpoint-"):
            values = read_checkpoint(path)
            assert values["images"] == int(path.stem[11:]), path
        elif path.suffix == ".safetensors" and not path.name.startswith("."):
            weights.load_weights(path)
        elif path.suffix == ".png":
            Image.open(path).load()
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".html":
            assert path.read_text().rstrip().endswith("</html>"), path
    History.read(folder / "log.jsonl")
    assert len(checkpoints(folder)) <= 3
    return max((int(path.stem[11:]) for path in checkpoints(folder)), default=0)


def kills(data: Path, work: Path, times: int, rng: random.Random) -> list[str]:
    """Kill and resume; returns the lines of the table."""
    out, seen, talk = work / "killed", work / "seen", work / "talk"
    # A server that has imported everything forks the runs, so that starting them takes little time.
    fork = multiprocessing.get_context("forkserver")
    fork.set_forkserver_preload(["neuralid.training.session.start", "neuralid.api._train"])
    facts: Counter[str] = Counter()
    lost: list[int] = []
    known = 0
    for number in range(times):
        seen.write_bytes(struct.pack("<q", known))
        talk.touch()
        run = fork.Process(target=child, args=(data, out, seen, talk))
        run.start()
        if rng.random() < 0.15:
            run.join(rng.uniform(0, START))
        else:
            wait_for_steps(run, seen, known + BATCH * rng.randint(1, STEPS), rng)
        assert run.is_alive(), talk.read_text()
        run.kill()
        run.join()
        went_on = re.search(r"resumed after ([\d.]+) kimg", talk.read_text())
        assert went_on is None or went_on[1] == f"{known / 1000:g}", talk.read_text()
        folder = next((path.parent for path in out.glob("*/options.json")), None)
        if folder is None:
            facts["before there was a run"] += 1
            continue
        newest, shown = check(folder), noted(seen)
        lost.append(shown - newest)
        assert newest >= known and 0 <= lost[-1] <= INTERVAL, (newest, known, shown)
        facts["in the start, before a step"] += shown == known
        facts["while a file was being written"] += bool(list(folder.glob(".*neuralid-tmp")))
        known = newest
        print(f"kill {number + 1}: {newest} pictures kept, {lost[-1]} lost", file=sys.stderr)
    return [
        f"| kills | {times} |",
        *(f"| of these {what} | {count} |" for what, count in facts.items()),
        "| files that could not be read | 0 |",
        f"| pictures lost by a kill (a checkpoint every {INTERVAL}) | "
        f"{np.mean(lost or [0]):.1f} in the mean, {max(lost, default=0)} at most |",
        f"| pictures shown in the end | {known + INTERVAL} |",
        f"| all tensors of a run that was never killed | {compare(data, work, known + INTERVAL)} |",
    ]


def wait_for_steps(run: Any, seen: Path, target: int, rng: random.Random) -> None:
    """Wait until ``target`` pictures were shown, then for part of the time to the next step."""
    now, changed, gap = noted(seen), time.monotonic(), 0.0
    while now < target and run.is_alive():
        time.sleep(0.002)
        if noted(seen) != now:
            gap = max(gap, time.monotonic() - changed) if gap else 1.0
            now, changed = noted(seen), time.monotonic()
    run.join(rng.uniform(0, gap))


def noted(seen: Path) -> int:
    """Pictures the run had shown when it last noted them."""
    return int(struct.unpack("<q", seen.read_bytes())[0])


def compare(data: Path, work: Path, images: int) -> str:
    """Finish the killed run, run another in one go, and compare all tensors bit for bit."""
    killed = neuralid.train(out=work / "killed", resume="latest", kimg=images / 1000)
    whole = neuralid.train(
        data, out=work / "whole", kimg=images / 1000, **{**TINY, "snapshot": LONG}
    )
    folders = [each.run for each in (killed, whole) if each.run is not None]
    a, b = (read_checkpoint(checkpoints(folder)[-1]) for folder in folders)
    assert same(a, b)
    return "the same, bit for bit"


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a.equal(b) if isinstance(a, torch.Tensor) else bool(a == b)


def told(run: Process, *words: str) -> str:
    """What the user saw of a run that failed as it should: one line of error, exit code 1."""
    code = run.end()
    errors = [line.strip() for line in run.lines if line.startswith("error: ")]
    assert code == 1 and len(errors) == 1 and "Traceback" not in run.said, run.said
    assert "hint: " in run.said and all(word in run.said for word in words), run.said
    return re.sub(r"/\S*/", "", errors[0])


def resumes(out: Path, folder: Path, newest: int) -> None:
    """Continue a run for another 16 pictures; it must start at its newest checkpoint."""
    run = cli(out, "--resume", folder, "--kimg", (newest + INTERVAL) / 1000)
    assert run.end() == 0, run.said
    assert f"resumed after {newest / 1000:g} kimg" in run.said, run.said
    assert check(folder) == newest + INTERVAL


def full_disk(data: Path, work: Path) -> str:
    out = work / "small"
    out.mkdir()
    size = 2 * checkpoints(begun(data, work / "probe"))[-1].stat().st_size
    if ROOT:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", out], check=True)
    before = None if ROOT else limited(size // 3)
    options = ("--size", 28, "--latent-size", 16, "--batch", BATCH, "--snapshot", INTERVAL / 1000)
    try:
        run = cli(out, "--data", data, *options, "--kimg", LONG, before=before)
        line = told(run, "cannot write", "go on with --resume")
        (folder,) = out.glob("0*")
        newest = check(folder)
        assert not list(folder.glob(".*neuralid-tmp"))
        if ROOT:
            subprocess.run(["mount", "-o", f"remount,size={8 * size}", out], check=True)
        if newest:
            resumes(out, folder, newest)
        return line
    finally:
        if ROOT:
            subprocess.run(["umount", out], check=True)


def limited(size: int) -> Callable[[], None]:
    import resource

    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def read_only(data: Path, work: Path) -> str:
    """The folder becomes read-only in the middle of a run."""
    out = work / "locked"
    folder = begun(data, out)
    run = cli(out, "--resume", folder, "--kimg", LONG)
    assert run.wait_for("run: "), run.said
    lock = ["chattr", "+i"] if ROOT else ["chmod", "a-w"]
    subprocess.run([*lock, folder], check=True)
    try:
        line = told(run, "cannot write", "no permission to write there")
        newest = check(folder)
    finally:
        subprocess.run([*(["chattr", "-i"] if ROOT else ["chmod", "u+w"]), folder], check=True)
    resumes(out, folder, newest)
    return line


def vanished(data: Path, work: Path) -> str:
    """The pictures vanish during a run. It goes on, but cannot be resumed without them."""
    mine, out, away = work / "mine", work / "vanished", work / "away"
    shutil.copytree(data, mine)
    folder = begun(mine, out)
    run = cli(out, "--resume", folder, "--kimg", 0.064)
    assert run.wait_for("run: "), run.said
    mine.rename(away)
    assert run.end() == 0, run.said
    line = told(cli(out, "--resume", folder, "--kimg", 0.08), "--data")
    away.rename(mine)
    resumes(out, folder, check(folder))
    return line


def damaged(data: Path, work: Path) -> str:
    """A bit of the newest checkpoint flips."""
    out = work / "damaged"
    folder = begun(data, out, 0.048)
    newest = checkpoints(folder)[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    run = cli(out, "--resume", folder)
    assert run.end() == 0 and "resumed after 0.032 kimg" in run.said, run.said
    assert check(folder) == 48
    return next(line.strip() for line in run.lines if "damaged" in line)


def all_damaged(data: Path, work: Path) -> str:
    out = work / "all"
    folder = begun(data, out)
    for path in checkpoints(folder):
        path.write_bytes(path.read_bytes()[:-1000])
    return told(cli(out, "--resume", folder), "start a new run")


def second_run(data: Path, work: Path) -> str:
    """A second process wants the folder of a run; the first is killed, and the second may go on."""
    out = work / "second"
    folder = begun(data, out)
    with ExitStack() as stack:
        first = cli(out, "--resume", folder, "--kimg", LONG)
        stack.callback(first.kill)
        assert first.wait_for("run: "), first.said
        line = told(cli(out, "--resume", folder, "--kimg", LONG), "in use by another run")
    resumes(out, folder, check(folder))
    return line


SCENES: dict[str, Callable[[Path, Path], str]] = {
    "full disk" if ROOT else "a limit on the size of files": full_disk,
    "folder becomes read-only": read_only,
    "pictures vanish, then a resume": vanished,
    "newest checkpoint damaged": damaged,
    "all checkpoints damaged": all_damaged,
    "second run in the folder": second_run,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100, help="kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="folder for the runs; default: a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        work = Path(name)
        os.environ["NEURALID_CACHE_DIR"] = str(work / "cache")
        os.environ["COLUMNS"] = "1000"
        data = draw_pictures(work / "data")
        print("| what happens | what the user sees | and then |\n|---|---|---|")
        for title, scene in SCENES.items():
            then = "a new run" if scene is all_damaged else "the run goes on"
            print(f"| {title} | `{scene(data, work)}` | {then} |", flush=True)
        print("\n| killed with SIGKILL | |\n|---|---|")
        print("\n".join(kills(data, work, options.times, random.Random(options.seed))), flush=True)
        if sys.platform == "linux":
            print("\nworkers killed under torchrun:\n", flush=True)
            elastic = Path(__file__).with_name("elastic.py")
            short = ["--kills", "2", "--kimg", "0.8", "--snapshot", "0.1"]
            subprocess.run([sys.executable, elastic, *short], stderr=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    main()
