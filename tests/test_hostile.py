"""Files of our own kinds, damaged or made to do harm: one line, and nothing else happens."""

from __future__ import annotations

import hashlib
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
from conftest import TINY, draw_face, fails, run
from PIL import Image
from safetensors.torch import save_file

import neuralid
from neuralid import console, weights
from neuralid.core import jsontext, locks
from neuralid.core.errors import LatentError, NeuralidError, WeightsError
from neuralid.core.files import open_here, read_at_most
from neuralid.core.tensors import SEAL
from neuralid.data.cache import open_entry
from neuralid.data.dataset import BY_NAME, is_held_out, load_dataset
from neuralid.faces.config import CropConfig
from neuralid.latents.latent import load_latent, save_latent
from neuralid.models.building import build_generator, check_size
from neuralid.models.config import ModelConfig
from neuralid.pictures.images import RECIPE_KEY, save_picture
from neuralid.training.config import TrainConfig
from neuralid.training.runs.checkpoint import load_checkpoint, read_checkpoint, save_checkpoint
from neuralid.training.runs.folder import Run
from neuralid.training.runs.history import History
from neuralid.training.runs.plan import Plan
from neuralid.training.runs.records import Event
from neuralid.training.runs.report import write_report
from neuralid.training.state import TrainState

SMALL = ModelConfig(size=28, latent_size=4)
DEEP = "[" * 100_000
LONG = "9" * 400
# Whatever should be an object or a number, but is not.
STRANGE = ["null", "5", '"text"', "[]", "[1]", DEEP, LONG, "-1e999", "{", '{"a": NaN}', ""]


# JSON


@pytest.mark.parametrize("text", ['"' + '\\"' * 200_000 + "[{" * 40, "[" * 33 + '"' * 200_000])
def test_reading_takes_one_pass_whatever_the_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"nested|Unterminated"):
        jsontext.parse(text)


def test_numbers_of_any_length_are_numbers_or_refused() -> None:
    assert jsontext.parse(LONG) == float("inf") and jsontext.parse("9" * 5000) == float("inf")
    assert jsontext.take(jsontext.parse("9223372036854775807"), int) == 2**63 - 1
    for kind in (int, float):
        with pytest.raises(ValueError, match="must be"):
            jsontext.take(jsontext.parse(LONG), kind)
    assert not jsontext.fits(True, int) and not jsontext.fits("a\0b", str)
    assert not jsontext.fits("\ud800", str) and jsontext.fits("name\udcff.jpg", str)


# Checkpoints


def fresh(latent_size: int = 4) -> TrainState:
    model = ModelConfig(size=28, latent_size=latent_size)
    return TrainState.fresh(model, TrainConfig(), torch.device("cpu"))


@pytest.fixture(scope="module")
def packed() -> dict[str, Any]:
    """A state after a step; tests copy what they change."""
    state = fresh()
    for optimizer in (state.optimizer_g, state.optimizer_d):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.full_like(parameter, 0.1)
        optimizer.step()
    state.step, state.images = 1, 64
    return state.pack()


@pytest.fixture(scope="module")
def untouched() -> TrainState:
    """One state for all tests that leave it alone."""
    return fresh()


def with_moment(values: dict[str, Any], name: str, tensor: Any) -> dict[str, Any]:
    """A copy of a state in which one of Adam's moments is another one."""
    adam = values["optimizer_g"]
    changed = {**adam["state"], 0: {**adam["state"][0], name: tensor}}
    return {**values, "optimizer_g": {**adam, "state": changed}}


def with_rate(values: dict[str, Any], rate: Any) -> dict[str, Any]:
    adam = values["optimizer_d"]
    groups = [{**group, "lr": rate} for group in adam["param_groups"]]
    return {**values, "optimizer_d": {**adam, "param_groups": groups}}


def with_tensor(values: dict[str, Any], name: str, tensor: Any) -> dict[str, Any]:
    return {**values, "generator": {**values["generator"], name: tensor}}


def moment(values: dict[str, Any]) -> torch.Tensor:
    found: torch.Tensor = values["optimizer_g"]["state"][0]["exp_avg"]
    return found


