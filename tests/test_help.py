"""The help: in groups, complete, with examples that are understood, readable on 60 columns."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from conftest import run
from typer.main import get_command

from neuralid import weights
from neuralid.cli import app
from neuralid.cli._help import EXAMPLES, GROUPS

COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", ["60", "80", "200"])
@pytest.mark.parametrize("command", [*COMMANDS, None])
def test_every_help_fits_and_names_no_types(
    command: str | None, width: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    result = run(*([command] if command else []), "--help")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= int(width)
    assert "<bool>" not in result.stdout and "**" not in result.stdout
    words = result.stdout.replace("-\n", "-").split()
    assert not {"...", "<list[Path]>"} & set(words)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_in_one_group_and_shown(command: str) -> None:
    grouped = [name for names in GROUPS[command].values() for name in names]
    assert len(grouped) == len(set(grouped))
    named = {p.name for p in COMMANDS[command].params if p.param_type_name == "option"}
    assert named <= set(grouped)
    shown = run(command, "-h").stdout
    for param in COMMANDS[command].params:
        if param.param_type_name == "option":
            assert all(flag in shown for flag in [*param.opts, *param.secondary_opts])
    for title in GROUPS[command]:
        assert f"\n{title}:\n" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_two_examples_that_would_be_understood(command: str) -> None:
    first, second = EXAMPLES[command]
    shown = run(command, "-h").stdout
    for line in (first, second):
        assert line in shown
        words = shlex.split(line.split("neuralid ")[-1].split(">")[0])
        flags = {word for word in words[1:] if word.startswith("-") and len(word) > 1}
        known = {flag for p in COMMANDS[command].params for flag in [*p.opts, *p.secondary_opts]}
        assert words[0] == command and flags <= known


def test_attributes_are_named_as_the_default_weights_know_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    shown = " ".join(run("mix", "-h").stdout.split())
    known = list(weights.load_weights().directions)
    assert f"Change {', '.join(known[:-1])} or {known[-1]}," in shown
