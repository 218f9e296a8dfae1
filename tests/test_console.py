"""The bars on a terminal, and their silence in a pipe."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from neuralid import console
from neuralid.training.loop import Step


def terminal(monkeypatch: pytest.MonkeyPatch, is_terminal: bool) -> io.StringIO:
    stream = io.StringIO()
    fake = Console(file=stream, force_terminal=is_terminal, width=80, color_system=None)
    monkeypatch.setattr(console, "stderr", fake)
    return stream


def show_a_run() -> None:
    with console.training() as (on_load, on_step, on_encoder):
        on_load(1, 2)
        console.say("data: 2 faces")
        on_load(2, 2)
        on_step(Step(500, 1000, 1.25, 0.75, 0.5, 0.5, 20.0))
        on_encoder(1, 4)


def test_a_training_run_shows_kimg_losses_and_share_on_80_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = terminal(monkeypatch, True)
    show_a_run()
    shown = stream.getvalue()
    for part in ("0.5/1 kimg", "D 1.25 G 0.75", "50%", "data: 2 faces", "finishing"):
        assert part in shown


def test_bars_are_silent_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch, False)
    show_a_run()
    with console.counting("drawing") as on_step:
        on_step(1, 2)
    assert stream.getvalue() == "data: 2 faces\n"


def test_file_names_are_not_taken_for_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch, False)
    console.say("[a].jpg: done")
    assert "[a].jpg" in stream.getvalue()
