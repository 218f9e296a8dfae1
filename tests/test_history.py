"""What a run's log tells of its past and its future."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neuralid.training.runs.history import History, in_words
from neuralid.training.runs.records import Event


def tick(kimg: float, time: float, **values: Any) -> dict[str, Any]:
    """A line of the log of a run of 10 pictures a second."""
    return {
        "kimg": kimg,
        "loss_d": 1.25,
        "loss_g": 0.75,
        "images_per_second": 10.0,
        "time": time,
    } | values


def read(folder: Path, *lines: dict[str, Any] | str) -> History:
    path = folder / "log.jsonl"
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(text))
    return History.read(path)


def test_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    history = read(tmp_path, tick(1.0, 0), "", "7", "\0\0", tick(2.0, 100), '{"kimg": 3.0, "lo')
    assert [tick.kimg for tick in history.ticks] == [1.0, 2.0]
    assert History.read(tmp_path / "missing.jsonl").ticks == []


def test_what_was_trained_again_is_not_the_past(tmp_path: Path) -> None:
    measured = {"kimg": 3.0, "metrics": {"swd": 1.0}}
    history = read(
        tmp_path,
        *(tick(1.0, 0), tick(2.0, 100), tick(3.0, 200, loss_d=9.0), measured),
        {"event": "rollback", "kimg": 3.2},
        *(tick(2.5, 400), tick(3.0, 450)),
    )
    assert [tick.kimg for tick in history.ticks] == [1.0, 2.0, 2.5, 3.0]
    assert history.ticks[-1].loss_d == 1.25 and history.measured == []
    assert history.events == [Event("rollback", 3.2)]
    assert history.kimg == 3.0


def test_pauses_are_no_training_time_and_the_rest_is_told_from_the_clock(tmp_path: Path) -> None:
    history = read(
        tmp_path,
        *(tick(1.0, 100), tick(2.0, 225)),  # 25 s of it a snapshot
        *(tick(3.0, 99_999), {"kimg": 3.0, "snapshot": "fakes000003.png"}),  # on another day
    )
    assert history.seconds == pytest.approx(100 + 125 + 100)
    assert history.seconds_left(4.0) == pytest.approx(325 / 3)
    assert history.seconds_left(2.0) == 0


def test_a_line_says_how_the_run_stands(tmp_path: Path) -> None:
    snapshot = {"kimg": 2.0, "snapshot": "fakes000002.png"}
    assert read(tmp_path, snapshot).line(4) == "2/4 kimg"
    history = read(tmp_path, tick(1.0, 0), tick(2.0, 100), snapshot)
    assert history.line(4) == "2/4 kimg  D 1.25  G 0.75  10 images/s  3 min left"
    assert history.line(2) == "2/2 kimg  D 1.25  G 0.75  10 images/s"
    metrics = {"kimg": 2.0, "metrics": {"unheard_of": 0.12345, "broken": None}}
    history = read(tmp_path, tick(2.0, 100, loss_g=float("nan")), metrics, snapshot)
    assert history.line(2) == "2/2 kimg  D 1.25  10 images/s  unheard_of 0.123"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (99, "99 s"), (150, "2 min"), (11_100, "3 h 5 min"), (187_300, "2 d 4 h")],
)
def test_durations_are_read_at_a_glance(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
