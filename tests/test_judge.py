"""What a run says of its own faces: within its time, in its log, and the best weights kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY
from test_resume import train

from neuralid import weights
from neuralid.data.dataset import Dataset, load_dataset
from neuralid.faces.config import CropConfig
from neuralid.latents.latent import draw_latents
from neuralid.models.building import build_drawer, build_generator
from neuralid.models.dcgan import Generator
from neuralid.models.drawing import Drawer, draw_faces
from neuralid.models.network import GeneratorNetwork
from neuralid.training.batches import Batches
from neuralid.training.metrics.case import Case, Group, count_faces
from neuralid.training.metrics.judge import SHARE, Judge
from neuralid.training.metrics.sets import RealFaces
from neuralid.training.metrics.table import BEST, METRICS, Metric
from neuralid.training.runs.folder import Run
from neuralid.training.runs.history import History
from neuralid.training.runs.records import FINISHED, Measured
from neuralid.training.session.quality import BEST_NAME, Quality


@pytest.fixture
def faces(face_folder: Path, tmp_path: Path) -> Dataset:
    return load_dataset(face_folder, TINY["size"], CropConfig(), tmp_path)


@pytest.fixture
def real(faces: Dataset) -> RealFaces:
    return RealFaces.choose(faces.images, faces.training(), faces.validation(), most=12)


def untrained(like: weights.Weights) -> Generator:
    rng = torch.Generator().manual_seed(0)
    generator = build_generator(like.description.model, rng)
    assert isinstance(generator, Generator)
    return generator.eval().requires_grad_(False)


class Clock:
    """Every look at it takes a second."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.mark.parametrize(
    ("snapshot", "wanted"), [(40, {0, 1}), (100, {0, 1, len(METRICS)}), (400, {1, len(METRICS)})]
)
def test_metrics_stay_within_their_share_of_the_time(
    snapshot: float, wanted: set[int], real: RealFaces, generator: Drawer
) -> None:
    clock = Clock()
    judge = Judge(real, clock=clock)
    spent, measured = 0.0, []
    for _ in range(7):
        clock.now += snapshot
        verdict = judge.measure(generator)
        spent += verdict.seconds
        assert {*verdict.values, *verdict.skipped} == METRICS.keys()
        assert spent <= max(SHARE * clock.now, 6)  # what finding out the costs takes here
        measured.append(len(verdict.values))
    assert set(measured) == wanted and measured == sorted(measured)


@pytest.mark.parametrize("is_possible", [True, False])
def test_a_new_metric_is_one_entry_in_the_table(
    is_possible: bool,
    real: RealFaces,
    generator: Drawer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Case] = []

    def measure_light(case: Case) -> dict[str, float]:
        seen.append(case)
        apart = case.drawn.pictures.mean() - case.real.faces.pictures.mean()
        return {"light": abs(float(apart))}

    count = count_faces if is_possible else lambda real: 0
    group = Group(measure_light, count=count)
    monkeypatch.setitem(METRICS, "light", Metric("Difference in light", "lower", group))
    judge = Judge(real, clock=Clock())
    verdict = judge.measure(generator)
    assert "light" in verdict.skipped if is_possible else "light" not in verdict.skipped
    verdict = judge.measure(generator, must=True)
    if not is_possible:
        assert not seen and "light" not in verdict.values and not verdict.skipped
        return
    tried, measured, floor = seen
    assert len(tried.drawn.pictures) == len(tried.real.faces.pictures) == 2
    assert measured.generator is floor.generator is generator
    assert floor.drawn is real.others and measured.real is real
    drawn = draw_faces(generator, draw_latents(generator, range(12)))
    light, other = (float(x.mean()) for x in (real.faces.pictures, real.others.pictures))
    assert verdict.values["light"] == pytest.approx(abs(float(drawn.mean()) - light), abs=1e-6)
    assert judge.floors["light"] == pytest.approx(abs(other - light), abs=1e-6)


def test_a_resumed_run_still_owes_the_time_it_spent(real: RealFaces, generator: Drawer) -> None:
    judge = Judge(real, ran=1000, spent=95, clock=Clock())
    assert not judge.measure(generator).values
    assert judge.measure(generator, must=True).values.keys() == METRICS.keys()
    assert Judge(real, ran=1000, spent=2, clock=Clock()).measure(generator).values


