"""Change the code in one small way after another, and see which changes no test notices.

    .venv/bin/pip install cosmic-ray
    .venv/bin/python tools/mutate.py latents                      # hours
    .venv/bin/python tools/mutate.py latents --only mixing --tests mixing mix_layouts --minutes 20

The changes are Cosmic Ray's, made in a copy of the checkout, in random order: with ``--minutes`` a
sample of them is tried. Printed are the share that was noticed and the changes that were not. Each
of those wants a test, or a reason why it is harmless. docs/evaluation/tests.md has the scores.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COPIED = (
    "src",
    "tests",
    "docs",
    "examples",
    "tools",
    "pyproject.toml",
    "CHANGELOG.md",
    "README.md",
)
# Not tried: annotations are never evaluated, and no sum here becomes a shift or a mask by mistake.
EXCLUDED = re.compile(
    r".*ReplaceBinaryOperator_(BitOr_\w+|\w+_(RShift|LShift|BitOr|BitAnd|BitXor))$"
)
SLOWEST = 300.0  # seconds that tests may take before a change counts as noticed


@dataclass(frozen=True)
class Room:
    """Where numbers are made, and the tests that should notice a wrong one, the quickest first."""

    code: str  # a file or a folder of the package
    tests: tuple[str, ...]  # names without "test_" and ".py"


ROOMS = {
    "latents": Room(
        "latents",
        ("mixing", "latent", "lbfgs", "inversion", "mix_style", "layers", "tuning", "attributes"),
    ),
    "models": Room(
        "models",
        (
            "style",
            "convolution",
            "dcgan",
            "drawing",
            "step",
            "encoding",
            "face",
            "toy_architecture",
        ),
    ),
    "step": Room("training/step.py", ("step", "style_training", "distributed", "recovery")),
    "faces": Room("faces", ("patches", "crop", "align", "choose", "profiles", "mix_layouts")),
    "upscaling": Room(
        "upscaling",
        (
            "upscaling",
            "upscaling_methods",
            "filters",
            "consistent",
            "face",
            "hqx",
            "upscale_command",
        ),
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("room", choices=ROOMS)
    parser.add_argument("--only", nargs="*", default=[], help="files, without .py")
    parser.add_argument(
        "--tests", nargs="*", default=[], help="instead of the room's, without test_"
    )
    parser.add_argument("--minutes", type=float, default=float("inf"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "neuralid"
        copy_to(copy)
        os.chdir(copy)
        os.environ["PYTHONPATH"] = str(copy / "src")
        room = ROOMS[options.room]
        files = list(find_files(room, options.only))
        return try_changes(files, options.tests or room.tests, options.minutes * 60)


def copy_to(place: Path) -> None:
    """Copy what the tests read."""
    place.mkdir()
    for path in (ROOT / name for name in COPIED):
        if path.is_dir():
            shutil.copytree(path, place / path.name)
        else:
            shutil.copy(path, place)


def find_files(room: Room, only: list[str]) -> Iterator[Path]:
    """The files of a room, or those of these names, in the working folder."""
    code = Path("src/neuralid") / room.code
    for path in sorted(code.glob("*.py")) if code.is_dir() else [code]:
        if path.stem != "__init__" and (not only or path.stem in only):
            yield path


def try_changes(files: list[Path], names: Sequence[str], seconds: float) -> int:
    """Try changes of the files until none is left, or the time is up; print what was found."""
    from cosmic_ray.commands.init import init  # type: ignore[import-not-found,unused-ignore]
    from cosmic_ray.mutating import mutate_and_test  # type: ignore[import-not-found,unused-ignore]
    from cosmic_ray.testing import run_tests  # type: ignore[import-not-found,unused-ignore]
    from cosmic_ray.work_db import use_db  # type: ignore[import-not-found,unused-ignore]

    tests = [f"tests/test_{name}.py" for name in names]
    python = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider"]
    command = shlex.join([*python, *tests])
    outcome, said = run_tests(command, 4 * SLOWEST)
    if outcome != "survived":
        print(said, file=sys.stderr)
        return 1
    with use_db("session.sqlite") as changes:
        init(files, changes, {})
        every = [
            each
            for each in changes.pending_work_items
            if not EXCLUDED.match(each.mutations[0].operator_name)
        ]
    ends, survivors, tried = time.monotonic() + seconds, [], 0
    for change in every:
        if time.monotonic() > ends:
            break
        result = mutate_and_test(change.mutations, command, SLOWEST)
        tried += 1
        if not result.is_killed:
            survivors.append(result.diff)
            print(result.diff, flush=True)
    noticed = tried - len(survivors)
    share = 100 * noticed / max(tried, 1)
    print(f"{noticed} of {tried} changes noticed ({share:.0f}%); there are {len(every)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
