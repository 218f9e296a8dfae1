"""Input, places and options that are no good: one line, a hint, an exit code, nothing lost."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import QUICK, QUICK_FLAGS, fails, run
from PIL import Image
from test_cli import paths
from test_images import bomb, truncated

import neuralid
from neuralid import weights, weights_cache
from neuralid.core.errors import ImageError
from neuralid.latents.latent import save_latent
from neuralid.models.config import ModelConfig
from neuralid.pictures.images import LATENT_KEY
from neuralid.pictures.photo import Photo


@pytest.fixture
def bad(tmp_path: Path) -> dict[str, Path]:
    """Pictures that are none."""
    text, empty = tmp_path / "text.jpg", tmp_path / "empty.jpg"
    text.write_text("hello")
    (tmp_path / "pictures").mkdir()
    empty.touch()
    return {
        "is not a picture": text,
        "empty.jpg is not a picture": empty,
        "cannot be read": truncated(tmp_path / "half.jpg"),
        "has no pictures": tmp_path / "pictures",
        "too many pixels": bomb(tmp_path / "bomb.png"),
        "does not exist": tmp_path / "missing.jpg",
    }


@pytest.mark.parametrize("command", ["invert", "mix", "upscale"])
def test_broken_pictures(command: str, bad: dict[str, Path], tiny: Path, photo: Path) -> None:
    more = () if command == "upscale" else ("--weights", tiny)
    inputs = (photo,) if command == "mix" else ()
    for words, path in bad.items():
        fails(run(command, *inputs, path, "-o", "out.png", *more), 1, "error:", words, "hint:")
        assert not Path("out.png").exists()


def test_training_data_that_is_none(tmp_path: Path, bad: dict[str, Path]) -> None:
    (tmp_path / "void").mkdir()
    for path, words in [
        (tmp_path / "void", "has no pictures"),
        (tmp_path / "nowhere", "does not exist"),
        (bad["is not a picture"], "neither a folder nor a zip"),
    ]:
        fails(run("train", "--data", path), 1, words, "hint:")
    folder = tmp_path / "mixed"
    folder.mkdir()
    for path in bad.values():
        if path.is_file():
            path.rename(folder / path.name)
    fails(run("train", "--data", folder), 1, "0 usable pictures", "4 cannot be read")


def outputs(command: str, photo: Path, tiny: Path, target: Path) -> list[object]:
    weights_ = ["--weights", tiny]
    return {
        "sample": ["sample", "-n", 1, "-o", target, *weights_],
        "invert": ["invert", photo, "-o", target, *weights_],
        "mix": ["mix", photo, photo, "-o", target, *weights_],
        "upscale": ["upscale", photo, "-o", target],
    }[command]


@pytest.mark.parametrize("command", ["sample", "invert", "mix", "upscale"])
def test_outputs_that_cannot_be_written(
    command: str, photo: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = outputs(command, photo, tiny, tmp_path / "nowhere" / "out.png")
    fails(run(*missing), 1, "cannot write", "does not exist: create it first")
    fails(run(*outputs(command, photo, tiny, photo / "out.png")), 1, "cannot write", "in the way")
    fails(run(*outputs(command, photo, tiny, tmp_path)), 1, "cannot write", "folder of that name")

    target = Path("old.png")
    target.write_text("precious")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    fails(run(*outputs(command, photo, tiny, target)), 1, "cannot write", "disk is full")
    assert target.read_text() == "precious"


def outdirs(command: str, photo: Path, tiny: Path, target: Path) -> list[object]:
    weights_ = ["--weights", tiny]
    return {
        "sample": ["sample", "-n", 2, "--outdir", target, *weights_],
        "invert": ["invert", photo, "--steps", 1, "--outdir", target, *weights_],
        "upscale": ["upscale", photo, "--outdir", target],
        "train": ["train", "--data", photo.parent / "faces", "--out", target, *TRAINING],
    }[command]


TRAINING = (*QUICK_FLAGS, "--kimg", 0.016)


@pytest.mark.parametrize("command", ["sample", "invert", "upscale", "train"])
def test_folders_that_cannot_be_written_to(
    command: str,
    photo: Path,
    tiny: Path,
    face_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "faces").symlink_to(face_folder)
    deep = tmp_path / "new" / "folder"  # made if need be
    assert run(*outdirs(command, photo, tiny, deep)).exit_code == 0
    assert any(deep.iterdir())
    for place in (photo, photo / "below"):
        fails(run(*outdirs(command, photo, tiny, place)), 1, "cannot write", "in the way", "hint:")

    kept = sorted(path.name for path in deep.rglob("*"))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        fails(run(*outdirs(command, photo, tiny, deep)), 1, "cannot write", "disk is full")
    assert set(kept) <= {path.name for path in deep.rglob("*")}

    def refused(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    fails(run(*outdirs(command, photo, tiny, deep)), 1, "cannot write", "read-only")


def test_a_stopped_training_run_says_how_to_go_on(
    face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def at_once() -> Iterator[Callable[[], bool]]:
        yield lambda: (tmp_path / "else").exists()  # the run has begun

    neuralid.train(face_folder, out=tmp_path / "first", name="a", **QUICK, kimg=0.016)
    monkeypatch.setattr("neuralid.console.stop_signals", at_once)
    result = run("train", "--data", face_folder, "--out", tmp_path / "else", *TRAINING)
    assert result.exit_code == 130 and result.stdout == ""
    assert f"--resume {tmp_path / 'else' / '00000-faces'}" in result.stderr.replace("\n", "")


@pytest.mark.parametrize("junk", [b"hi", b"text file"])
def test_checkpoints_that_are_none(face_folder: Path, tmp_path: Path, junk: bytes) -> None:
    done = neuralid.train(face_folder, out=tmp_path, name="a", **QUICK, kimg=0.016)
    assert done.run is not None
    for path in done.run.glob("checkpoint-*"):
        path.write_bytes(junk)
    result = run("train", "--resume", done.run, "--kimg", 1)
    fails(result, 1, "is damaged", "no checkpoint that can be read", "hint:")


def test_holes_in_weights_are_noticed(tiny: Path, tmp_path: Path) -> None:
    content = bytearray(tiny.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 1000] = bytes(1000)
    holed = tmp_path / "holed.safetensors"
    holed.write_bytes(content)
    fails(run("sample", "--weights", holed), 3, "is damaged", "hint:")


def test_latents_and_pictures_are_numbered_together(tiny: Path, photo: Path) -> None:
    Path("photo.latent.safetensors").write_text("mine")
    assert run("invert", photo, "--steps", 1, "--weights", tiny).exit_code == 0
    assert Path("photo-1.inverted.png").exists() and Path("photo-1.latent.safetensors").exists()


def test_what_is_no_png_loses_its_recipe_aloud(tiny: Path, photo: Path) -> None:
    result = run("mix", photo, photo, "-o", "out.jpg", "--weights", tiny)
    assert result.exit_code == 0 and "only PNG keeps the recipe" in result.stderr


def test_a_strip_is_nobodys_photo(tiny: Path, photo: Path) -> None:
    run("mix", photo, photo, "-o", "strip.png", "--strip", 2, "--weights", tiny)
    fails(run("mix", photo, "strip.png", "--weights", tiny), 2, "is a strip", "without --strip")


def test_the_prior_can_be_turned_off(tiny: Path, photo: Path) -> None:
    free = neuralid.invert([photo], prior=0, model=tiny)[0]
    result = run("invert", photo, "--prior", 0, "--json", "--weights", tiny)
    assert json.loads(result.stdout)["psnr"] == pytest.approx(free.psnr, abs=0.01)
    held = neuralid.invert([photo], prior=5, model=tiny)[0]
    assert float(held.latent.norm()) < float(free.latent.norm())


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
@pytest.mark.parametrize("command", ["sample", "invert", "mix", "upscale"])
def test_a_read_only_folder(command: str, photo: Path, tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    arguments = outputs(command, photo, tiny, folder / "out.png")
    fails(run(*arguments), 1, "cannot write", "no permission to write there")


@pytest.mark.parametrize("command", ["sample", "invert", "mix", "upscale", "train"])
def test_a_read_only_file_system(
    command: str,
    photo: Path,
    tiny: Path,
    tmp_path: Path,
    face_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    if command == "train":
        arguments: list[object] = ["train", "--data", face_folder, "--size", 28]
    else:
        arguments = outputs(command, photo, tiny, tmp_path / "out.png")
    fails(run(*arguments), 1, "cannot write", "read-only")


@pytest.mark.parametrize("command", ["sample", "invert", "mix"])
def test_weights_that_do_not_fit(command: str, photo: Path, tiny: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(tiny.read_bytes()[:1000])
    other = tmp_path / "other.safetensors"
    description = weights.Description(ModelConfig(size=56, latent_size=16))
    weights.save_weights(other, weights.load_weights(tiny).generator, description)
    for path, words in [
        (damaged, "is damaged"),
        (other, "does not match its architecture"),
        (photo, "is damaged or not a safetensors file"),
        (Path("nobody"), "no weights 'nobody'"),
    ]:
        result = run(*outputs(command, photo, path, Path("out.png")))
        fails(result, 3, "error:", words, "hint:")


@pytest.mark.parametrize("command", ["train", "sample", "invert", "mix", "upscale"])
def test_devices_that_are_not_there(
    command: str, photo: Path, tiny: Path, face_folder: Path
) -> None:
    if command == "train":
        arguments: list[object] = ["train", "--data", face_folder]
    else:
        arguments = outputs(command, photo, tiny, Path("out.png"))
    fails(run(*arguments, "--device", "cuda:63"), 1, "'cuda:63' is not available", "cpu")
    fails(run(*arguments, "--device", "toaster"), 2, "no device is called 'toaster'")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--data", ".", "--size", 64], "the nearest that work are 56 and 28"),
        (["train", "--data", ".", "--kimg", -1], "kimg must be"),
        (["train", "--data", ".", "--batch", 1], "batch must be"),
        (["train", "--data", ".", "--recipe", "magic"], "there are paper, stable"),
        (["train", "--data", ".", "--precision", "int4"], "precision must be"),
        (["train", "--data", ".", "--face-size", 2], "--face-size must be"),
        (["train", "--data", ".", "--face-size", 30000], "--face-size must be"),
        (["train", "--data", ".", "--seed", -1], "seed must be"),
        (["train", "--data", ".", "--snapshot", 0], "snapshot must be"),
        (["train", "--data", ".", "--latent-size", 0], "latent"),
        (["train", "--data", ".", "--rotation", 999], "rotation must be"),
        (["train", "--data", ".", "--workers", 0], "workers"),
        (["train", "--data", ".", "--max-images", 0], "max-images"),
        (["train", "--data", ".", "--name", ""], "not a name"),
        (["train", "--data", ".", "--name", ".."], "not a name"),
        (["train", "--data", ".", "--name", "x" * 300], "not a name"),
        (["mix", "a.jpg", "b.jpg", "--scale", 0], "scale must be"),
        (["invert", "a.jpg", "--prior", -1], "prior must be"),
        (["invert", "a.jpg", "--face", 0], "face must be"),
        (["sample", "-n", 2, "--seeds", "1"], "--num and --seeds exclude each other"),
        (["sample", "-n", 10000, "--scale", 64], "megapixels of all the faces together must be"),
        (["sample", "-n", 0], "--num must be"),
        (["sample", "--seeds", "1-x"], "not a list of seeds"),
        (["sample", "--seed", 1, "--seeds", "2"], "exclude each other"),
        (["train", "--data", ".", "--name", "../up"], "not a name"),
        (["train"], "no data to train on"),
        (["invert", "a.jpg", "--delta-i", 3_000_000_000], "--delta-i must be"),
        (["sample", "--trunc", -1], "trunc must be"),
        (["sample", "--scale", 100], "scale must be"),
        (["sample", "-o", "a.png", "--outdir", "b"], "exclude each other"),
        (["invert", "a.jpg", "--steps", 0], "steps must be"),
        (["invert", "a.jpg", "b.jpg", "-o", "c.png"], "use --outdir"),
        (["mix", "a.jpg", "--strip", 3], "at least two"),
        (["mix", "a.jpg", "b.jpg", "--blend", "paint"], "no blend 'paint'"),
        (["mix", "a.jpg", "b.jpg", "--weight", 2], "from 0 to 1"),
        (["upscale", "a.jpg", "--method", "magic"], "no method 'magic'"),
        (["upscale", "a.jpg", "--scale", 0], "scale must be"),
        (["upscale", "a.jpg", "--filter", "unsharp=9"], "amount of unsharp must be"),
        (["upscale"], "Missing argument"),
        (["paint"], "No such command"),
    ],
)
def test_options_out_of_range(arguments: list[object], words: str) -> None:
    fails(run(*arguments), 2, words)


def test_photos_of_one_name_in_two_folders_do_not_overwrite_each_other(
    tiny: Path, photo: Path
) -> None:
    for folder in ("x", "y"):
        Path(folder).mkdir()
        Path(folder, "me.png").write_bytes(photo.read_bytes())
    result = run("invert", "x/me.png", "y/me.png", "--outdir", "o", "--steps", 2, "--weights", tiny)
    assert len(set(paths(result.stdout))) == 4


@pytest.mark.parametrize("command", ["sample", "invert", "mix", "upscale"])
def test_an_unknown_suffix_is_refused_before_the_work(
    command: str, photo: Path, tiny: Path
) -> None:
    fails(run(*outputs(command, photo, tiny, Path("out.xyz"))), 1, "unknown suffix", "use .png")
    assert not list(Path().iterdir())


def test_a_picture_a_format_cannot_hold_is_one_line() -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save("in.png")
    fails(run("upscale", "in.png", "-o", "out.palm"), 1, "cannot write out.palm", "use .png")


def test_a_run_of_the_same_name_as_a_folder_is_found(tiny: Path) -> None:
    weights_cache.weights_folder().mkdir(parents=True)
    (weights_cache.weights_folder() / "celeba.safetensors").write_bytes(tiny.read_bytes())
    Path("celeba").mkdir()
    assert run("sample", "-n", 1, "--weights", "celeba").exit_code == 0


def test_mixing_needs_latents_of_the_weights_in_use(tiny: Path, photo: Path) -> None:
    save_latent(Path("a.safetensors"), torch.zeros(16), "other", {})
    fails(run("mix", photo, "a.safetensors", "--weights", tiny), 1, "belongs to other weights")
    Path("b.safetensors").write_text("junk")
    fails(run("mix", photo, "b.safetensors", "--weights", tiny), 1, "not a latent file")


def test_a_grid_of_faces_is_nobodys_photo(tiny: Path, photo: Path) -> None:
    run("sample", "-n", 4, "-o", "grid.png", "--weights", tiny)
    assert Photo.read("grid.png").text.get(LATENT_KEY) is None
    fails(run("mix", photo, "grid.png", "--weights", tiny), 2, "grid of 4 faces")


def test_a_bug_keeps_its_traceback_and_an_error_shows_it_on_request(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in (["upscale", "missing.jpg", "-o", "x.png"], ["invert", "missing.jpg"]):
        shown = run("--traceback", *command)
        assert isinstance(shown.exception, ImageError)
        fails(run(*command), 1, "does not exist")

    def bug(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("neuralid.upscaling.enlarge.upscale_array", bug)
    result = run("upscale", photo)
    assert isinstance(result.exception, ZeroDivisionError)
