"""What is published: metadata, licences, the sdist; and the commands that check a change."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

import neuralid

ROOT = Path(__file__).parents[1]
STATED: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = STATED["project"]
WEIGHTS_LICENCE = ROOT / "src" / "neuralid" / "assets" / "LICENSE-weights.txt"


def verbs() -> dict[str, list[str]]:
    """The Makefile's targets and their commands, variables filled in."""
    text = (ROOT / "Makefile").read_text().replace("$(BIN)", ".venv/bin")
    text = text.replace("$(PYTHON)", "python3").replace(" $(T)", "")
    text = re.sub(r"\$\(strip (.*)\)", r"\1", text)
    found = re.findall(r"^([a-z]+):.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    return {verb: commands.strip("\t\n").split("\n\t") for verb, commands in found}


def bounds() -> dict[str, str]:
    """Package -> lower bound, of all that is needed to run, and of every extra but the site's."""
    optional = PROJECT["optional-dependencies"]
    extras = [each for name, each in optional.items() if name != "docs"]
    asked = [*PROJECT["dependencies"], *(each for extra in extras for each in extra)]
    return {each.split(">=")[0]: each.split(">=")[1].split(",")[0] for each in asked}


def yaml_of(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def test_the_licence_says_that_the_weights_are_not_mit() -> None:
    expression = PROJECT["license"]
    assert expression.startswith("MIT AND LicenseRef-")
    reference = expression.removeprefix("MIT AND ")
    assert PROJECT["license-files"] == ["LICENSE", str(WEIGHTS_LICENCE.relative_to(ROOT))]
    assert WEIGHTS_LICENCE.read_text().splitlines()[0].endswith(reference)
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")


def test_the_weights_licence_names_every_file_of_weights() -> None:
    shipped = {path.name for path in WEIGHTS_LICENCE.parent.glob("*.safetensors")}
    covered, _, rest = WEIGHTS_LICENCE.read_text().partition("in this folder.")
    assert set(re.findall(r"^    (\S+)$", covered, re.MULTILINE)) == shipped
    assert all(name in rest for name in shipped)


def test_the_readme_ends_with_both_licences() -> None:
    last = (ROOT / "README.md").read_text().strip().split("\n\n")[-1]
    for part in ("MIT", "non-commercial", "src/neuralid/assets/LICENSE-weights.txt"):
        assert part in last


def test_the_citation_is_the_paper_and_repeats_no_version() -> None:
    citation = yaml_of("CITATION.cff")
    assert citation.get("version", neuralid.__version__) == neuralid.__version__
    paper = citation["preferred-citation"]
    names = [author["family-names"] for author in paper["authors"]]
    assert (paper["title"], paper["year"]) == ("Neural Identities", 2019)
    assert names == ["Werbliński", "Garbarek", "Kuczkowiak"]
    assert citation["repository-code"] == PROJECT["urls"]["Source"]


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith(PROJECT["urls"]["Source"]) or (ROOT / target).exists(), target


def test_the_rooms_whose_code_is_changed_to_try_the_tests_and_those_tests_exist() -> None:
    script = ROOT / "tools" / "mutate.py"
    rooms = runpy.run_path(str(script))["ROOMS"]
    assert rooms.keys() == {"latents", "models", "step", "faces", "upscaling"}
    for room in rooms.values():
        assert (ROOT / "src" / "neuralid" / room.code).exists()
        assert all((ROOT / "tests" / f"test_{name}.py").is_file() for name in room.tests)
    shown = subprocess.run([sys.executable, script, "--help"], check=True, capture_output=True)
    assert b"--minutes" in shown.stdout  # without Cosmic Ray


def test_verbs_named_in_contributing_exist() -> None:
    named = set(re.findall(r"\bmake ([a-z]+)", (ROOT / "CONTRIBUTING.md").read_text()))
    assert {"setup", "test", "ci"} <= named <= set(verbs())


def test_make_and_the_readme_say_the_same_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    second = readme.split("<!-- second-command -->")[1].split("```")[1].removeprefix("sh\n")
    assert second.strip().split(" && ") == [*verbs()["setup"], *verbs()["test"]]


def test_ci_runs_the_makes_verbs_and_repeats_none_of_their_commands() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    called = re.findall(r"^for verb in (.*); do", ci, re.MULTILINE)[0].split()
    assert called == ["lint", "types", "site", "notebooks", "package", "container", "lowest"]
    assert 'make --no-print-directory "$verb"' in ci
    for verb in called:
        assert verbs()[verb] and not [each for each in verbs()[verb] if each in ci]


def test_precommit_runs_the_makes_verbs() -> None:
    hooks = [hook for repo in yaml_of(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert [hook["entry"] for hook in hooks] == ["make lint", "make types"]
    assert all(hook["entry"].split()[1] in verbs() for hook in hooks)
    assert all(hook["language"] == "system" and not hook["pass_filenames"] for hook in hooks)


def test_the_lowest_versions_tested_are_the_bounds() -> None:
    command = [sys.executable, str(ROOT / ".ci" / "lowest.py"), "--list"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    installed = dict(line.split("==") for line in listed)
    assert f"torch=={installed.pop('torch')}\n" in (ROOT / "constraints.txt").read_text()
    assert installed == {name: bound for name, bound in bounds().items() if name != "torch"}
    (builder,) = STATED["build-system"]["requires"]
    assert builder == f"hatchling>={bounds()['hatchling']}"


def test_every_package_asked_for_has_a_pinned_version_within_its_bounds() -> None:
    lines = (ROOT / "constraints.txt").read_text().lower().splitlines()[1:]
    pinned = dict(line.split("==") for line in lines)
    for name, bound in bounds().items():
        numbers = [tuple(map(int, version.split("."))) for version in (bound, pinned[name])]
        assert numbers[0] <= numbers[1], name


def test_the_sdist_holds_all_that_git_tracks() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: an unpacked sdist has nothing to compare with")
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    included = set(STATED["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])
    assert {"/" + name.split("/")[0] for name in listed} - {"/pyproject.toml"} == included


def test_the_sdist_holds_what_the_tests_read() -> None:
    included = STATED["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    read = {
        name
        for test in Path(__file__).parent.glob("*.py")
        for name in re.findall(r'(?:ROOT|parents\[1\]) / "([^"]+)"', test.read_text())
    }
    assert {"docs", "examples", ".ci", "README.md"} <= read
    assert {f"/{name}" for name in read - {"pyproject.toml", ".git"}} <= set(included)


def test_pythons_claimed_start_at_the_one_required() -> None:
    claimed = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["classifiers"]))
    assert PROJECT["requires-python"] == f">={claimed[0]}"
    assert "Typing :: Typed" in PROJECT["classifiers"]
    assert (ROOT / "src" / "neuralid" / "py.typed").exists()
