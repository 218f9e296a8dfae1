"""Memory stays the same however many faces are drawn to a folder, or photos inverted."""

from __future__ import annotations

import threading
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from conftest import draw_face, fails, peak_of, run

import neuralid
from neuralid import console
from neuralid.api import _invert
from neuralid.cli._writing import Writer
from neuralid.core.errors import OutputError


def test_drawing_to_a_folder_takes_the_same_memory_for_any_number(tiny: Path) -> None:
    def draw(count: int) -> None:
        seeds = f"0-{count - 1}"
        words = ("--seeds", seeds, "--outdir", f"out{count}", "--weights", tiny, "--scale", 1)
        result = run("sample", *words)
        assert len(result.stdout.splitlines()) == len([*Path(f"out{count}").iterdir()]) == count

    draw(8)
    few, many = peak_of(lambda: draw(80)), peak_of(lambda: draw(280))
    # A face alone has 2,352 bytes. What is left are the seeds, the lines this test reads, and the
    # few faces that wait for the other core, whose number differs from run to run.
    assert many - few < 200 * 1500


def test_at_most_one_tuned_generator_is_held(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Any]] = []
    alive: list[int] = []
    tune = _invert._tune

    def watched(*args: Any) -> Any:
        alive.append(sum(each() is not None for each in made))
        model, found, framed, _, on_step = args
        tuned, found = tune(model, found, framed, 1, on_step)
        made.append(weakref.ref(tuned.generator))
        return tuned, found

    monkeypatch.setattr(_invert, "_tune", watched)
    rng = np.random.default_rng(0)
    photos = [Path(f"{i}.png") for i in range(4)]
    for photo in photos:
        draw_face(rng).save(photo)
    options = (
        "--no-align",
        "--fidelity",
        "high",
        "--steps",
        2,
        "--weights",
        tiny,
        "--outdir",
        "out",
    )
    result = run("invert", *photos, *options)
    assert result.exit_code == 0 and len(result.stdout.splitlines()) == 8
    assert len(alive) == 4 and max(alive) <= 1


def test_results_that_are_not_kept_are_only_handed_out(tiny: Path) -> None:
    studio, heard = neuralid.open(tiny), list[str]()
    photos = [np.asarray(draw_face(np.random.default_rng(i))) for i in range(2)]
    options: dict[str, Any] = {"align": False, "fidelity": "fast", "keep_results": False}
    found = studio.invert(photos, on_result=lambda item: heard.append(item.name), **options)
    assert found == [] and len(heard) == 2
    assert studio.invert(photos[0], **options).psnr > 0


class Slow:
    """A result that takes a moment to write."""

    def __init__(self, threads: set[int], fault: Exception | None = None) -> None:
        self.threads, self.fault = threads, fault

    def save(self, path: Path) -> Path:
        time.sleep(0.01)
        self.threads.add(threading.get_ident())
        if self.fault is not None:
            raise self.fault
        path.touch()
        return path


def test_results_are_written_elsewhere_in_order_and_few_wait(
    capsys: pytest.CaptureFixture[str],
) -> None:
    threads, written = set[int](), list[int]()
    with Writer(console.Failures(), 3) as writer:
        for i in range(12):
            writer.save(Slow(threads), Path(f"{i:02}"), print)
            written.append(i + 1 - len([*Path().iterdir()]))
    assert max(written) <= 4  # three that wait, and the one being written
    assert threading.get_ident() not in threads
    assert capsys.readouterr().out.split() == [f"{i:02}" for i in range(12)]


def test_one_that_cannot_be_written_does_not_stop_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failures = console.Failures()
    with Writer(failures, 3) as writer:
        for i in range(4):
            fault = OutputError("no room") if i == 1 else None
            writer.save(Slow(set(), fault), Path(str(i)), print)
    shown = capsys.readouterr()
    assert shown.out.split() == ["0", "2", "3"] and "no room" in shown.err
    with pytest.raises(typer.Exit):
        failures.exit_if_any(4)


def test_ctrl_c_writes_what_waits(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), Writer(console.Failures(), 100) as writer:
        for i in range(20):
            writer.save(Slow(set()), Path(f"{i:02}"), print)
        raise KeyboardInterrupt
    wanted = [f"{i:02}" for i in range(20)]
    assert capsys.readouterr().out.split() == wanted
    assert sorted(path.name for path in Path().iterdir()) == wanted


def test_a_second_ctrl_c_leaves_out_what_has_not_been_begun() -> None:
    def again(path: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Writer(console.Failures(), 100) as writer:
        for i in range(50):
            writer.save(Slow(set()), Path(f"{i:02}"), again)
    assert 0 < len([*Path().iterdir()]) < 50


def test_a_face_that_cannot_be_written_is_one_line(tiny: Path) -> None:
    Path("out/seed0001.png").mkdir(parents=True)
    result = run("sample", "--seeds", "1", "--outdir", "out", "--weights", tiny)
    fails(result, 1, "seed0001.png")
