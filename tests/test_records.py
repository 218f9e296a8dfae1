"""The lines of a run's log: the JSON they are, and what reading makes of good and bad ones."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuralid.training.runs.folder import Run
from neuralid.training.runs.history import History
from neuralid.training.runs.records import (
    Event,
    Floors,
    Measured,
    Record,
    Skipped,
    Snapshot,
    Tick,
    parse,
    read_records,
)

TICK = {
    "kimg": 1.024,
    "loss_d": 1.1,
    "loss_g": 0.9,
    "d_real": 0.6,
    "d_fake": 0.4,
    "images_per_second": 57.9,
    "memory_mb": 800,
    "device": "cuda:0",
    "time": 1.5,
}
# Lines as runs have written them since the first version, and the records they are.
LINES: list[tuple[dict[str, Any], Record]] = [
    (TICK, Tick(1.024, 1.1, 0.9, 0.6, 0.4, 57.9, 800, "cuda:0", 1.5)),
    ({"kimg": 20.0, "snapshot": "fakes000020.png"}, Snapshot(20.0, "fakes000020.png")),
    (
        {"kimg": 20.0, "metrics": {"fd": 0.5}, "metrics_skipped": ["x"], "metrics_seconds": 2.5},
        Measured(20.0, {"fd": 0.5}, ["x"], 2.5),
    ),
    (
        {"kimg": 20.0, "metrics_skipped": ["fd", "x"], "metrics_seconds": 0.0},
        Measured(20.0, {}, ["fd", "x"], 0.0),
    ),
    ({"floors": {"fd": 0.01, "x": None}}, Floors({"fd": 0.01, "x": None})),
    (
        {"event": "rollback", "kimg": 3.2, "back_to": 2.0, "learning_rates": "1/2", "time": 7.5},
        Event("rollback", 3.2, {"back_to": 2.0, "learning_rates": "1/2"}, 7.5),
    ),
    ({"event": "collapsed"}, Event("collapsed")),
    ({"skipped": "a/b.jpg", "why": "it is damaged"}, Skipped("a/b.jpg", "it is damaged")),
]


@pytest.mark.parametrize(("line", "record"), LINES, ids=lambda each: type(each).__name__)
def test_each_record_is_its_line_both_ways(line: dict[str, Any], record: Record) -> None:
    assert parse(json.dumps(line)) == record
    assert record.to_json() == line
    assert list(record.to_json()) == list(line)  # in the same order, for those who read the file


def test_a_run_appends_the_lines_and_tells_its_listeners(tmp_path: Path) -> None:
    heard: list[Record] = []
    run = Run(tmp_path, [heard.append])
    records = [record for _, record in LINES]
    for record in records:
        run.log(record)
    written = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in written] == [line for line, _ in LINES]
    assert list(read_records(run.log_path)) == records
    assert all(a is b for a, b in zip(heard, records, strict=True))


@pytest.mark.parametrize(
    "line",
    [
        *("", "7", "null", "[]", "{", '"kimg"', "\0\0", "{}", '{"kimg": 3.0, "loss_d": 1'),
        '{"loss_d": 1.0}',
        '{"kimg": "3", "loss_d": 1.0}',
        '{"kimg": true, "snapshot": "fakes.png"}',
        '{"kimg": NaN, "loss_d": 1.0}',
        '{"kimg": 1.0, "snapshot": 5}',
        '{"kimg": 1.0, "metrics": [1]}',
        '{"floors": 3}',
        '{"skipped": null}',
        '{"somebody": "else"}',
        f'{{"kimg": 1{"0" * 400}, "loss_d": 1.0}}',
        "[" * 100_000,
    ],
    ids=lambda line: line[:30],
)
def test_lines_that_are_damaged_or_of_another_shape_are_no_record(line: str) -> None:
    assert parse(line) is None


def test_numbers_that_cannot_be_drawn_are_unknown() -> None:
    line = (
        '{"kimg": 1, "loss_d": NaN, "loss_g": Infinity, "d_real": "x", "d_fake": true, "time": 2}'
    )
    assert parse(line) == Tick(1.0, time=2.0)
    measured = parse('{"kimg": 1, "metrics": {"a": -Infinity, "b": "x", "c": null, "d": 2}}')
    assert measured == Measured(1.0, {"a": None, "b": None, "c": None, "d": 2.0})
    # They are written as Python's JSON has them, as ever.
    assert math.isnan(json.loads(json.dumps(Tick(1.0, loss_d=math.nan).to_json()))["loss_d"])


@given(st.text())
def test_no_text_is_too_strange_for_the_reader(text: str) -> None:
    parse(text)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
_KEYS = st.sampled_from(
    [
        *("kimg", "event", "floors", "metrics", "metrics_skipped", "metrics_seconds", "loss_d"),
        *("loss_g", "skipped", "snapshot", "time", "device", "why"),
    ]
)


@given(st.lists(st.dictionaries(_KEYS, _JSON), max_size=6))
def test_no_log_is_too_strange_for_the_history(tmp_path_factory: Any, lines: Any) -> None:
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines))
    history = History.read(path)
    assert isinstance(history.line(10), str) and history.seconds >= 0
