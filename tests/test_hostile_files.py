"""Weights, latents, recipes, data sets and names that are damaged, or made to do harm."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import QUICK, draw_face, fails, run
from PIL import Image
from safetensors.torch import save_file
from test_hostile import LONG, SMALL, STRANGE

import neuralid
from neuralid import console, streams, weights
from neuralid.core.errors import LatentError, NeuralidError, WeightsError
from neuralid.core.tensors import SEAL
from neuralid.data.cache import open_entry
from neuralid.data.dataset import BY_NAME, is_held_out, load_dataset
from neuralid.faces.config import CropConfig
from neuralid.latents.latent import load_latent, save_latent
from neuralid.models.building import build_generator
from neuralid.pictures.images import RECIPE_KEY, save_picture
from neuralid.training.runs.folder import Run
from neuralid.training.runs.plan import Plan

# Weights and latents


def stored(path: Path, text: str, tensors: dict[str, torch.Tensor] | None = None) -> Path:
    save_file(tensors or {"a": torch.zeros(0)}, path, {"neuralid": text, "neuralid-latent": text})
    return path


DESCRIPTION: dict[str, Any] = {"model": {"size": 28, "latent_size": 4}, "format": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": {"latent_size": 16.5}},
        {"model": {"latent_size": 65536, "size": 112}},
        {"model": {"size": "28"}},
        {"model": {"architecture": "\x1b[2J"}},
        {"model": [28]},
        {"format": float("nan")},
        {"format": "2"},
        {"format": None},
        {"directions": [1]},
        {"directions": {"age": 3}},
        {"directions": {"age": {"unit": 1.0}}},
        {"scores": {"kid": "good"}},
        {"frame": {"left_eye": [0.3]}},
        {"frame": {"left_eye": [0.3, 0.3]}},
        {"images_seen": "many"},
        {"version": 3},
        {"more": 1},
    ],
)
def test_descriptions_of_other_types_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    path = stored(tmp_path / "w.safetensors", json.dumps({**DESCRIPTION, **wrong}))
    with pytest.raises(WeightsError):
        weights.load_weights(path)


@pytest.mark.parametrize("text", STRANGE)
def test_descriptions_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    path = stored(tmp_path / "x.safetensors", text, {"latent": torch.zeros(4)})
    with pytest.raises(WeightsError):
        weights.load_weights(path)
    with pytest.raises(LatentError):
        load_latent(path)


def generator_file(path: Path, **changed: torch.Tensor) -> Path:
    """Weights without a checksum, with some tensors in place of their own."""
    tensors = build_generator(SMALL, torch.Generator().manual_seed(0)).state_dict()
    more = {name.replace("__", "."): tensor for name, tensor in changed.items()}
    return stored(path, json.dumps(DESCRIPTION), {**tensors, **more})


def test_weights_of_other_types_are_refused_and_old_ones_read(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    assert weights.load_weights(generator_file(path)).description.model == SMALL
    for changed in (
        {"to_rgb__bias": torch.zeros(3, dtype=torch.int64)},
        {"to_rgb__bias": torch.zeros(4)},
        {"conv_norm__running_var": torch.full((32,), -1.0)},
        {"conv_norm__num_batches_tracked": torch.tensor(1.0)},
        {"perceptual__x": torch.zeros(1)},
        {"latent_metric": torch.zeros(3, 3)},
        {"latent_metric": torch.full((4, 4), float("nan"))},
    ):
        with pytest.raises(WeightsError, match=r"damaged|match"):
            weights.load_weights(generator_file(path, **changed))


def flip(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert len(old) == len(new) and content.count(old) == 1
    path.write_bytes(content.replace(old, new))


def without_seal(path: Path) -> None:
    """The file as earlier versions wrote it."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    del header["__metadata__"][SEAL]
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def test_what_a_file_says_of_itself_is_covered_by_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    generator = build_generator(SMALL, torch.Generator().manual_seed(0))
    weights.save_weights(path, generator, weights.Description(SMALL, dataset="celeba"))
    flip(path, b"celeba", b"celebb")
    with pytest.raises(WeightsError, match="checksum"):
        weights.load_weights(path)
    without_seal(path)
    assert weights.load_weights(path).description.dataset == "celebb"

    path = tmp_path / "l.safetensors"
    save_latent(path, torch.zeros(4), "abc", {"psnr": 27.5})
    for old, new in ((b"27.5", b"28.5"), (bytes(16), bytes(15) + b"\1")):
        flip(path, old, new)
        with pytest.raises(LatentError, match="checksum"):
            load_latent(path)
        flip(path, new, old)
    without_seal(path)
    assert load_latent(path).facts == {"psnr": 27.5}


