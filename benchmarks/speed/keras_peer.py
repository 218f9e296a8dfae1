"""The paper's own stack, Keras on TensorFlow, in an environment and a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuralid.core.home import cache_folder
from neuralid.models.config import ModelConfig

from .timing import Effort

WORKER = Path(__file__).with_name("keras_worker.py")
TENSORFLOW = "tensorflow" if sys.platform == "darwin" else "tensorflow-cpu"
COUNTS = [21_400_003, 7_634_049]  # the numbers in both networks that the paper's tables give


@dataclass(frozen=True)
class Keras:
    """A process with the paper's networks. It rests until it is asked."""

    process: subprocess.Popen[str]
    versions: dict[str, str]

    @classmethod
    @contextlib.contextmanager
    def start(cls, effort: Effort, model: ModelConfig) -> Iterator[Keras | None]:
        """The process, while the context lasts; None if it is not wanted, or for other networks."""
        if not effort.keras or model != ModelConfig():
            yield None
            return
        # -P keeps the modules beside the worker out of what it can import.
        command = [str(_environment()), "-P", str(WORKER), str(effort.cores)]
        env = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}
        for name in ("PYTHONPATH", "OMP_NUM_THREADS"):
            env.pop(name, None)
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        ) as process:
            told = _answer(process)
            if told["counts"] != COUNTS:
                raise ValueError(f"Keras' networks are not the paper's: {told['counts']}")
            yield cls(process, told["versions"])
            process.kill()

    def ask(self, work: str, count: int) -> float:
        """Have it ``train``, ``check`` that, ``draw`` or take a ``gradient``, ``count`` faces each.

        Returns a number that it computed, so that nothing is left undone.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([work, count]) + "\n")
        self.process.stdin.flush()
        return float(_answer(self.process)["value"])


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next line of JSON; libraries may print others."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            return dict(json.loads(line))
    raise ValueError("the process that runs Keras has ended")


def _environment() -> Path:
    """The Python of an environment with Keras, made if there is none yet: 2 GB."""
    folder = cache_folder() / "benchmarks" / "keras"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = folder / "ready"
    if not ready.exists():
        print(f"installing {TENSORFLOW} and keras into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "-q", TENSORFLOW, "keras"]
        subprocess.run(install, check=True, stdout=sys.stderr)
        ready.touch()
    return python
