"""The documentation names what there is: commands, options, versions, links, README blocks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import neuralid
from neuralid.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]


def options_of(command: str) -> set[str]:
    return {flag for p in COMMANDS[command].params for flag in [*p.opts, *p.secondary_opts]}


def test_there_are_exactly_five_commands() -> None:
    assert list(COMMANDS) == ["train", "sample", "invert", "mix", "upscale"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_in_the_reference(command: str) -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    section = text.split(f"\n## {command}\n")[1].split("\n## ")[0]
    common = text.split("\n## ")[0]
    flags = {flag for flag in options_of(command) if flag.startswith("-")}
    missing = {flag for flag in flags if f"`{flag}`" not in section + common}
    assert not {flag for flag in missing if f"`{flag} " not in section + common}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_line_shown_would_be_understood(page: Path) -> None:
    for line in re.findall(
        r"neuralid ((?:train|sample|invert|mix|upscale) [^#\n`|]*)", page.read_text()
    ):
        words = line.split()
        flags = {word.split("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)}
        assert flags <= options_of(words[0]), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_readmes_python_runs(tiny: Path, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for name in ("me.jpg", "a.jpg", "b.jpg"):
        Path(name).write_bytes(photo.read_bytes())
    monkeypatch.setattr("neuralid.weights.find_weights", lambda name=None: tiny)
    scope: dict[str, object] = {}
    exec(block, scope)
    assert scope["mixed"].image.shape == (112, 112, 3)  # type: ignore[attr-defined]


def test_ci_runs_the_readmes_commands() -> None:
    readme, ci = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    for marker in ("first-command", "second-command"):
        assert f"<!-- {marker} -->\n```sh\npython3 -m venv" in readme
        assert f"command_after {marker}" in ci


def test_there_is_one_version() -> None:
    assert 'path = "src/neuralid/__init__.py"' in (ROOT / "pyproject.toml").read_text()
    asked = [sys.executable, "-m", "neuralid", "--version"]
    printed = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    assert printed.strip() == neuralid.__version__


def test_the_verbs_are_functions_with_docstrings() -> None:
    for verb in COMMANDS:
        assert callable(getattr(neuralid, verb)) and getattr(neuralid, verb).__doc__
    with pytest.raises(AttributeError):
        neuralid.nothing  # noqa: B018
