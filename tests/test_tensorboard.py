"""``train --tensorboard``: what the log says, as event files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import fails, run
from test_resume import train

from neuralid.pictures import images
from neuralid.training.runs.folder import Run
from neuralid.training.runs.records import ROLLBACK, Event, Floors, Measured, Snapshot, Tick
from neuralid.training.runs.tensorboard import event_files


def tick(kimg: float, loss_d: float) -> Tick:
    return Tick(kimg, loss_d, 0.7, 0.6, 0.4, images_per_second=20.0, memory_mb=800, device="cpu")


def read(folder: Path) -> Any:
    """What TensorBoard finds in a folder."""
    where = "tensorboard.backend.event_processing.event_accumulator"
    events = pytest.importorskip(where).EventAccumulator(str(folder))
    events.Reload()
    return events


def test_the_events_are_the_log_and_a_run_that_goes_back_replaces_them(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    log = Run(tmp_path)
    images.save_picture(tmp_path / "fakes000002.png", np.zeros((8, 8, 3), np.uint8))
    with event_files(log):
        log.log(Floors({"swd": 0.1}))
        log.log(tick(1.0, 1.5))
        log.log(tick(2.0, 9.0))
        log.log(Measured(2.0, {"swd": 0.5, "broken": float("nan"), "unknown": None}))
        log.log(Snapshot(2.0, "fakes000002.png"))
        log.log(tick(3.0, 9.0))
        log.log(Event(ROLLBACK, 2.0))
        log.log(tick(2.5, 1.4))
    with event_files(log):  # resumed
        log.log(tick(3.5, 1.3))
    log.log(tick(4.5, 1.2))  # heard by nobody
    events = read(tmp_path)
    losses = [(each.step, round(each.value, 3)) for each in events.Scalars("loss/discriminator")]
    assert losses == [(1000, 1.5), (2000, 9.0), (2500, 1.4), (3500, 1.3)]
    assert [each.step for each in events.Scalars("metrics/swd")] == [2000]
    assert [each.step for each in events.Images("faces")] == [2000]
    assert set(events.Tags()["scalars"]) == {
        *("loss/discriminator", "loss/generator", "discriminator/real", "discriminator/fake"),
        *("speed/images_per_second", "speed/memory_mb", "metrics/swd"),
    }


def test_training_writes_them_if_asked(face_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    steps: list[object] = []
    result = train(
        face_folder,
        tmp_path,
        tensorboard=True,
        on_step=steps.append,
        should_stop=lambda: bool(steps),
    )
    assert result.run is not None
    assert [each.step for each in read(result.run).Images("faces")] == [8]


def test_without_the_package_it_is_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("neuralid.training.runs.tensorboard.find_spec", lambda name: None)
    result = run("train", "--data", "nowhere", "--tensorboard")
    fails(result, 2, "needs the package tensorboard", "pip install 'neuralid[tensorboard]'")
