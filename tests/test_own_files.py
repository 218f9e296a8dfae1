"""Never the user's own file: outputs that are inputs, names that are taken, finished runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import EXAMPLES, QUICK, fails, run
from PIL import Image
from test_cli import paths

import neuralid
from neuralid import weights
from neuralid.models.config import ModelConfig
from neuralid.models.recipe import RECIPES
from neuralid.training.batches import Batches
from neuralid.training.config import TrainConfig
from neuralid.training.distributed.world import World
from neuralid.training.runs.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from neuralid.training.state import TrainState
from neuralid.training.step import Engine, passes, train_step

NEAREST = ("--method", "nearest", "-s", 2)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The user's photo, which carries no latent, in the working folder."""
    path = Path("own.png")
    Image.open(EXAMPLES / "ada.png").convert("RGB").resize((60, 60)).save(path)
    return path


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def spellings(path: Path) -> list[Path]:
    """Other names of the same file."""
    path.with_name("soft.png").symlink_to(path.name)
    os.link(path, path.with_name("hard.png"))
    folder = path.absolute().parent
    (folder / "folder").symlink_to(folder)
    return [
        path,
        Path(f"../{folder.name}/{path.name}"),
        path.absolute(),
        Path("soft.png"),
        Path("hard.png"),
        Path("folder") / path.name,
    ]


def test_an_output_that_is_an_input_is_refused_under_any_name(own: Path, tiny: Path) -> None:
    before, model = own.read_bytes(), ("--weights", tiny)
    for path in spellings(own):
        for command in (
            ("upscale", own, *NEAREST, "-o", path),
            ("mix", own, EXAMPLES / "bruno.png", "-o", path, *model),
            ("mix", EXAMPLES / "bruno.png", own, "-o", path, *model),
            ("invert", own, "-o", path, *model),
            ("invert", own, "--show-crop", path, *model),
            ("upscale", path, *NEAREST, "-o", own),
        ):
            fails(run(*command), 1, "is one of the inputs", "--overwrite")
    assert own.read_bytes() == before
    assert sorted(p.name for p in Path().iterdir()) == ["folder", "hard.png", "own.png", "soft.png"]


def test_weights_and_latents_are_inputs_too(own: Path, tiny: Path) -> None:
    copy = Path("copy.safetensors")
    copy.write_bytes(tiny.read_bytes())
    options = ("--fidelity", "high", "--save-weights", copy, "--weights", copy)
    fails(run("invert", own, *options), 1, "copy.safetensors is one of the inputs")
    fails(run("mix", own, own, *options), 1, "copy.safetensors is one of the inputs")
    latent = Path("x.latent.safetensors")
    latent.touch()
    fails(run("invert", own, latent, "-o", "x.png"), 2, "2 results")
    fails(run("invert", "x.latent.safetensors", "-o", "x.png"), 1, "x.latent.safetensors is one of")
    same = ("-o", "y.png", "--show-crop", "y.png")
    fails(run("invert", own, *same), 2, "two results would be written to y.png")
    fails(run("mix", own, own, *same), 2, "two results would be written to y.png")


def test_a_result_never_replaces_an_input_that_comes_later(own: Path) -> None:
    later = Path("out/own_x2.png")
    later.parent.mkdir()
    Image.new("RGB", (4, 4), "blue").save(later)
    before = later.read_bytes()
    result = run("upscale", own, later, *NEAREST, "--outdir", "out")
    assert result.exit_code == 1 and "own_x2.png is one of the inputs" in result.stderr
    assert [path.name for path in paths(result.stdout)] == ["own_x2_x2.png"]
    assert later.read_bytes() == before


def test_overwrite_says_that_it_is_meant(own: Path, tiny: Path) -> None:
    assert run("upscale", own, *NEAREST, "-o", own, "--overwrite").exit_code == 0
    assert size_of(own) == (120, 120)
    mixed = ("mix", own, own, "-o", own, "--overwrite", "--scale", 1, "--no-align")
    result = run(*mixed, "--fidelity", "fast", "--weights", tiny)
    assert result.exit_code == 0 and size_of(own) == (28, 28), result.output
    invert = ("invert", own, "-o", own, "--overwrite", "--steps", 1, "--weights", tiny)
    assert run(*invert, "--no-align").exit_code == 0 and size_of(own) == (224, 112)


def test_a_name_that_is_taken_by_a_link_to_nothing_is_taken(own: Path, tiny: Path) -> None:
    for name in ("mix.png", "faces.png", "own_x2.png", "own.latent.safetensors"):
        Path(name).symlink_to("/nowhere/at/all")
    model = ("--weights", tiny)
    done = [
        run("mix", own, own, "--no-align", "--fidelity", "fast", *model),
        run("sample", "-n", 1, *model),
        run("upscale", own, *NEAREST),
        run("invert", own, "--no-align", "--steps", 1, *model),
    ]
    written = [path.name for result in done for path in paths(result.stdout)]
    assert written == [
        "mix-1.png",
        "faces-1.png",
        "own_x2-1.png",
        "own-1.latent.safetensors",
        "own-1.inverted.png",
    ]
    assert Path("mix.png").is_symlink() and Path("own.latent.safetensors").is_symlink()


