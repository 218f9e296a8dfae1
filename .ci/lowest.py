#!/usr/bin/env python3
"""Test the lower bounds of pyproject.toml: install exactly those versions and try the program.

    python3 .ci/lowest.py          # in a virtual environment of its own, removed at the end
    python3 .ci/lowest.py --list   # say what would be installed

The dependencies of these packages are left to pip, which takes the newest.

torch is the exception: it is installed at the version of constraints.txt, because PyPI's older
Linux wheels are CUDA builds of 800 MB that need two more gigabytes of libraries. mypy is installed
but not run, since its findings depend on the versions of all other packages.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
PINNED = ("torch",)
# Within the bounds, and unlike the versions around them: Typer 0.27.0 to 0.27.3 make a flag of a
# metavar that equals an option's name.
ODD = ["typer==0.27.0"]
# Quick tests of the code that uses these packages most.
TESTS = ["console", "filters", "hqx", "images", "package"]
FLAGS = ["tests/test_docs.py", "-k", "reference or command_line"]


def requirements() -> list[str]:
    """All that pyproject.toml names: to build, to run, and every extra but the site's."""
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())
    optional = stated["project"]["optional-dependencies"]
    extras = [each for name, each in optional.items() if name != "docs"]
    names = [*stated["build-system"]["requires"], *stated["project"]["dependencies"]]
    return sorted({*names, *(each for extra in extras for each in extra)})


def lowest(requirement: str) -> str:
    """The lowest version a requirement allows: "name>=1.2,<3" gives "name==1.2".

    Of the packages in `PINNED`, the version in constraints.txt.
    """
    stated = re.match(r"([\w.-]+)>=([\w.]+)", requirement)
    if stated is None:
        raise SystemExit(f"pyproject.toml: '{requirement}' has no lower bound")
    if stated[1] in PINNED:
        constraints = (ROOT / "constraints.txt").read_text()
        return re.findall(rf"^{stated[1]}==\S+", constraints, re.MULTILINE)[0]
    return f"{stated[1]}=={stated[2]}"


def pip(python: Path, *arguments: str) -> None:
    """Install into the environment of `python`."""
    # Compiling all of torch takes longer than compiling what is imported of it.
    quiet = ["-q", "--disable-pip-version-check", "--no-compile"]
    subprocess.run([python, "-m", "pip", "install", *quiet, *arguments], check=True)


def pytest(python: Path, *arguments: str) -> None:
    """Run tests with the packages of `python`."""
    subprocess.run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments], check=True)


def try_out(python: Path) -> None:
    """Every command with warnings as errors, the tests above, and ruff at its bound."""
    subprocess.run([ROOT / ".ci" / "smoke", python, "-W", "error"], check=True)
    pytest(python, *[f"tests/test_{name}.py" for name in TESTS])
    pytest(python, "-n", "0", *FLAGS)
    subprocess.run([python, "-m", "ruff", "check", "-q", "."], check=True)
    subprocess.run([python, "-m", "ruff", "format", "-q", "--check", "."], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="say what would be installed")
    packages = [lowest(each) for each in requirements()]
    if parser.parse_args().list:
        print("\n".join(packages))
        return
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="neuralid-lowest-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        pip(python, "--only-binary", ":all:", *packages)
        # By the lowest hatchling, which is there now.
        pip(python, "--no-deps", "--no-build-isolation", str(ROOT))
        try_out(python)
        pip(python, *ODD)
        pytest(python, "-n", "0", *FLAGS)
    print(f"lowest: passed with {', '.join(packages)}, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
