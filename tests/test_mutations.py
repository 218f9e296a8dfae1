"""Files with bytes changed: every command gives results or one line, never a traceback.

``NEURALID_MUTATIONS=1000`` tries as many of each kind of file; by default there are a few.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import QUICK_FLAGS, draw_face, run
from PIL import Image
from typer.testing import Result

from neuralid import weights
from neuralid.core.errors import NeuralidError
from neuralid.data.dataset import load_dataset
from neuralid.faces.config import CropConfig
from neuralid.latents.latent import save_latent, to_text
from neuralid.models.building import build_generator
from neuralid.models.config import ModelConfig
from neuralid.pictures.images import LATENT_KEY, RECIPE_KEY, save_picture
from neuralid.training.config import TrainConfig
from neuralid.training.runs.checkpoint import load_checkpoint, save_checkpoint
from neuralid.training.runs.history import History
from neuralid.training.runs.plan import Plan
from neuralid.training.runs.report import write_report
from neuralid.training.state import TrainState

COUNT = int(os.environ.get("NEURALID_MUTATIONS", "5"))
SMALL = ModelConfig(size=28, latent_size=4)
WORDS = (b"null", b"-1", b"1e999", b"9" * 400, b"[" * 400, b'"\\u001b[2J"', b"{}", b"\0", b"\xff")
FORMATS = ("png", "jpg", "webp", "bmp", "gif", "tif", "ppm", "tga", "ico", "jp2")


def mutations(content: bytes, seed: int) -> Iterator[bytes]:
    """The content with bits flipped, bytes replaced, stretches cut, doubled or put in."""
    rng = np.random.default_rng(seed)
    for _ in range(COUNT):
        changed = bytearray(content)
        # Half of the time where headers are.
        reach = len(changed) if rng.random() < 0.5 else min(len(changed), 400)
        for _ in range(int(rng.integers(1, 5))):
            at, length = int(rng.integers(reach)), int(rng.integers(1, 40))
            kind = rng.integers(6)
            if kind == 0 and at < len(changed):
                changed[at] ^= 1 << int(rng.integers(8))
            elif kind == 1:
                changed[at : at + length] = rng.bytes(length)
            elif kind == 2:
                del changed[at : at + length]
            elif kind == 3:
                changed[at:at] = changed[at : at + length]
            elif kind == 4:
                changed[at : at + int(rng.integers(6))] = WORDS[int(rng.integers(len(WORDS)))]
            else:
                del changed[max(at, 1) :]
        yield bytes(changed)


def is_clean(result: Result, *outputs: Path) -> bool:
    """Whether a command gave results, or one line and no results; then remove the results."""
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    shown = result.stderr.replace("\n", "")
    assert shown.isprintable() and len(result.stderr) < 6000, result.stderr
    assert len(errors) == (result.exit_code != 0), result.output
    for path in outputs:
        assert path.exists() == (result.exit_code == 0)
        if path.exists():
            with Image.open(path) as picture:
                picture.load()
        path.unlink(missing_ok=True)
    return result.exit_code == 0


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    generator = build_generator(SMALL, torch.Generator().manual_seed(0))
    weights.save_weights(path, generator, weights.Description(SMALL, dataset="faces"))
    return path


def picture(format_: str) -> bytes:
    buffer = io.BytesIO()
    face = draw_face(np.random.default_rng(1), 40, 40)
    face.save(buffer, Image.registered_extensions()[f".{format_}"])
    return buffer.getvalue()


@pytest.mark.parametrize("format_", FORMATS)
def test_mutated_pictures(format_: str, tmp_path: Path, small: Path) -> None:
    path, out = tmp_path / f"in.{format_}", Path("out.png")
    framed = ("--face-size", 30, "--fidelity", "fast", "--steps", 1, "--weights", small)
    for number, content in enumerate(mutations(picture(format_), len(format_))):
        path.write_bytes(content)
        command: tuple[object, ...] = ("upscale", path, "--method", "nearest", "--scale", 2)
        if number % 4 == 0:
            command = ("invert", path, *framed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of damaged files
            is_clean(run(*command, "-o", out), out)


def test_mutated_weights(small: Path) -> None:
    assert is_clean(run("sample", "-n", 1, "-o", "out.png", "--weights", small), Path("out.png"))
    for content in mutations(small.read_bytes(), 1):
        Path("bad.safetensors").write_bytes(content)
        result = run("sample", "-n", 1, "-o", "out.png", "--weights", "bad.safetensors")
        is_clean(result, Path("out.png"))


def test_mutated_latents(tmp_path: Path, small: Path) -> None:
    path, own = tmp_path / "l.safetensors", weights.load_weights(small).id
    save_latent(path, torch.zeros(4), own, {"psnr": 20.0})
    for content in mutations(path.read_bytes(), 2):
        Path("bad.safetensors").write_bytes(content)
        inputs = (path, "bad.safetensors")
        result = run("mix", *inputs, "--scale", 1, "-o", "out.png", "--weights", small)
        is_clean(result, Path("out.png"))


def test_mutated_texts_in_pictures(small: Path) -> None:
    own = weights.load_weights(small).id
    save_latent(Path("l.safetensors"), torch.zeros(4), own, {"psnr": 20.0})
    latent = to_text(torch.zeros(4), own).encode()
    recipe = json.dumps({"sample": {"seeds": [1, 2]}, "version": "0.1.0"}).encode()
    face = draw_face(np.random.default_rng(1), 28, 28)
    texts = zip(mutations(latent, 3), mutations(recipe, 4), strict=True)
    done = 0
    for number, (first, second) in enumerate(texts):
        told = {RECIPE_KEY: second.decode("latin-1")}
        if number % 4:
            told[LATENT_KEY] = first.decode("latin-1")
        save_picture(Path("p.png"), face, told)
        wanted = ("--no-align", "--fidelity", "fast", "--scale", 1)
        mixed = run("mix", "p.png", "l.safetensors", *wanted, "-o", "out.png", "--weights", small)
        done += is_clean(mixed, Path("out.png"))
    assert done  # it was read, and a text that makes no sense makes a picture a photo


def test_mutated_options_and_logs(tmp_path: Path) -> None:
    plan = Plan(Path("nowhere"), SMALL, CropConfig(), TrainConfig(), "t")
    options = json.dumps({**plan.to_dict(), "pictures": {"count": 3}}).encode()
    lines = [{"kimg": k, "loss_d": 1.0, "time": 5.0 * k, "metrics": {"kid": 1.0}} for k in range(9)]
    log = "\n".join(json.dumps(line) for line in lines).encode()
    for first, second in zip(mutations(options, 5), mutations(log, 6), strict=True):
        (tmp_path / "options.json").write_bytes(first)
        (tmp_path / "log.jsonl").write_bytes(second)
        is_clean(run("train", "--resume", tmp_path, "--dry-run"))
        history = History.read(tmp_path / "log.jsonl")
        assert history.line(1000)
        assert write_report(tmp_path, history).exists()


def test_mutated_data_sets(tmp_path: Path) -> None:
    good, folder, archive = picture("png"), tmp_path / "set", tmp_path / "set.zip"
    folder.mkdir()
    for number in range(64):
        (folder / f"good{number}.png").write_bytes(good)
    for format_ in ("png", "jpg", "webp", "bmp"):
        for number, content in enumerate(mutations(picture(format_), 8)):
            (folder / f"bad{number}.{format_}").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of damaged files
        assert is_clean(run("train", "--data", folder, *QUICK_FLAGS, "--dry-run"))
        for packing in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            with zipfile.ZipFile(archive, "w", packing) as target:
                for number in range(64):
                    target.writestr(f"{number}.png", good)
            for content in mutations(archive.read_bytes(), packing):
                archive.write_bytes(content)
                is_clean(run("train", "--data", archive, *QUICK_FLAGS, "--dry-run"))


def test_mutated_indexes_of_the_cache(tmp_path: Path) -> None:
    folder, cache = tmp_path / "set", tmp_path / "datasets"
    folder.mkdir()
    for number in range(64):
        (folder / f"{number}.png").write_bytes(picture("png"))
    wanted = load_dataset(folder, 28, CropConfig(), cache).names
    (index,) = cache.glob("*/index.json")
    for content in mutations(index.read_bytes(), 9):
        index.write_bytes(content)
        assert load_dataset(folder, 28, CropConfig(), cache).names == wanted


def test_mutated_checkpoints_with_a_checksum_that_is_right(tmp_path: Path) -> None:
    state = small_state()
    path = save_checkpoint(tmp_path, 8, state.pack())
    content = path.read_bytes()[: -len(b"\nsha256 ") - 64]
    start = content.index(b"data.pkl")  # what torch reads as a program, in effect
    sizes = {name: t.shape for name, t in state.generator.state_dict().items()}
    for changed in mutations(content[start : start + 6000], 7):
        mutated = content[:start] + changed + content[start + 6000 :]
        digest = hashlib.sha256(mutated).hexdigest().encode()
        path.write_bytes(mutated + b"\nsha256 " + digest)
        try:
            load_checkpoint(tmp_path, state.unpack)
        except NeuralidError:
            continue
        assert {n: t.shape for n, t in state.generator.state_dict().items()} == sizes
        assert state.is_finite()


def small_state() -> TrainState:
    model = ModelConfig(size=28, latent_size=1, architecture="style")
    state = TrainState.fresh(model, TrainConfig(), torch.device("cpu"))
    for parameter in state.generator.parameters():
        parameter.grad = torch.full_like(parameter, 0.1)
    state.optimizer_g.step()
    return state
