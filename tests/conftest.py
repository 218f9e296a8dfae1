"""A tiny real model, real pictures made here, and a cache folder of their own for every test."""

from __future__ import annotations

import os
import re

# The tests run in two processes; torch's threads in both would slow each other up. Before torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["NEURALID_TRIALS"] = "off"  # what is fastest here must not decide a test

import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image, ImageDraw
from typer.testing import CliRunner, Result

import neuralid
from neuralid import weights
from neuralid.cli import app
from neuralid.core.locks import in_turn
from neuralid.models.building import build_drawer
from neuralid.models.drawing import Drawer

ROOT = Path(__file__).parents[1]
EXAMPLES = Path(neuralid.__file__).parent / "assets" / "examples"
# A slow machine is not a failure; where CI says it is one, the same examples are tried every time.
settings.register_profile(
    "neuralid",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("neuralid")

TINY: dict[str, Any] = {"size": 28, "latent_size": 16, "batch": 8}
# Where the network doesn't matter: a step takes an eighth of the paper's, whose widths are fixed.
QUICK: dict[str, Any] = {**TINY, "architecture": "style"}


def flags(options: Mapping[str, object]) -> list[str]:
    """Options of the library as words of a command line."""
    return [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]


QUICK_FLAGS = flags(QUICK)


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is read from or written to the user's cache; the working folder is empty."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("NEURALID_CACHE_DIR", str(folder))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return folder


@pytest.fixture(autouse=True)
def quick_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's metrics are rough, and its frame is measured on few faces."""
    monkeypatch.setattr("neuralid.training.metrics.inversion.STEPS", 2)
    monkeypatch.setattr("neuralid.training.metrics.wasserstein.DIRECTIONS", 16)
    monkeypatch.setattr("neuralid.training.session.snapshots.MEASURED", 12)
    monkeypatch.setattr("neuralid.training.session.estimate.SECONDS", 0.1)


def draw_face(rng: np.random.Generator, width: int = 64, height: int = 64) -> Image.Image:
    """A cartoon of a face: skin, eyes and mouth of random colours and places."""

    def colour(low: int, high: int) -> tuple[int, int, int]:
        red, green, blue = rng.integers(low, high, 3).tolist()
        return red, green, blue

    picture = Image.new("RGB", (width, height), colour(0, 255))
    pen = ImageDraw.Draw(picture)
    x, y = (float(v) for v in rng.normal((width / 2, height / 2), 2))
    r = min(width, height) * 0.4
    pen.ellipse((x - r, y - r, x + r, y + r), fill=colour(120, 250))
    for side in (-1, 1):
        eye = x + side * r * 0.4
        pen.ellipse((eye - 4, y - r * 0.4, eye + 4, y - r * 0.4 + 6), fill=colour(0, 90))
    pen.rectangle((x - r / 2, y + r * 0.4, x + r / 2, y + r * 0.55), fill=colour(60, 200))
    return picture


@pytest.fixture(scope="session")
def face_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 pictures of faces in two folder levels."""
    folder = tmp_path_factory.mktemp("faces")
    (folder / "more").mkdir()
    rng = np.random.default_rng(0)
    for index in range(96):
        place = folder / "more" if index % 2 else folder
        draw_face(rng).save(place / f"face{index:03d}.png")
    return folder


@pytest.fixture(scope="session")
def tiny(face_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a 28-pixel model, trained by `train` on the pictures of `face_folder`.

    One of the two processes trains them, for both.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    path = folder / "cache" / "weights" / "tiny.safetensors"
    with in_turn(folder / "tiny.lock"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEURALID_CACHE_DIR", str(folder / "cache"))
        if not path.exists():
            neuralid.train(face_folder, out=folder, kimg=0.4, name="tiny", **TINY)
    return path


@pytest.fixture(scope="session")
def trained(tiny: Path) -> weights.Weights:
    """The tiny weights, read; tests copy what they change."""
    return weights.load_weights(tiny)


@pytest.fixture(scope="session")
def generator(trained: weights.Weights) -> Drawer:
    return build_drawer(trained.generator)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A generated face in a picture of its own, without its latent."""
    path = tmp_path / "photo.png"
    face = Image.open(EXAMPLES / "ada.png").convert("RGB").resize((80, 80))
    picture = Image.new("RGB", (100, 120), (120, 130, 140))
    picture.paste(face, (8, 20))
    picture.save(path)
    return path


@pytest.fixture(scope="session")
def real_celeba() -> list[Path]:
    """CelebA pictures, where ``NEURALID_FACES`` names a folder that holds some."""
    folder = Path(os.environ.get("NEURALID_FACES", "")) / "celeba"
    pictures = sorted(folder.glob("*.jpg"))[:20] if "NEURALID_FACES" in os.environ else []
    if not pictures:
        pytest.skip("NEURALID_FACES names no folder with CelebA pictures")
    return pictures


def run(*arguments: object) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(app, [str(each) for each in arguments])


def fails(result: Result, code: int, *parts: str) -> None:
    """Assert an exit code, no traceback, nothing on stdout, and what stderr says.

    Parameters, which the library writes in backticks, must have become flags.
    """
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert not re.search(r"`\w+(=\S+)?`", result.stderr), result.stderr
    for part in parts:
        assert part in result.stderr


def peak_of(work: Any) -> int:
    """Bytes that Python and NumPy hold at most meanwhile."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