@pytest.mark.parametrize("size", [1e20, -1e30, 2e6])
def test_a_latent_that_is_absurdly_long_draws_nothing(tmp_path: Path, size: float) -> None:
    save_latent(tmp_path / "l.safetensors", torch.full((4,), size), "abc", {})
    with pytest.raises(LatentError, match="damaged"):
        load_latent(tmp_path / "l.safetensors")


def test_faces_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    generator = build_generator(SMALL, torch.Generator().manual_seed(0))
    for name in ("dense_norm.weight", "norms.0.weight"):
        generator.state_dict()[name].fill_(3e38)
    path = tmp_path / "w.safetensors"
    weights.save_weights(path, generator, weights.Description(SMALL))
    result = run("sample", "-n", 1, "-o", "out.png", "--weights", path)
    fails(result, 1, "not finite", "hint:")
    assert not Path("out.png").exists()


@pytest.mark.parametrize("recipe", [*STRANGE, '{"mix": "a"}', '{"sample": [{"seeds": 3}]}'])
def test_recipes_of_other_shapes_make_a_picture_a_photo(
    tiny: Path, photo: Path, recipe: str
) -> None:
    save_picture(Path("p.png"), Image.open(photo), {RECIPE_KEY: recipe[:50_000]})
    options = ("--no-align", "--fidelity", "fast", "--attribute", "nothing=1")
    result = run("mix", "p.png", "p.png", "--weights", tiny, *options)
    fails(result, 2, "no attribute 'nothing'")


# Data sets


def pictures(folder: Path, name: Callable[[int], str], count: int = 70) -> Path:
    rng = np.random.default_rng(0)
    for index in range(count):
        place = folder / name(index)
        place.parent.mkdir(parents=True, exist_ok=True)
        draw_face(rng, 28, 28).save(place)
    return folder


def read(source: Path, cache: Path, **more: Any) -> Any:
    return load_dataset(source, 28, CropConfig(), cache, **more)


@pytest.mark.parametrize(
    "damage",
    [
        lambda index: {**index, "names": 5},
        lambda index: {**index, "names": index["names"][::-1]},  # of the right type
        lambda index: {**index, "shape": [LONG, 28, 3]},
        lambda index: {**index, "shape": [28, 28, 3, 1]},
        lambda index: {**index, "checksums": []},
        lambda index: {**index, "face_sizes": {"28": None}},
        lambda index: {**index, "skipped": []},
        lambda index: [index],
        lambda index: {},
    ],
)
def test_a_damaged_index_of_the_cache_is_made_again(
    tmp_path: Path, damage: Callable[[Any], Any]
) -> None:
    source, cache = pictures(tmp_path / "set", lambda i: f"{i}.png", 64), tmp_path / "datasets"
    first = read(source, cache)
    (path,) = cache.glob("*/index.json")
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    assert open_entry(path.parent) is None
    again = read(source, cache)
    assert again.names == first.names and np.array_equal(again.images, first.images)
    assert open_entry(path.parent) is not None


def test_an_index_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    source, cache = pictures(tmp_path / "set", lambda i: f"{i}.png", 64), tmp_path / "datasets"
    read(source, cache)
    (path,) = cache.glob("*/index.json")
    index = json.loads(path.read_text())
    del index["index_checksum"]
    path.write_text(json.dumps(index))
    assert open_entry(path.parent) is not None


