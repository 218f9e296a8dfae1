#!/usr/bin/env python3
"""Build the sdist and the wheel into a folder, and check that nothing is missing in either.

    .venv/bin/python .ci/package.py dist

The sdist has to hold every file git tracks, and the wheel the whole package with its licences. The
tests that read the checkout (documentation, layout, packaging) are run in the unpacked sdist.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ["docs", "layout", "package"]


def build(target: Path) -> tuple[Path, Path]:
    """The sdist, and the wheel built from it, in an empty folder; their paths."""
    shutil.rmtree(target, ignore_errors=True)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(ROOT)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(target.glob("*.tar.gz")), next(target.glob("*.whl"))


def tracked() -> set[str]:
    """Every file git tracks, as its path in the checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}


def require(what: str, missing: set[str]) -> None:
    """End the program, with the names, if any are missing."""
    if missing:
        raise SystemExit(f"{what}: {', '.join(sorted(missing))}")


def check_sdist(sdist: Path) -> None:
    """All that git tracks is in it, and nothing else but the metadata."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    require("not in the sdist", tracked() - names)
    require("in the sdist, but not in git", names - tracked() - {"PKG-INFO"})


def check_wheel(wheel: Path) -> None:
    """The package's files are in it, and both licences, which its metadata names."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(info).decode().split("\n\n")[0].splitlines()
    package = {name.removeprefix("src/") for name in tracked() if name.startswith("src/")}
    require("not in the wheel", package - names)
    licences = {line.split(": ")[1] for line in metadata if line.startswith("License-File: ")}
    folder = info.removesuffix("METADATA") + "licenses/"
    require("licences not in the wheel", {folder + name for name in licences} - names)
    stated = {"License-File: LICENSE", "License-File: src/neuralid/assets/LICENSE-weights.txt"}
    stated.add("License-Expression: MIT AND LicenseRef-Noncommercial-Research-Weights")
    require("not in the wheel's metadata", stated - set(metadata))


def test_sdist(sdist: Path) -> None:
    """Run the tests that read the checkout, on the unpacked sdist and its code."""
    with tempfile.TemporaryDirectory(prefix="neuralid-sdist-") as folder:
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        (unpacked,) = Path(folder).iterdir()
        tests = [f"tests/test_{name}.py" for name in TESTS]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
        code = os.environ | {"PYTHONPATH": str(unpacked / "src")}
        subprocess.run(command, cwd=unpacked, env=code, check=True)


def main() -> None:
    sdist, wheel = build(Path(sys.argv[1]).resolve())
    check_sdist(sdist)
    check_wheel(wheel)
    test_sdist(sdist)
    print(sdist, wheel, sep="\n")


if __name__ == "__main__":
    main()
