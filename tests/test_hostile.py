"""Runs of strangers, damaged or made to do harm: one line, and nothing else happens."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import fails, run

from neuralid import weights
from neuralid.core import jsontext, locks
from neuralid.core.errors import NeuralidError, WeightsError
from neuralid.core.files import open_here, read_at_most
from neuralid.faces.config import CropConfig
from neuralid.models.building import check_size
from neuralid.models.config import ModelConfig
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
    (tmp_path / "whole").write_bytes(bytes(100))
    assert read_at_most(tmp_path / "whole", 100) == bytes(100)
    with pytest.raises(ValueError, match=r"larger than 9\.9e-05 MB"):
        read_at_most(tmp_path / "whole", 99)
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


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no such device")
def test_a_strangers_run_that_names_devices_and_pipes_ends(
    tmp_path: Path, face_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuralid.latents.attributes.MOST_LIST", 1_000_000)
    os.mkfifo(tmp_path / "pipe")
    for changed in (
        {"data": "/dev/zero"},
        {"data": str(tmp_path / "pipe")},
        {"data": str(face_folder), "attributes": "/dev/zero"},
    ):
        (tmp_path / "options.json").write_text(json.dumps(options(**changed)))
        result = run("train", "--resume", tmp_path, "--dry-run")
        fails(result, 1, "error:", "hint:")


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
