"""Faces that come with the program, by their names; notebooks and scripts that show its use."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, ROOT, fails, run

import neuralid
from neuralid.pictures.examples import EXAMPLES as NAMES
from neuralid.pictures.images import load_rgb

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def test_their_names_work_in_every_command_and_in_python() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.png")} == {*NAMES}
    result = run("mix", "ada", "bruno", "--keep", "ada", "-o", "kept.png")
    assert "is not a photo to put a face into" in result.stderr  # found, and drawn
    by_name, by_path = (
        neuralid.mix(pair, scale=1).image
        for pair in (NAMES, [EXAMPLES / f"{name}.png" for name in NAMES])
    )
    assert np.array_equal(by_name, by_path)
    assert run("upscale", "ada", "--method", "nearest", "-o", "big.png").exit_code == 0
    assert load_rgb(Path("big.png"))[::4, ::4].shape == load_rgb(EXAMPLES / "ada.png").shape


def test_a_file_of_that_name_is_the_file(photo: Path) -> None:
    Path("ada").write_bytes(photo.read_bytes())
    result = run("upscale", "ada", "--scale", "1", "--method", "nearest", "-o", "same.png")
    assert result.exit_code == 0 and load_rgb(Path("same.png")).shape == load_rgb(photo).shape


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_what_they_gave_and_compile(path: Path) -> None:
    """`make notebooks` runs them."""
    cells = json.loads(path.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    for number, cell in enumerate(code):
        compile("".join(cell["source"]), f"cell {number}", "exec")
    assert cells[0]["source"][0].startswith("# ")


def test_the_family_script_is_a_shell_script_that_says_how_it_is_used() -> None:
    script = ROOT / "examples" / "family.sh"
    subprocess.run(["sh", "-n", script], check=True)
    wrong = subprocess.run(["sh", script], capture_output=True, text=True)
    assert wrong.returncode == 2 and "usage" in wrong.stderr


def test_a_mistyped_example_is_guessed() -> None:
    fails(run("mix", "ada", "brunno"), 1, "brunno does not exist", "did you mean 'bruno'?")
