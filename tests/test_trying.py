"""What is fastest here is found by trying, remembered, and part of a run's options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from test_resume import assert_same, last_state, train

import neuralid
from neuralid.core import trying
from neuralid.core.device import PrecisionTrial, pick_precision
from neuralid.core.trying import Trial, fastest
from neuralid.models import dcgan_layers
from neuralid.models.building import build_discriminator, build_generator, empty_generator
from neuralid.models.config import ModelConfig
from neuralid.models.dcgan_layers import ColourConv, Conv7, UpConv
from neuralid.models.forms import FormedLayer, fastest_forms, layers_with_forms, set_forms
from neuralid.training.config import TrainConfig
from neuralid.training.options import TrainOptions
from neuralid.training.runs.folder import Run
from neuralid.training.runs.plan import Plan, new_plan
from neuralid.training.session import choice as choices
from neuralid.training.session.choice import Choice, choose, use_forms
from neuralid.training.state import TrainState

CPU = torch.device("cpu")
MODEL = ModelConfig(28, 16)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials are allowed; work says itself how long it took."""
    monkeypatch.setenv("NEURALID_TRIALS", "on")
    monkeypatch.setattr(trying, "_known", {})
    monkeypatch.setattr(trying, "_machine", lambda: "a machine")
    monkeypatch.setattr(trying, "_time", lambda work: work())


def trial(seconds: dict[str, float], preferred: str, done: list[str]) -> Trial:
    def ready(way: str) -> trying.Work:
        def work() -> float:
            done.append(way)
            return seconds[way]

        return work

    ways = {way: (lambda way=way: ready(way)) for way in seconds}
    return Trial("a question", ways, preferred)


@pytest.mark.parametrize(
    ("seconds", "preferred", "best", "rounds"),
    [
        ({"a": 3.0, "b": 1.0}, "a", "b", {"a": 2, "b": 2}),  # clear after the second round
        ({"a": 1.03, "b": 1.0}, "a", "a", {"a": 3, "b": 3}),  # within the scatter
        ({"a": 1.2, "b": 1.0, "c": 9.0}, "a", "b", {"a": 3, "b": 3, "c": 2}),
    ],
)
def test_the_clearly_faster_way_is_taken(
    clock: None,
    seconds: dict[str, float],
    preferred: str,
    best: str,
    rounds: dict[str, int],
) -> None:
    done: list[str] = []
    assert fastest(trial(seconds, preferred, done)) == (best, seconds)
    assert {way: done.count(way) for way in seconds} == rounds


@pytest.mark.parametrize("times", [(9.0, 1.0, 1.0), (3.0, 9.0, 1.0)])
def test_a_way_whose_first_times_are_slow_is_not_given_up(
    clock: None, times: tuple[float, ...]
) -> None:
    """Memory is fetched then, and kernels are made: one form took five times as long at first."""
    slow_at_first = iter(times)
    ways = {"a": lambda: lambda: 2.0, "b": lambda: lambda: next(slow_at_first)}
    assert fastest(Trial("a question", ways, "a")) == ("b", {"a": 2.0, "b": 1.0})


def test_an_answer_is_remembered_by_this_process_and_the_next(
    clock: None, monkeypatch: pytest.MonkeyPatch, cache_folder: Path
) -> None:
    done: list[str] = []
    asked = trial({"a": 3.0, "b": 1.0}, "a", done)
    fastest(asked)
    fastest(asked)
    monkeypatch.setattr(trying, "_known", {})  # another process
    assert fastest(asked)[0] == "b" and len(done) == 4
    (key,) = json.loads((cache_folder / "fastest.json").read_text())
    assert key == "a machine: a question"
    monkeypatch.setattr(trying, "_known", {})
    monkeypatch.setattr(trying, "_machine", lambda: "another")
    fastest(asked)
    assert len(done) == 8
    assert len(json.loads((cache_folder / "fastest.json").read_text())) == 2


@pytest.mark.parametrize(
    "content", ["", "[1", '{"a machine: a question": {"a": -1, "b": 2}}', "[]"]
)
def test_a_damaged_file_of_answers_is_as_none(
    clock: None, content: str, cache_folder: Path
) -> None:
    cache_folder.mkdir(exist_ok=True)
    (cache_folder / "fastest.json").write_text(content)
    done: list[str] = []
    assert fastest(trial({"a": 3.0, "b": 1.0}, "a", done))[0] == "b" and len(done) == 4