@pytest.fixture
def finished(face_folder: Path, tmp_path: Path) -> Path:
    out = tmp_path / "runs"
    result = neuralid.train(face_folder, out=out, kimg=0.016, snapshot=0.008, name="f", **QUICK)
    assert result.run is not None and result.finished
    return result.run


def states(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.iterdir()}


def test_a_finished_run_keeps_what_goes_on_once_says_so_and_is_left_alone(
    finished: Path, cache_folder: Path, face_folder: Path
) -> None:
    assert [path.name for path in checkpoints(finished)] == ["checkpoint-000000016.pt"]
    best = weights.load_weights(finished / "weights-best.safetensors").description.images_seen
    for images in (8, 16):  # not the best ones, which have a name of their own
        there = (finished / f"weights-000000_{images:03d}.safetensors").is_file()
        assert there is not (best == images)

    published = cache_folder / "weights" / "f.safetensors"
    before, weights_before = states(finished), published.read_bytes()
    for more in ((), ("--kimg", 0.01), ("-N",), ("--data", face_folder, "--snapshot", 5)):
        result = run("train", "--resume", "latest", "--out", finished.parent, *more)
        assert result.exit_code == 0, result.output
        told = result.stderr.replace("\n", "")
        assert "is finished, after 0.016 kimg; a larger --kimg goes on" in told
        assert paths(result.stdout) == [published]
        assert states(finished) == before and published.read_bytes() == weights_before

    again = neuralid.train(out=finished.parent, resume="latest")
    assert (again.run, again.weights, again.images) == (finished, published, 16)

    other = weights.load_weights(published)
    weights.save_weights(published, other.generator, other.description)
    said: list[str] = []
    again = neuralid.train(out=finished.parent, resume="latest", on_message=said.append)
    assert again.weights is None and "is another run's by now" in said[-1]


@pytest.mark.parametrize(("recipe", "copies"), [("paper", 3), ("stable", 4)])
def test_a_checkpoint_holds_nothing_twice(recipe: str, copies: int, tmp_path: Path) -> None:
    """Without averaging, the average is the generator; else it is a third network to go on from."""
    config, faces = (
        TrainConfig(batch=8, recipe=RECIPES[recipe]),
        np.zeros((16, 28, 28, 3), np.uint8),
    )
    state, other = (
        TrainState.fresh(ModelConfig(size=28, latent_size=4), config, torch.device("cpu"))
        for _ in range(2)
    )
    batch = list(passes(state, Batches(faces, np.arange(16), 0, mirror=True), config, World()))
    train_step(state, batch, Engine.start(state, config, "fp32", World()))
    state.update_average(1 - state.average_decay(config.recipe, 8))
    path = save_checkpoint(tmp_path, 8, state.pack())
    counts = [
        sum(tensor.numel() for tensor in network.state_dict().values())
        for network in (state.generator, state.discriminator)
    ]
    assert path.stat().st_size == pytest.approx(4 * (copies * counts[0] + 3 * counts[1]), rel=0.02)
    assert load_checkpoint(tmp_path, other.unpack)
    for one, two in zip(state.average.parameters(), other.average.parameters(), strict=True):
        assert torch.equal(one, two)
    own = {each.data_ptr() for each in other.generator.parameters()}
    assert not own & {each.data_ptr() for each in other.average.parameters()}


def test_a_finished_run_goes_on_where_there_is_more_to_do(
    finished: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"out": finished.parent, "resume": "latest"}
    stopped = neuralid.train(**options, kimg=0.024, should_stop=lambda: True)
    assert stopped.images == 16 and not stopped.finished
    published = cache_folder / "weights" / "f.safetensors"
    result = neuralid.train(**options)  # its options now say 0.024
    assert result.finished and result.images == 24
    published.unlink()  # to have them back, its end is done again
    assert neuralid.train(**options).weights == published and published.is_file()
    licensed = neuralid.train(**options, licence="CC0")
    assert licensed.weights is not None
    assert weights.load_weights(licensed.weights).description.licence == "CC0"
    assert neuralid.train(**options, licence="CC0").images == 24  # and is not done once more
    events = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert sum(event.get("event") == "finished" for event in events) == 4


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="a file that nobody can read")
def test_a_log_that_names_a_file_that_cannot_be_read_has_no_weights(
    finished: Path, cache_folder: Path
) -> None:
    log, published = finished / "log.jsonl", cache_folder / "weights" / "f.safetensors"
    assert str(published) in log.read_text()
    log.write_text(log.read_text().replace(str(published), "/proc/self/mem"))
    assert neuralid.train(out=finished.parent, resume="latest").weights == published