def test_the_time_spent_is_read_from_the_log(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for kimg in (1, 2):
        run.log(Measured(kimg, {"fd_random": 1}, seconds=2.5))
    run.log(Measured(3, {}, ["fd_random"], 0.5))
    assert History.read(tmp_path / "log.jsonl").judging == 5.5


def test_faces_that_are_there_already_are_not_drawn_again_and_the_same_in_the_end(
    real: RealFaces, generator: Drawer
) -> None:
    judge = Judge(real)
    state = torch.random.get_rng_state()
    values = judge.measure(generator, must=True).values
    assert torch.random.get_rng_state().equal(state)
    assert judge.drawn is not None
    again = judge.measure(generator, first=judge.drawn[:5], must=True).values
    assert values == pytest.approx(again, abs=1e-4)
    more = judge.drawn.repeat(2, 1, 1, 1)
    assert judge.measure(generator, first=more, must=True).values == pytest.approx(again, abs=1e-4)


def test_of_faces_that_are_not_finite_nothing_is_said(
    faces: Dataset, trained: weights.Weights, tmp_path: Path
) -> None:
    broken = untrained(trained)
    broken.dense.bias.fill_(float("nan"))
    run = Run(tmp_path)
    quality = Quality(run, faces, torch.device("cpu"), "fp32", lambda line: None)
    first = draw_faces(build_drawer(broken), torch.zeros(4, TINY["latent_size"]))
    quality.measure(broken, first, trained.description, must=True)
    quality.finish(100)
    (line,) = (tmp_path / "log.jsonl").read_text().splitlines()
    logged = json.loads(line)
    assert logged["metrics_skipped"] == list(METRICS) and not logged.get("metrics")
    assert not any(name in logged for name in ("floors", *METRICS))
    assert not (tmp_path / BEST_NAME).exists() and not (tmp_path / "neighbours.html").exists()


def test_the_best_weights_are_kept_through_stops_and_damage(
    faces: Dataset, trained: weights.Weights, tmp_path: Path
) -> None:
    best, run = tmp_path / BEST_NAME, Run(tmp_path)

    def snapshot(generator: GeneratorNetwork, images: int) -> Quality:
        """As a run that was just resumed would take it."""
        quality = Quality(run, faces, torch.device("cpu"), "fp32", said.append)
        description = replace(trained.description, images_seen=images)
        first = torch.empty(0, 3, TINY["size"], TINY["size"])
        quality.measure(generator, first, description, must=True)
        return quality

    said: list[str] = []
    snapshot(untrained(trained), 1000)
    worse = weights.load_weights(best).description
    assert worse.images_seen == 1000 and worse.scores.keys() == METRICS.keys()
    snapshot(trained.generator, 2000)
    assert weights.load_weights(best).description.scores[BEST] < worse.scores[BEST]
    kept = best.read_bytes()
    (tmp_path / "log.jsonl").write_text("")  # killed before anything was logged
    quality = snapshot(untrained(trained), 3000)
    assert best.read_bytes() == kept and quality.scores == worse.scores
    quality.finish(3000)
    assert f"best by FD-random: {best}, after 2 kimg" in said
    best.write_bytes(kept[:1000])
    snapshot(untrained(trained), 4000)
    assert weights.load_weights(best).description.images_seen == 4000
    floors = [
        line for line in (tmp_path / "log.jsonl").read_text().splitlines() if "floors" in line
    ]
    assert len(floors) == 1  # they are known from the log


def test_what_a_run_writes_of_its_quality(tiny: Path, trained: weights.Weights) -> None:
    folder = tiny.parents[2] / "00000-tiny"
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()
    ]
    assert lines.pop()["event"] == FINISHED
    kinds = [next(k for k in ("floors", "metrics", "snapshot", "loss_d") if k in x) for x in lines]
    assert kinds == ["loss_d", "floors", "metrics", "snapshot"]
    measured = lines[2]["metrics"]
    assert measured.keys() == lines[1]["floors"].keys() == METRICS.keys()
    assert trained.description.scores == measured
    assert weights.load_weights(folder / BEST_NAME).description.scores == measured
    data = (folder / "report.html").read_text()
    assert all(metric.label in data for metric in METRICS.values())
    assert (folder / "neighbours.html").is_file()


def test_training_never_sees_what_is_held_out(
    faces: Dataset, face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_out, training = set(faces.validation().tolist()), set(faces.training().tolist())
    assert held_out and not held_out & training and len(held_out | training) == len(faces.names)
    seen: set[int] = set()
    choose = Batches._choose

    def watched(self: Batches, first: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
        chosen, flipped = choose(self, first, batch)
        seen.update(chosen.tolist())
        return chosen, flipped

    monkeypatch.setattr(Batches, "_choose", watched)
    said: list[str] = []
    train(face_folder, tmp_path, kimg=0.12, on_message=said.append)  # and the encoder
    assert seen == training
    few = f"only {len(held_out)} faces are kept for validation: the metrics will tell little"
    assert said.count(few) == 1
