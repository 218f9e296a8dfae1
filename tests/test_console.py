"""The bars on a terminal, and their silence in a pipe."""

from __future__ import annotations

import io
import os
import re
import signal

import pytest
from conftest import run
from rich.console import Console

from neuralid import bars, console, streams
from neuralid.training.loop import Step


def terminal(monkeypatch: pytest.MonkeyPatch, is_terminal: bool) -> io.StringIO:
    stream = io.StringIO()
    fake = Console(
        file=stream, force_terminal=is_terminal, width=80, color_system=None, soft_wrap=True
    )
    monkeypatch.setattr(console, "stderr", fake)
    return stream


def show_a_run() -> None:
    with bars.training() as (on_load, on_step, on_encoder):
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


@pytest.mark.parametrize("width", [60, 80])
def test_the_bar_keeps_its_room_whatever_the_figures(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    fake = Console(file=stream, force_terminal=True, width=width, color_system=None)
    monkeypatch.setattr(console, "stderr", fake)
    with bars.training() as (_, on_step, _):
        for images in (999_000, 999_900):
            on_step(Step(images, 1_000_000, 12.345, 10.123, 0.5, 0.5, 20.0))
    frames = [line for line in re.split(r"[\r\n]", stream.getvalue()) if "kimg" in line]
    bare = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", frames[-1])
    assert "999.9/1000 kimg D 12.35 G 10.12 " in bare and "100%" in bare
    assert len(bare) <= width and bare.count("━") >= width // 8


def test_a_long_line_is_broken_between_words_in_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = " ".join(f"metric{i} 0.{i}" for i in range(20))
    stream = terminal(monkeypatch, True)
    console.say(words)
    lines = stream.getvalue().splitlines()
    assert len(lines) > 2 and " ".join(map(str.strip, lines)) == words
    stream = terminal(monkeypatch, False)
    console.say(words)
    assert stream.getvalue() == words + "\n"


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = terminal(monkeypatch, True)
    show_a_run()
    assert stream.getvalue() == "data: 2 faces\n"


def test_bars_are_silent_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch, False)
    show_a_run()
    with bars.counting("drawing") as on_step:
        on_step(1, 2)
    assert stream.getvalue() == "data: 2 faces\n"


def test_file_names_are_not_taken_for_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch, False)
    console.say("[a].jpg: done")
    assert "[a].jpg" in stream.getvalue()


def test_a_path_goes_to_stdout_while_a_bar_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rich would print it to the bar's console, so that a pipe gets nothing."""
    terminal(monkeypatch, True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with bars.counting("enlarging") as on_step:
        on_step(1, 3)
        console.print_line("a [b] :100:.png")
        on_step(2, 3)
    assert capsys.readouterr().out == "a [b] :100:.png\n"


@pytest.mark.parametrize("columns", ["0", "-3", "", "²", "many"])
def test_a_terminal_without_a_size_is_one_that_has_not_said(
    columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("LINES", "24")
    assert streams.sizes_of_none() == ["COLUMNS"]
    assert run("--version").exit_code == 0
    assert "COLUMNS" not in os.environ and os.environ["LINES"] == "24"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there are no hangups")
def test_a_hangup_that_nohup_has_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with console.stop_signals() as should_stop:
            signal.raise_signal(signal.SIGHUP)
            assert not should_stop()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