HARM: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "short": lambda v: with_moment(v, "exp_avg", torch.zeros(3)),
    "long": lambda v: with_moment(v, "exp_avg_sq", torch.zeros(1 << 20)),
    "double": lambda v: with_moment(v, "exp_avg", moment(v).double()),
    "sparse": lambda v: with_moment(v, "exp_avg", moment(v).to_sparse()),
    "no tensor": lambda v: with_moment(v, "exp_avg", 3.0),
    "nan": lambda v: with_moment(v, "exp_avg", moment(v) * float("nan")),
    "negative": lambda v: with_moment(v, "exp_avg_sq", moment(v) * 0 - 1),
    "steps": lambda v: with_moment(v, "step", torch.zeros(5)),
    "more": lambda v: with_moment(v, "max_exp_avg_sq", moment(v)),
    "another parameter": lambda v: {
        **v,
        "optimizer_g": {**v["optimizer_g"], "state": {99: v["optimizer_g"]["state"][0]}},
    },
    "no groups": lambda v: {**v, "optimizer_g": {**v["optimizer_g"], "param_groups": []}},
    "a rate": lambda v: with_rate(v, 1e9),
    "no rate": lambda v: with_rate(v, "fast"),
    "nan rate": lambda v: with_rate(v, float("nan")),
    "weights": lambda v: with_tensor(v, "to_rgb.bias", torch.zeros(4)),
    "half": lambda v: with_tensor(v, "to_rgb.bias", torch.zeros(3).half()),
    "infinite": lambda v: with_tensor(v, "to_rgb.bias", torch.full((3,), float("inf"))),
    "variance": lambda v: with_tensor(v, "conv_norm.running_var", torch.full((32,), -1.0)),
    "extra": lambda v: with_tensor(v, "extra", torch.zeros(1)),
    "list": lambda v: {**v, "discriminator": []},
    "images": lambda v: {**v, "images": -1},
    "step": lambda v: {**v, "step": "1"},
    "rollbacks": lambda v: {**v, "rollbacks": 10**6},
    "missing": lambda v: {name: part for name, part in v.items() if name != "average"},
    "probability": lambda v: {
        **v,
        "augmentation": {**v["augmentation"], "probability": torch.tensor(7.0)},
    },
}


@pytest.mark.parametrize("harm", HARM)
def test_a_state_is_looked_at_before_any_of_it_is_taken_over(
    packed: dict[str, Any], untouched: TrainState, harm: str
) -> None:
    state = untouched
    before = state.generator.state_dict()["to_rgb.weight"].clone()
    with pytest.raises(ValueError):
        state.unpack(HARM[harm](packed))
    assert state.images == 0 and not state.optimizer_g.state
    assert state.generator.state_dict()["to_rgb.weight"].equal(before)


def test_moments_get_memory_of_their_own_laid_out_like_the_parameters(
    packed: dict[str, Any],
) -> None:
    """One number, repeated, has the right shape: an optimiser would write past its end."""
    state, own = fresh(), moment(packed)
    one = torch.zeros(()).expand(own.shape)
    state.unpack(with_moment(with_moment(packed, "exp_avg", one), "exp_avg_sq", one))
    for parameter, kept in state.optimizer_g.state.items():
        for name in ("exp_avg", "exp_avg_sq"):
            assert kept[name].stride() == parameter.stride()
            assert kept[name].untyped_storage().nbytes() == 4 * parameter.numel()
            assert kept[name].data_ptr() != own.data_ptr()


def test_a_checkpoint_that_would_do_harm_falls_back_to_the_one_before(
    packed: dict[str, Any], tmp_path: Path
) -> None:
    save_checkpoint(tmp_path, 64, packed)
    save_checkpoint(tmp_path, 128, HARM["short"]({**packed, "images": 128}))
    state, heard = fresh(), list[str]()
    assert load_checkpoint(tmp_path, state.unpack, lambda path: heard.append(path.name))
    assert state.images == 64 and heard == ["checkpoint-000000128.pt"]
    found = state.optimizer_g.state_dict()["state"][0]["exp_avg"]
    assert found.equal(moment(packed))


def sealed(path: Path, content: bytes) -> Path:
    """A file with a checksum that is right, which anybody can compute."""
    path.write_bytes(content + b"\nsha256 " + hashlib.sha256(content).hexdigest().encode())
    return path