def test_nothing_is_tried_where_that_is_forbidden_and_a_cache_is_not_needed(
    clock: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done: list[str] = []
    asked = trial({"a": 3.0, "b": 1.0}, "a", done)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NEURALID_CACHE_DIR", str(tmp_path / "file"))
    assert fastest(asked)[0] == "b"
    monkeypatch.setenv("NEURALID_TRIALS", "off")
    assert fastest(asked) == ("a", {}) and len(done) == 4


@pytest.mark.parametrize(("fp32", "bf16", "picked"), [(1.0, 2.0, "fp32"), (2.0, 1.0, "bf16")])
def test_precision_is_the_one_that_is_faster_in_the_work_itself(
    clock: None, fp32: float, bf16: float, picked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuralid.core.device.can_bfloat16", lambda: True)
    took = {"fp32": fp32, "bf16": bf16}
    work = PrecisionTrial("drawing", lambda precision: lambda: took[precision])
    assert pick_precision("auto", CPU, work) == picked
    assert pick_precision("fp32", CPU, work) == "fp32"


def test_every_form_of_a_layer_computes_the_same() -> None:
    """In all combinations, with gradients, on batches that would choose the other form."""
    rng = torch.Generator().manual_seed(0)
    generator = build_generator(MODEL, rng)
    discriminator = build_discriminator(MODEL, rng)
    generator.eval(), discriminator.eval()  # else batch norm leaves little but rounding
    noise = torch.randn(3, 16, generator=rng)
    told = []
    for form in range(3):
        for network in (generator, discriminator):
            layers = layers_with_forms(network)
            set_forms(network, {n: x.forms[form % len(x.forms)] for n, x in layers.items()})
        loss = discriminator(generator(noise)).square().sum()
        told.append(torch.autograd.grad(loss, [*generator.parameters()]))
    assert set(layers_with_forms(discriminator)) == {"wide"}
    for a, b, c in zip(*told, strict=True):
        torch.testing.assert_close(c, b, rtol=1e-3, atol=1e-4 * float(b.abs().max()))
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * float(b.abs().max()))


def test_forms_that_are_not_there_are_refused_and_nothing_is_changed() -> None:
    network = build_generator(MODEL, torch.Generator().manual_seed(0))
    for wrong in ({"ups.0": "best"}, {"ups.0": "phases", "ups.9": "phases"}):
        with pytest.raises(ValueError, match="no layer"):
            set_forms(network, wrong)
    assert network.get_submodule("ups.0").form is None


def test_forms_are_tried_on_the_layers_own_maps(
    clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On real layers; the clock prefers what was computed last."""
    computed: list[tuple[str, tuple[int, ...]]] = []
    for form in ("rows_upsample_conv", "phase_upsample_conv", "spectral_upsample_conv"):
        plain = getattr(dcgan_layers, form)

        def seen(x: torch.Tensor, *rest: torch.Tensor, form: str = form) -> torch.Tensor:
            computed.append((form, tuple(x.shape)))
            return plain(x, *rest)  # noqa: B023

        monkeypatch.setattr(dcgan_layers, form, seen)

    def slower_first(work: trying.Work) -> float:
        work()
        return 1.0 / len(computed)

    monkeypatch.setattr(trying, "_time", slower_first)
    meta = empty_generator(MODEL).eval()
    found = fastest_forms(meta, [torch.empty(1, 16, device="meta")], 4, "fp32")
    assert found == {"ups.0": "spectral", "to_rgb": "blocks"}
    assert computed[:4] == [
        ("phase_upsample_conv", (1, 256, 14, 14)),
        ("rows_upsample_conv", (4, 256, 14, 14)),
        ("phase_upsample_conv", (4, 256, 14, 14)),
        ("spectral_upsample_conv", (4, 256, 14, 14)),
    ]


def plan(**changes: object) -> Plan:
    given: Any = {"data": "x", "size": 28, "latent_size": 16, "batch": 8, **changes}
    return new_plan(TrainOptions(**given))


def test_a_choice_is_made_once_and_kept_on_resume(
    clock: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(choices, "can_bfloat16", lambda: True)
    order = iter(range(100, 0, -1))

    def later_is_faster(work: trying.Work) -> float:
        work()
        return 2.0 ** next(order)

    monkeypatch.setattr(trying, "_time", later_is_faster)
    said: list[str] = []
    chosen = choose(plan(), None, CPU, said.append)
    assert chosen.precision == "bf16" and len(said) == 1 and "bf16" in said[0]
    assert chosen.forms == {
        "generator.ups.0": "spectral",
        "generator.to_rgb": "direct",
        "discriminator.wide": "spectral",
    }
    run = Run(tmp_path)
    kept = Choice("cpu", "fp32", {"generator.ups.0": "phases"})
    run.write_options({**plan().to_dict(), "chosen": vars(kept)})
    assert choose(plan(), run, CPU, said.append) == kept and len(said) == 1
    assert choose(plan(precision="bf16"), run, CPU, said.append).precision == "bf16"
    for damaged in ({"device": "cpu"}, {**vars(kept), "forms": {"generator.ups.0": "none"}}, 7):
        run.write_options({**plan().to_dict(), "chosen": damaged})
        assert choose(plan(), run, CPU, said.append) == chosen


def test_a_state_takes_the_forms_that_were_chosen() -> None:
    state = TrainState.fresh(MODEL, TrainConfig(batch=8), CPU)
    use_forms(state, Choice("cpu", "fp32", {"generator.ups.0": "phases"}))
    for network in (state.generator, state.average):
        assert network.get_submodule("ups.0").form == "phases"
    assert state.discriminator.get_submodule("wide").form is None


def test_a_run_keeps_what_was_chosen_and_is_the_same_after_a_resume(
    face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With other forms than the batch would have, whatever is fastest by then."""
    options: dict[str, Any] = {"max_images": 64, "snapshot": 0.016, "architecture": "dcgan"}
    forms = {"generator.ups.0": "spectral", "discriminator.wide": "spectral"}
    monkeypatch.setattr(choices, "_forms", lambda plan, precision: forms)
    whole = train(face_folder, tmp_path / "whole", kimg=0.032, **options)
    train(face_folder, tmp_path / "parts", kimg=0.016, **options)
    monkeypatch.setattr(choices, "_forms", lambda plan, precision: {"generator.ups.0": "phases"})
    parts = neuralid.train(out=tmp_path / "parts", resume="latest", kimg=0.032)
    assert parts.run is not None
    assert Run(parts.run).read_options()["chosen"]["forms"] == forms
    assert_same(last_state(parts), last_state(whole))
    plain = train(face_folder, tmp_path / "plain", kimg=0.016, **options)
    assert plain.run is not None
    assert Run(plain.run).read_options()["chosen"]["forms"] == {"generator.ups.0": "phases"}


@pytest.mark.parametrize(
    ("layer", "shape", "form"),
    [
        (UpConv(2, 2), (15, 2, 14, 14), "phase_upsample_conv"),
        (UpConv(2, 2), (16, 2, 14, 14), "spectral_upsample_conv"),
        (UpConv(2, 2), (16, 2, 28, 28), "spectral_upsample_conv"),
        (UpConv(2, 2), (16, 2, 56, 56), "phase_upsample_conv"),
        (Conv7(2, 2), (15, 2, 7, 7), None),
        (Conv7(2, 2), (16, 2, 7, 7), "spectral_conv7"),
        (ColourConv(2, 2), (1, 2, 6, 6), "block_conv"),
    ],
)
def test_a_layer_that_was_not_tried_goes_by_the_device_and_the_batch(
    layer: FormedLayer, shape: tuple[int, ...], form: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []
    for name in ("phase_upsample_conv", "spectral_upsample_conv", "spectral_conv7", "block_conv"):
        plain = getattr(dcgan_layers, name)

        def seen(*given: Any, name: str = name, plain: Any = plain) -> torch.Tensor:
            used.append(name)
            return plain(*given)

        monkeypatch.setattr(dcgan_layers, name, seen)
    layer(torch.zeros(shape))
    assert used == ([] if form is None else [form])
    used.clear()
    layer.to("meta")(torch.zeros(shape, device="meta"))  # as on any device but a CPU
    assert used == (["phase_upsample_conv"] if isinstance(layer, UpConv) else [])
