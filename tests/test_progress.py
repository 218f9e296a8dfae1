"""How far long work is: parts of one picture, units, and lines where no bar is drawn."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from conftest import run
from PIL import Image
from rich.console import Console

import neuralid
from neuralid import console
from neuralid.cli import _progress as progress
from neuralid.training.loop import Step
from neuralid.upscaling.face import TILE


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(console, "say", lines.append)
    return lines


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock to turn."""
    time = [0.0]
    monkeypatch.setattr(progress, "clock", lambda: time[0])
    return time


def test_in_a_pipe_there_is_a_line_a_minute(said: list[str], now: list[float]) -> None:
    with progress.counting("inverting", "steps") as on_step:
        for second in range(0, 200, 10):
            now[0] = second
            on_step(second, 1000)
    assert said == [
        "inverting: 60 of 1000 steps, 6%, about 16 min left",
        "inverting: 120 of 1000 steps, 12%, about 15 min left",
        "inverting: 180 of 1000 steps, 18%, about 14 min left",
    ]


def test_short_work_says_nothing(said: list[str], now: list[float]) -> None:
    with progress.counting("inverting", "steps") as on_step:
        for step in range(50):
            now[0] = step
            on_step(step, 50)
    assert said == []


def test_training_says_a_line_at_the_start_and_then_each_minute(
    said: list[str], now: list[float]
) -> None:
    with progress.training() as (_, on_step, on_encoder):
        for second in (0, 1, 59, 60, 90, 121):
            now[0] = second
            on_step(Step(1000 + 100 * second, 100_000, 1.25, 0.5, 0.5, 0.5, 100.0))
        now[0] = 200
        on_encoder(1, 4)
    assert said == [
        "training: 1 of 100 kimg, 1%, D 1.25 G 0.50, 100.0/s",
        "training: 7 of 100 kimg, 7%, D 1.25 G 0.50, 100.0/s, about 16 min left",
        "training: 13.1 of 100 kimg, 13%, D 1.25 G 0.50, 100.0/s, about 14 min left",
        "finishing: 1 of 4 steps, 25%",
    ]


def test_nothing_is_told_from_the_first_steps_nor_at_the_end(
    said: list[str], now: list[float]
) -> None:
    lines = progress.Lines("inverting", "steps")
    for done in range(1, 91):
        now[0] += 70  # the first as slow as the others, which nobody knows yet
        lines(done, 90)
    told = [line.partition("%")[2] for line in said]
    assert told[:3] == ["", "", ""] and told[3] == ", about 1.7 hours left"
    assert told[-2:] == [", about a minute left", ""]
    assert progress._minutes(0.7) == ", less than a minute left"


def test_long_waits_are_told_in_hours(said: list[str], now: list[float]) -> None:
    lines = progress.Lines("training", "kimg")
    for done in range(3):
        lines(done, 300)
    now[0] = 600
    lines(3, 300)
    assert said == ["training: 3 of 300 kimg, 1%, about 16.5 hours left"]


def test_a_terminal_has_the_bar_alone_with_its_unit(
    monkeypatch: pytest.MonkeyPatch, now: list[float]
) -> None:
    stream = io.StringIO()
    fake = Console(file=stream, force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(console, "stderr", fake)
    with progress.counting("inverting", "steps") as on_step:
        for step in range(4):
            now[0] += 100
            on_step(step, 10)
    assert "steps/s" in stream.getvalue() and "left" not in stream.getvalue()


def test_one_large_picture_tells_its_parts() -> None:
    picture = np.full((TILE + 8, 2 * TILE + 8, 4), 255, np.uint8)
    heard: list[tuple[int, int]] = []
    neuralid.upscale(picture, scale=2, on_step=lambda *step: heard.append(step))
    assert heard == [(n, 6) for n in range(1, 7)] + [(1, 1)]
    heard.clear()
    neuralid.upscale([picture] * 2, scale=2, on_step=lambda *step: heard.append(step))
    assert heard == [(1, 2), (2, 2)]


def test_the_frames_of_a_film_are_its_parts() -> None:
    frames = [Image.new("RGB", (8, 8), (value, 0, 0)) for value in (10, 100, 200)]
    frames[0].save("film.gif", save_all=True, append_images=frames[1:])
    heard: list[tuple[int, int]] = []
    neuralid.upscale("film.gif", method="cubic", on_step=lambda *step: heard.append(step))
    assert heard == [(1, 3), (2, 3), (3, 3), (1, 1)]


def test_the_command_hears_of_the_parts(said: list[str], now: list[float]) -> None:
    Image.new("RGB", (20, 20)).save("a.png")
    now[0] = 0
    assert run("upscale", "a.png").exit_code == 0
    assert Path("a_x4.png").is_file()


def test_a_mix_says_how_far_searching_and_drawing_are(said: list[str], now: list[float]) -> None:
    with progress.mixing() as (on_step, on_face):
        for done in range(5):
            now[0] = 70 * done
            on_step(done, 5)
        for done in range(5):
            now[0] += 70
            on_face(done, 200)
    assert [line.split(",")[0] for line in said[::4]] == [
        "inverting: 1 of 5 steps",
        "drawing: 1 of 200 faces",
    ]
