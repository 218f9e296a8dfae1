#!/usr/bin/env python3
"""Build the container and try it; where there is no Docker, do its steps in a clean environment.

    python3 .ci/container.py

The steps are read from the Dockerfile. Without Docker its system packages are left to the machine,
torch is that of constraints.txt, and the last lines' user, without a name or a home folder, is
simulated: another user id if this is root's process, no HOME, an empty environment.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TRIES = (["--version"], ["sample", "--seeds", "0", "-o", "face.png"])


def steps() -> list[str]:
    """The Dockerfile's instructions, one a line, comments left out."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def values(instruction: str) -> list[str]:
    return [line.split(None, 1)[1] for line in steps() if line.startswith(f"{instruction} ")]


def with_docker() -> None:
    tag = "neuralid-ci"
    subprocess.run(["docker", "build", "-q", "-t", tag, str(ROOT)], check=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        for words in TRIES:
            start = ["docker", "run", "--rm", "-v", f"{folder}:/work", tag]
            subprocess.run([*start, *words], check=True)
        check(Path(folder))


def without_docker() -> None:
    """The RUN steps that install, the ENV lines, and the USER, in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.chmod(root, 0o755)
        venv.create(root / "venv", with_pip=True)
        copy_context(root / "src")
        python = root / "venv" / "bin" / "python"
        for line in values("RUN"):
            if line.startswith("pip install"):
                install(python, line.split(" && ")[0], root)
        for name in ("cache", "work"):
            (root / name).mkdir()
            os.chmod(root / name, 0o1777)
        try_out(root)
        check(root / "work")


def copy_context(target: Path) -> None:
    """What .dockerignore lets through."""
    target.mkdir()
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            source = ROOT / line[1:]
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, target / source.name)


def install(python: Path, command: str, root: Path) -> None:
    """A ``pip install`` of the Dockerfile, with this project's pins instead of an index."""
    words = command.replace("/src", str(root / "src")).split()[2:]
    if "--index-url" in words:
        place = words.index("--index-url")
        del words[place : place + 2]
    pip = [str(python), "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, *words], check=True)


def try_out(root: Path) -> None:
    """Run the program as the container would: nobody's process, in /work."""
    named = dict(pair.split("=", 1) for pair in values("ENV"))
    environment = {
        name: value.replace("/cache", str(root / "cache")) for name, value in named.items()
    }
    user, group = map(int, values("USER")[0].split(":"))
    owner: dict[str, Any] = (
        {"user": user, "group": group, "extra_groups": []} if os.geteuid() == 0 else {}
    )
    program = values("ENTRYPOINT")[0].strip('[]"')
    for words in TRIES:
        subprocess.run(
            [str(root / "venv" / "bin" / program), *words],
            cwd=root / "work",
            env={**environment, "PATH": "/usr/bin:/bin"},
            check=True,
            **owner,
        )


def check(folder: Path) -> None:
    picture = folder / "face.png"
    if picture.read_bytes()[:8] != b"\x89PNG\r\n\x1a\n":
        raise SystemExit("no picture was drawn")


def main() -> None:
    found = shutil.which("docker")
    if found and subprocess.run([found, "info"], capture_output=True).returncode == 0:
        with_docker()
    else:
        print("no Docker here: its steps in a clean environment", file=sys.stderr)
        without_docker()


if __name__ == "__main__":
    main()
