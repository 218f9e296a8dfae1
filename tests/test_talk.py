"""How much a command says, and what it says in JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, draw_face, fails, run

import neuralid
from neuralid import streams

CUBIC = ("--method", "cubic", "-s", 2)


@pytest.fixture
def a() -> Path:
    draw_face(np.random.default_rng(0), 40, 30).save("a.png")
    return Path("a.png")


def test_every_command_has_them() -> None:
    for command in ("train", "sample", "invert", "mix", "upscale"):
        shown = run(command, "--help").stdout
        assert all(flag in shown for flag in ("--json", "--quiet", "-q", "--verbose", "-v"))


def test_quiet_leaves_results_and_errors(tiny: Path, a: Path) -> None:
    result = run("sample", "-n", 2, "-q", "--weights", tiny)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "faces.png\n", "")
    bad = run("upscale", a, "missing.png", "-q", *CUBIC)
    assert (bad.exit_code, bad.stdout) == (1, "a_x2.png\n")
    assert "missing.png does not exist" in bad.stderr and "1 of 2" not in bad.stderr
    assert "seed: " in run("sample", "-n", 2, "--weights", tiny).stderr  # and not for ever


def test_verbose_says_what_works_and_what_it_took(tiny: Path) -> None:
    said = run("sample", "-n", 2, "-v", "--weights", tiny).stderr
    for part in (f"neuralid {neuralid.__version__}, Python 3", "torch 2", f"weights: {tiny}"):
        assert part in said
    assert "took " in said and "MB of memory" in said
    assert not streams.is_quiet()
    assert "took" not in run("sample", "-n", 2, "--weights", tiny).stderr


def test_both_make_no_sense(a: Path) -> None:
    fails(run("upscale", a, "-q", "-v"), 2, "--quiet and --verbose exclude each other")


def test_upscale_tells_each_result(a: Path) -> None:
    result = run("upscale", a, a, "--json", "--filter", "unsharp", *CUBIC)
    first, second = map(json.loads, result.stdout.splitlines())
    assert first == {
        "picture": "a.png",
        "scale": 2.0,
        "width": 80,
        "height": 60,
        "method": "cubic",
        "filters": ["unsharp"],
        "files": ["a_x2.png"],
    }
    assert second["files"] == ["a_x2-1.png"]


def test_sample_tells_the_seeds(tiny: Path) -> None:
    grid = json.loads(run("sample", "--seeds", "4-7", "--json", "--weights", tiny).stdout)
    assert grid["seeds"] == [4, 5, 6, 7] and grid["files"] == ["faces.png"]
    assert grid["weights"] == neuralid.open(tiny).weights.id
    words = ("--seeds", "4,9", "--outdir", "s", "--json", "--weights", tiny)
    each = [json.loads(line) for line in run("sample", *words).stdout.splitlines()]
    assert [one["seeds"] for one in each] == [[4], [9]]
    assert [one["files"] for one in each] == [["s/seed0004.png"], ["s/seed0009.png"]]


def test_mix_tells_the_recipe(tiny: Path) -> None:
    files = [face.save(f"{face.seed}.png") for face in neuralid.sample(seeds=[1, 2], model=tiny)]
    told = json.loads(run("mix", *files, "-w", 0.25, "--json", "--weights", tiny).stdout)
    assert told["inputs"] == ["1.png", "2.png"] and told["shares"] == [0.75, 0.25]
    assert told["blend"] == "rescaled" and told["files"] == ["mix.png"]
    assert (told["width"], told["height"]) == (112, 112)


def test_faces_are_told_in_json() -> None:
    ada = EXAMPLES / "ada.png"
    told = json.loads(run("invert", ada, "--faces", "--json").stdout)
    assert told["photo"] == str(ada) and told["face"] == 1
    assert told["left_eye"][0] < told["right_eye"][0] and told["crop"]["face_size"] > 50


def test_train_tells_the_run(face_folder: Path) -> None:
    words = ("--data", face_folder, "--size", 28, "--latent-size", 8, "--kimg", 0.01, "--batch", 8)
    told = json.loads(run("train", *words, "--name", "mine", "--json").stdout)
    assert told["finished"] is True and told["images"] == 16
    assert Path(told["run"]).is_dir() and Path(told["files"][0]).is_file()