def lying(values: dict[str, Any], *words: tuple[bytes, bytes]) -> bytes:
    """A checkpoint as torch writes it, with other words in it."""
    plain, changed = io.BytesIO(), io.BytesIO()
    torch.save(values, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            for old, new in words:
                content = content.replace(old, new)
            target.writestr(name, content)
    return changed.getvalue()


def test_a_checkpoint_that_lies_about_its_sizes_reaches_nothing_outside_of_it(
    tmp_path: Path,
) -> None:
    values = {"a": torch.arange(4.0)}
    # 4 numbers become a million: those of the storage, and in the tensor's shape.
    million = b"J\x00\x00\x10\x00"
    shape = (b"K\x00K\x04\x85", b"K\x00" + million + b"\x85")
    lies = lying(values, (b"K\x04tq", million + b"tq"), shape)
    with pytest.raises(Exception, match=r"storage|size|bounds"):
        read_checkpoint(sealed(tmp_path / "lies.pt", lies))["a"].sum()
    old = io.BytesIO()
    torch.save(values, old, _use_new_zipfile_serialization=False)
    with pytest.raises(RuntimeError):
        read_checkpoint(sealed(tmp_path / "old.pt", old.getvalue()))


# Links


def test_no_link_in_a_runs_folder_is_followed_on_writing(tmp_path: Path) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("precious")
    for name in ("lock", "log.jsonl"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).symlink_to(precious)
        with pytest.raises(NeuralidError, match="link"):
            if name == "lock":
                with Run(folder).locked():
                    pass
            else:
                Run(folder).log(Event("resumed"))
    assert precious.read_text() == "precious"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_pipes_and_devices_are_neither_waited_for_nor_read_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log.jsonl")
    with pytest.raises(OSError):
        open_here(tmp_path / "log.jsonl", os.O_RDWR)
    (tmp_path / "options.json").symlink_to("/dev/zero")
    for name in ("log.jsonl", "options.json"):
        with pytest.raises(ValueError, match="plain file"):
            read_at_most(tmp_path / name, 100)
    assert History.read(tmp_path / "log.jsonl").ticks == []
    for name in ("weights.safetensors", "checkpoint-000000001.pt", "fakes000001.png"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(WeightsError, match="plain file"):
        weights.load_weights(tmp_path / "weights.safetensors")
    with pytest.raises(NeuralidError, match="no checkpoint that can be read"):
        load_checkpoint(tmp_path, fresh().unpack)
    (tmp_path / "log.jsonl").unlink()
    assert write_report(tmp_path, History()).exists()


def test_a_lock_that_is_no_lock_of_ours_keeps_its_content(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("my notes")
    with locks.locked(path):
        assert path.read_text() == "my notes"
    path.write_text("process 12")
    with locks.locked(path):
        assert path.read_text() == f"process {os.getpid()}"


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


# Run folders


def options(**changed: Any) -> dict[str, Any]:
    plan = Plan(Path("nowhere"), SMALL, CropConfig(), TrainConfig(kimg=0.064, batch=8), "t")
    return {**plan.to_dict(), **changed}


@pytest.mark.parametrize(
    "changed",
    [
        {"data": "a\0b"},
        {"data": None},
        {"data": "\ud800"},
        {"name": "a\n"},
        {"name": "../../evil"},
        {"name": 3},
        {"max_images": 1.5},
        {"split": "coin"},
        {"align": "yes"},
        {"model": {"size": 28.0}},
        {"model": {"latent_size": 1 << 16}},
        {"model": "dcgan"},
        {"crop": None},
        {"crop": {"delta_i": 10**400}},
        {"train": {"batch": 8.5, "recipe": {"name": "x"}}},
        {"train": {"recipe": []}},
        {"train": {"recipe": {"name": "x", "r1_interval": 1.5}}},
        {"train": {"recipe": {"name": "x", "beta1": float("nan")}}},
    ],
)
def test_options_of_a_strangers_run_are_checked(tmp_path: Path, changed: dict[str, Any]) -> None:
    (tmp_path / "options.json").write_text(json.dumps(options(**changed)))
    result = run("train", "--resume", tmp_path, "--dry-run")
    assert result.exit_code in (1, 2)
    fails(result, result.exit_code, "error:", "hint:")


@pytest.mark.parametrize("text", STRANGE)
def test_options_that_are_none_are_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "options.json").write_text(text)
    fails(run("train", "--resume", tmp_path, "--dry-run"), 1, "options.json", "hint:")


def test_networks_are_not_made_before_their_size_is_known() -> None:
    with pytest.raises(NeuralidError, match="the limit is 250 million"):
        check_size(ModelConfig(size=28, latent_size=1 << 16))
    assert check_size(ModelConfig()) < 250_000_000


def test_a_log_of_absurd_numbers_makes_a_report(tmp_path: Path) -> None:
    numbers = ["1e308", "-1e308", LONG, "NaN", '"x"', "null", "1e15"]
    lines = [
        f'{{"kimg": {a}, "loss_d": {b}, "time": {a}, "images_per_second": {b}}}'
        for a in numbers
        for b in numbers
    ]
    lines += ['{"event": "resumed", "kimg": ' + DEEP, '{"floors": {"kid": [1]}}', *STRANGE]
    (tmp_path / "log.jsonl").write_text("\n".join(lines))
    (tmp_path / "options.json").write_text(json.dumps(options()))
    history = History.read(tmp_path / "log.jsonl")
    assert history.line(1e6) and write_report(tmp_path, history).exists()


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
    done = neuralid.train(face_folder, out=tmp_path, name="t", **TINY, kimg=0.016)
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
    shown = console.visible(hostile)
    assert shown.isprintable() and "owned" in shown and "\\x1b" in shown
    assert console.visible("naïve 名前.jpg `scale`") == "naïve 名前.jpg `scale`"
    long = console.visible("start " + "A" * 90_000 + " end")
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
