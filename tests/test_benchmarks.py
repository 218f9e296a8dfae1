"""Benchmarks of speed: the page is what the files say, and what is compared does the same work."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks import __main__ as program
from benchmarks import paper_inversion, render
from benchmarks.speed import (
    agreement,
    drawing,
    enlarging,
    limits,
    machine,
    reading,
    search,
    training,
)
from benchmarks.speed.keras_peer import Keras
from benchmarks.speed.plain import plain_discriminator, plain_generator
from benchmarks.speed.timing import Effort, Report, Way, Work, compare, in_turn

from neuralid.data.ahead import read_all
from neuralid.data.listing import list_pictures
from neuralid.data.reading import Cutter, Face
from neuralid.faces.config import CropConfig
from neuralid.models.building import (
    build_discriminator,
    build_drawer,
    build_generator,
    build_perceptual,
)
from neuralid.models.config import ModelConfig
from neuralid.models.drawing import draw_faces, map_noise
from neuralid.weights import Description, Weights

DCGAN = ModelConfig(28, latent_size=8)
STYLE = ModelConfig(28, latent_size=20, architecture="style")
QUICK = Effort(seconds=0, rounds=1, cores=1)
both = pytest.mark.parametrize("model", [DCGAN, STYLE], ids=["dcgan", "style"])


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise_of(model: ModelConfig, count: int) -> torch.Tensor:
    return torch.randn(count, model.latent_size, generator=rng(5))


def weights_of(model: ModelConfig) -> Weights:
    generator = build_generator(model, rng()).eval().requires_grad_(False)
    judge = build_discriminator(model, rng(1)).eval().requires_grad_(False)
    described = Description(model)
    return Weights(generator, described, "0" * 16, Path(), perceptual=build_perceptual(judge))


def test_the_page_is_what_the_renderer_makes_of_the_results() -> None:
    assert render.PAGE.read_text() == render.page()


def test_every_benchmark_has_its_place_on_the_page() -> None:
    found = [*render.MARK.finditer(render.TEMPLATE.read_text())]
    marks = {mark[2] or mark[1] for mark in found if mark[1] != "ratios"}
    assert marks == set(program.BENCHMARKS)


@pytest.mark.parametrize("seconds", [{"fp32": 3.0, "bf16": 2.0}, {"fp32": 1.5, "bf16": 2.0}])
def test_another_machines_table_has_the_fastest_of_our_ways(
    seconds: dict[str, float], tmp_path: Path
) -> None:
    about = json.loads((render.RESULTS / "starting.json").read_text())
    fastest, least = min(zip(seconds.values(), seconds, strict=True))[1], min(seconds.values())
    for repeats, rate, name in ((3, 2e11, "drawing"), (9, 4e11, "reading")):
        rows = [row_of(name, f"neuralid, {p}", taken, repeats) for p, taken in seconds.items()]
        limits = [{"operations_per_s": {"matrix fp32": rate}}]
        found = {**about, "rows": rows, "limits": limits}
        (tmp_path / f"{name}.json").write_text(json.dumps(found))
    table = render.ratios(tmp_path)
    for name in ("drawing", "reading"):
        assert f"| {name} | {fastest} | plain | **{6 / least:.2f}** |  |" in table
    assert table.count("| plain |") == 2 and "Rounds: 3 to 9." in table
    assert "matrix fp32 200 to 400." in table and about["machine"]["processor"] in table
    assert render.ratios(tmp_path / "none") == "Not measured yet."


def row_of(name: str, way: str, seconds: float, repeats: int) -> dict[str, Any]:
    sides = ((way, seconds), ("plain", 6.0))
    of, against = ({"name": n, "median": s, "quartiles": [s, s]} for n, s in sides)
    ratio = 6 / seconds
    return {"name": name, "of": of, "against": against, "ratio": ratio, "repeats": repeats}


@both
def test_the_plain_networks_compute_what_this_programs_do(model: ModelConfig) -> None:
    generator, judge = build_generator(model, rng()), build_discriminator(model, rng(1))
    noise = noise_of(model, 16)
    faces = generator(noise)
    torch.testing.assert_close(plain_generator(generator)(noise), faces, rtol=1e-4, atol=1e-5)
    found = plain_discriminator(judge)(faces)
    torch.testing.assert_close(found, judge(faces), rtol=1e-4, atol=1e-5)


@both
def test_a_plain_training_step_has_the_same_gradients(model: ModelConfig) -> None:
    report = Report()
    training.check_gradients(report, model)
    assert [each["precision"] for each in report.agreement] == list(limits.precisions())
    assert 0 < report.agreement[0]["difference"] <= 1e-5


def test_a_plain_step_with_the_penalty_has_the_same_losses() -> None:
    recipe = replace(training._recipe(STYLE), learning_rate_g=0, learning_rate_d=0)
    real, noise = training._inputs(STYLE, 8)
    state, step = training.ours(STYLE, 8, "fp32", recipe, real, noise)
    plain = training.PlainTraining(state, recipe)
    step(0)  # R1 is due
    plain.step(real, noise, penalised=True)
    found, wanted = (
        agreement.flat(training.gradients_of(network))
        for network in (state.discriminator, plain.discriminator)
    )
    assert agreement.compared(found, wanted)["cosine"] > 0.9999
    plain.step(real, noise)
    without = agreement.flat(training.gradients_of(plain.discriminator))
    assert agreement.compared(without, wanted)["difference"] > 1e-3


@both
def test_the_plain_search_has_the_same_gradients(model: ModelConfig) -> None:
    source = search.without_kinks(weights_of(model))
    report = Report()
    drawer = build_drawer(source.generator)
    latents = map_noise(drawer, noise_of(model, 4))
    targets = draw_faces(drawer, latents.flip(0))
    search.check_gradients(report, "search", source, targets, latents)
    assert 0 < report.agreement[0]["difference"] <= 1e-5
    assert source.generator.config.slope == 1


def test_forms_that_differ_are_not_timed() -> None:
    right, wrong = [torch.ones(1000)], [torch.ones(1000) + 1e-4]
    agreement.check(Report(), "good", right, {"fp32": right, "bf16": wrong})
    with pytest.raises(ValueError, match="do not agree"):
        agreement.check(Report(), "bad", right, {"fp32": wrong})
    with pytest.raises(ValueError, match="do not agree"):
        agreement.check(Report(), "bad", right, {"bf16": [torch.arange(1000.0)]})
    with pytest.raises(ValueError, match="do not agree"):
        agreement.check(Report(), "bad", right, {"fp32": [torch.full((1000,), torch.nan)]})


@both
def test_faces_drawn_plainly_are_compared(model: ModelConfig) -> None:
    generator = build_generator(model, rng()).eval().requires_grad_(False)
    drawer, noise = build_drawer(generator), noise_of(model, 3)
    plain = plain_generator(generator).eval()
    drawing.check_faces(draw_faces(drawer, map_noise(drawer, noise)), plain(noise).detach())
    with pytest.raises(ValueError, match="other faces"):
        drawing.check_faces(torch.zeros(1), torch.full((1,), 0.1))


def test_the_papers_procedure_finds_a_plain_networks_face(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper_inversion, "ROUNDS", 2)
    network = plain_generator(build_generator(DCGAN, rng())).eval().requires_grad_(False)
    face = network(noise_of(DCGAN, 1) / 2)
    function = paper_inversion.alone(network, face)
    start = np.zeros(8)
    assert function(paper_inversion.gan_reverse(function, start))[0] < 0.1 * function(start)[0]


def test_the_plain_loop_and_the_loader_read_the_same_faces(tmp_path: Path) -> None:
    reading.make_pictures(tmp_path, 3)
    entries = list_pictures(tmp_path)
    pictures = reading.Pictures(tmp_path, entries)
    cutter = Cutter(reading.SIZE, CropConfig(), None)
    with closing(read_all(tmp_path, entries, cutter, 1)) as faces:
        for index, face in enumerate(faces):
            assert isinstance(face, Face)
            assert np.array_equal(face.pixels, pictures[index].numpy())
    for way in reading.ways(tmp_path, entries, 1)[:3]:
        way.run()


def test_ways_take_turns_and_the_first_round_does_not_count() -> None:
    runs: list[str] = []
    ways = [Way(name, lambda name=name: runs.append(name)) for name in "ab"]  # type: ignore[misc]
    times = in_turn(ways, Effort(seconds=60, rounds=4))
    rounds = {"".join(runs[start : start + 2]) for start in range(0, 10, 2)}
    assert rounds == {"ab", "ba"} and [len(each) for each in times] == [4, 4]
    assert len(in_turn(ways, Effort(seconds=0, rounds=9))[0]) == 3


def test_rows_say_ratios_quartiles_and_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.speed.timing.seconds_of", lambda run: run())
    ways = [
        Way("ours", lambda: 2.0, ours=True, precision="fp32", part=2),
        Way("other", lambda: 6.0, precision="fp32"),
    ]
    limit = [Way("convolution fp32", lambda: 0.5, part=0.25)]
    report = Report()
    work = Work("work", "faces", 8, operations=12.0)
    compare(report, work, ways, Effort(rounds=2), limit, operations=48.0)
    (row,) = report.rows
    assert report.limits[0]["operations_per_s"] == {"convolution fp32": 24.0}
    assert row["ratio"] == 6 and row["repeats"] == 2 and row["count"] == 8
    assert row["of"] == {"name": "ours", "median": 1, "quartiles": [1, 1], "share": 0.5}
    assert row["against"]["share"] == pytest.approx(12 / 6 / 24)


def test_a_convolution_counts_as_many_operations_as_it_has() -> None:
    network = torch.nn.Conv2d(3, 5, 3, padding=1, bias=False)
    assert limits.operations_of(network, torch.zeros(2, 3, 7, 7)) == 2 * 2 * 49 * 9 * 3 * 5
    styled = plain_generator(build_generator(STYLE, rng()))
    assert limits.operations_of(styled, noise_of(STYLE, 4)) > 0
    wide = limits.limits()[1]
    assert limits.operations_of(wide.run) == limits.OPERATIONS * wide.part


def test_a_benchmark_writes_its_file_and_the_page_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "use_cores", lambda count: 1)  # this process keeps its own
    monkeypatch.setattr("neuralid.core.memory.keep_freed_memory", lambda: None)
    monkeypatch.setattr(enlarging, "WIDTH", 120)
    monkeypatch.setattr(enlarging, "HEIGHT", 100)
    options = ["--rounds", "1", "--seconds", "0", "--results", str(tmp_path)]
    assert program.main(["--only", "enlarging", *options]) == 0
    found = json.loads((tmp_path / "enlarging.json").read_text())
    assert {"processor", "load_before", "load_after"} <= found["machine"].keys()
    assert {"python", "torch", "numpy", "opencv-python", "pillow"} <= found["versions"].keys()
    assert found["rows"][0]["against"]["name"] == "OpenCV"
    ratio = render._digits(found["rows"][0]["ratio"])
    assert f"| **{ratio}** |" in render.page(tmp_path)
    assert "Not measured yet: `python -m benchmarks --only training`." in render.page(tmp_path)
    assert "OpenCV" in capsys.readouterr().out


def test_the_list_names_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(program.BENCHMARKS)
    with pytest.raises(SystemExit):
        program.main(["--only", "nothing"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_its_benchmark_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    assert program.main(["--only", "gpu", "--results", str(results)]) == 0
    assert "left out" in capsys.readouterr().err and not results.exists()


def test_keras_takes_part_only_if_wanted_and_for_the_papers_networks() -> None:
    with Keras.start(QUICK, ModelConfig()) as absent:
        assert absent is None
    with Keras.start(replace(QUICK, keras=True), STYLE) as absent:
        assert absent is None