def test_a_folder_per_person_and_one_name_for_all(tmp_path: Path) -> None:
    source = pictures(tmp_path / "set", lambda i: f"s{i}/14.png", 200)
    faces = read(source, tmp_path / "datasets")
    assert 2 <= len(faces.validation()) <= 25
    held = next(name for name in (f"{i}.png" for i in range(999)) if is_held_out(name, BY_NAME))
    source = pictures(tmp_path / "held", lambda i: f"s{i}/{held}")
    with pytest.raises(NeuralidError, match=r"kept for validation.*one name"):
        read(source, tmp_path / "datasets", split=BY_NAME)


def test_a_run_keeps_the_split_it_began_with(face_folder: Path, tmp_path: Path) -> None:
    done = neuralid.train(face_folder, out=tmp_path, name="t", **QUICK, kimg=0.016)
    assert done.run is not None
    path = done.run / "options.json"
    written = json.loads(path.read_text())
    assert written["split"] == "path"
    del written["split"]  # as earlier versions wrote it
    path.write_text(json.dumps(written))
    neuralid.train(out=tmp_path, resume="latest", dry_run=True)
    assert Plan.from_dict(Run(done.run).read_options()).split == "name"


def test_a_zip_with_a_name_twice_counts_it_once(tmp_path: Path) -> None:
    folder, archive = pictures(tmp_path / "set", lambda i: f"{i}.png", 66), tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for path in sorted(folder.iterdir()):
            target.write(path, path.name)
        with pytest.warns(UserWarning, match="Duplicate"):
            target.write(folder / "0.png", "1.png")
    faces = read(archive, tmp_path / "datasets")
    assert len(faces.names) == len(set(faces.names)) == 66
    assert np.array_equal(*faces.images[[faces.names.index(n) for n in ("0.png", "1.png")]])


def test_files_too_large_for_a_picture_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse = tmp_path / "sparse.webp"
    with sparse.open("wb") as file:
        file.write(b"RIFF\xff\xff\xff\x7fWEBPVP8 ")
        file.truncate(10_000_000_000)
    for command in (("upscale",), ("invert", "--no-align")):
        fails(run(*command, sparse, "-o", "out.png"), 1, "10000 MB are too many", "hint:")
    folder, archive = pictures(tmp_path / "set", lambda i: f"{i}.png", 66), tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for path in folder.iterdir():
            target.write(path, path.name)
        target.writestr("bomb.webp", b"RIFF\xff\xff\xff\x7fWEBPVP8 " + bytes(1_000_000))
    monkeypatch.setattr("neuralid.pictures.images.MOST_BYTES", 500_000)
    assert "too many" in read(archive, tmp_path / "datasets").skipped["bomb.webp"]


# The terminal


def test_text_from_files_shows_and_does_nothing_else() -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egpj.\r\n\udcff"
    shown = streams.visible(hostile)
    assert shown.isprintable() and "owned" in shown and "\\x1b" in shown
    assert streams.visible("naïve 名前.jpg `scale`") == "naïve 名前.jpg `scale`"
    long = streams.visible("start " + "A" * 90_000 + " end")
    assert len(long) < 2000 and long.startswith("start") and long.endswith("end")


def test_names_do_nothing_to_the_terminal_and_reach_a_pipe_exactly(
    photo: Path, tmp_path: Path
) -> None:
    name = "a\x1b[2Jb\x1b]0;owned\x07.png"
    (tmp_path / name).write_bytes(b"none")
    result = run("upscale", tmp_path / name)
    fails(result, 1, "\\x1b[2J")
    assert "\x1b" not in result.stderr
    (tmp_path / name).write_bytes(photo.read_bytes())
    result = run("upscale", tmp_path / name, "--method", "nearest", "--outdir", tmp_path / "out")
    assert result.stdout_bytes == os.fsencode(tmp_path / "out" / name.replace(".png", "_x4.png\n"))


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_path_on_stdout(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream(io.TextIOWrapper):
        def isatty(self) -> bool:
            return is_terminal

    stream = Stream(io.BytesIO(), "utf-8")
    monkeypatch.setattr("sys.stdout", stream)
    console.print_line(Path(os.fsdecode(b"h\xf6he\x1b[2J.png")))
    written = stream.buffer.getvalue()  # type: ignore[attr-defined]
    shown = b"h\\udcf6he\\x1b[2J.png\n"
    assert written == (shown if is_terminal else b"h\xf6he\x1b[2J.png\n")
