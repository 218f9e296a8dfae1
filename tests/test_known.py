"""Weights found by name: in the list, in messages, and wherever an option takes them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import QUICK_FLAGS, fails, run

import neuralid
from neuralid import weights_cache
from neuralid.core.errors import TrainingError, WeightsError
from neuralid.training.runs.folder import Run
from neuralid.training.runs.known import find_named, weights_of

FLAGS = (*QUICK_FLAGS, "--kimg", 0.01)


@pytest.fixture
def own(tiny: Path) -> Path:
    """The run of the tiny weights under ``runs``, and its weights in the cache."""
    folder = weights_cache.weights_folder()
    folder.mkdir(parents=True)
    shutil.copy(tiny, folder)
    (folder / "tiny.training.safetensors").write_text("for training alone")
    shutil.copytree(tiny.parents[2] / "00000-tiny", "runs/00000-tiny")
    return folder / "tiny.safetensors"


def test_the_list_has_what_ships_what_was_published_and_runs(own: Path) -> None:
    shutil.copytree("runs/00000-tiny", "runs/00001-other")
    Path("runs/00001-other/log.jsonl").unlink()
    result = run("--list-weights", "--json")
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each["name"] for each in told] == [
        *weights_cache.SHIPPED,
        "tiny",
        "00000-tiny",
        "00001-other",
    ]
    tiny = told[2]
    assert (tiny["architecture"], tiny["size"], tiny["images"]) == ("dcgan", 28, 400)
    assert tiny["path"] == str(own.resolve()) and len(tiny["date"]) == 10
    head, *lines = run("--list-weights").stdout.splitlines()
    assert head.split()[:2] == ["name", "architecture"] and "pictures seen" in head
    assert lines[2].split()[:5] == ["tiny", "dcgan", "28", "px", "400"]
    assert lines[0].split()[:5] == ["faces-112", "style", "112", "px", "1,252,032"]


def test_a_damaged_file_is_told_and_the_others_are_listed(own: Path) -> None:
    own.write_text("junk")
    result = run("--list-weights")
    assert result.exit_code == 0
    assert f"{own.resolve()} cannot be read" in result.stderr
    assert "faces-112" in result.stdout and "\ntiny" not in result.stdout


def test_the_list_takes_no_command_and_json_belongs_to_it() -> None:
    assert run("--list-weights").stdout.count("\n") == 3
    fails(run("--json", "sample"), 2, "--json belongs behind the command")
    assert "Usage: " in run("--traceback").stdout


@pytest.mark.parametrize(
    "name",
    ["tiny", "runs/00000-tiny", "00000-tiny", "runs/00000-tiny/weights-best.safetensors"],
)
def test_weights_go_by_name_file_and_run(name: str, own: Path) -> None:
    assert run("sample", "-n", 1, "--weights", name).exit_code == 0
    assert neuralid.open(name).size == 28


def test_a_runs_weights_are_those_it_published_else_its_best_else_its_newest(own: Path) -> None:
    one = Run(Path("runs/00000-tiny"))
    published = weights_of(one)
    assert published.name == "tiny.safetensors"
    (one.folder / "log.jsonl").unlink()
    assert weights_of(one).name == "weights-best.safetensors"
    best = (one.folder / "weights-best.safetensors").rename(
        one.folder / "weights-000003.safetensors"
    )
    shutil.copy(best, one.folder / "weights-000020_512.safetensors")
    assert weights_of(one).name == "weights-000020_512.safetensors"
    for path in one.folder.glob("weights-*"):
        path.unlink()
    with pytest.raises(WeightsError, match="has no weights yet"):
        weights_of(one)


def test_a_run_goes_by_its_own_name_and_the_newest_counts(own: Path) -> None:
    own.unlink()
    for number in (3, 2):
        shutil.copytree("runs/00000-tiny", f"runs/0000{number}-tiny")
    Path("runs/00003-tiny/log.jsonl").unlink()
    assert find_named("tiny") == Path("runs/00003-tiny/weights-best.safetensors")
    for name in ("tiny", "00003-tiny", "runs/00003-tiny", "runs/00003-tiny/options.json"):
        assert Run.find(Path("runs"), name).folder == Path("runs/00003-tiny"), name
    assert Run.find(Path("runs"), str(own)).folder == Path("runs/00003-tiny")  # published by it


def test_a_mistyped_name_is_told_what_is_near(own: Path) -> None:
    fails(run("sample", "--weights", "tinny", "-n", 1), 3, "did you mean 'tiny'", "--list-weights")
    fails(run("sample", "--weights", "face-112", "-n", 1), 3, "did you mean 'faces-112'")
    nothing = run("sample", "--weights", "qqq", "-n", 1)
    assert nothing.exit_code == 3 and "did you mean" not in nothing.stderr
    with pytest.raises(TrainingError) as caught:
        Run.find(Path("runs"), "00000-tyni")
    assert caught.value.hint == "did you mean '00000-tiny'? name its folder, or 'latest'"


def test_training_begins_at_a_run_by_its_name(own: Path, face_folder: Path) -> None:
    own.unlink()
    words = ("--data", face_folder, "--from", "tiny", "--kimg", 0.01, "--batch", 8, "--name", "new")
    assert run("train", *words).exit_code == 0


def test_training_ends_with_the_report_who_was_left_out_and_what_is_next(
    face_folder: Path, tmp_path: Path
) -> None:
    faces = shutil.copytree(face_folder, tmp_path / "data")
    (faces / "bad.png").write_text("junk")
    result = run("train", "--data", faces, *FLAGS, "--name", "my faces", "-v")
    assert result.exit_code == 0, result.stderr
    assert "skipped bad.png: bad.png is not a picture" in result.stderr
    *_, skipped, report, following, _ = result.stderr.splitlines()
    folder = Path("runs/00000-my faces")
    assert skipped == f"skipped: 1 cannot be read: bad.png; {folder}/log.jsonl has all"
    assert report == f"report: {folder}/report.html" and (folder / "report.html").is_file()
    assert following == "next: neuralid sample --weights 'my faces'"
    told = json.loads(run("train", "--data", faces, *FLAGS, "--json").stdout)
    assert told["skipped"].keys() == {"bad.png"} and Path(told["report"]).is_file()


def test_a_run_that_is_stopped_says_how_it_goes_on(
    face_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import contextmanager

    @contextmanager
    def stopped():  # type: ignore[no-untyped-def]
        yield lambda: Path("runs/00000-mine").exists()

    monkeypatch.setattr("neuralid.console.stop_signals", stopped)
    result = run("train", "--data", face_folder, *FLAGS, "--name", "mine")
    assert result.exit_code == 130 and result.stdout == ""
    assert "stopped; go on with: neuralid train --resume runs/00000-mine" in result.stderr
