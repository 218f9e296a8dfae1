"""Random numbers come from generators of the program's own; torch's global one is never touched."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY
from test_resume import ROUGH, assert_same, last_state
from torch import Tensor
from torch.nn import functional as F

import neuralid
from neuralid import weights
from neuralid.faces import eyes
from neuralid.models.building import build_discriminator, build_generator
from neuralid.models.config import ModelConfig
from neuralid.models.dropout import Dropout, random_bytes
from neuralid.models.share import Share
from neuralid.training.augment import diff_augment
from neuralid.training.step import Pass
from neuralid.upscaling import face

SRC = Path(neuralid.__file__).parent
CPU = torch.device("cpu")


def seeded(seed: int) -> Share:
    return Share(rng=torch.Generator().manual_seed(seed))


def test_the_bytes_of_the_masks_are_those_they_always_were() -> None:
    """Written down; and the same as the global generator's, from which they came once."""
    found = random_bytes(13, CPU, torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    words = torch.empty(2, dtype=torch.int64).random_(-(1 << 63), None)
    assert found.equal(words.view(torch.uint8)[:13])
    assert found.tolist() == PINNED


PINNED = [47, 170, 196, 151, 172, 10, 127, 140, 192, 204, 33, 216, 117]


def test_a_mask_drops_where_a_byte_is_below_the_rate() -> None:
    x = torch.rand(3, 4, 5, 5) + 1
    found = Dropout(0.25).train()(x, seeded(7))
    torch.manual_seed(7)
    words = torch.empty(38, dtype=torch.int64).random_(-(1 << 63), None)
    kept = words.view(torch.uint8)[:300].view(3, 5, 5, 4).permute(0, 3, 1, 2) >= 64
    assert found.equal(x * kept * (256 / 192))


def recoloured(x: Tensor) -> Tensor:
    brightness, saturation, contrast = torch.rand(3, len(x), 1, 1, 1)
    x = x + (brightness - 0.5) / 2
    grey = x.mean(1, keepdim=True)
    x = (x - grey) * (2 * saturation) + grey
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * (contrast + 0.5) + mean


def moved(x: Tensor) -> Tensor:
    down, right = torch.randint(-2, 3, (2, len(x), 1, 1)).flatten(1).tolist()
    padded = F.pad(x, (2, 2, 2, 2))
    faces = zip(padded, down, right, strict=True)
    return torch.stack([f[:, 2 + d : 18 + d, 2 + r : 18 + r] for f, d, r in faces])


def blanked(x: Tensor) -> Tensor:
    rows, columns = torch.randint(0, 17, (2, len(x), 1))
    out, places = x.clone(), torch.arange(16)
    for face_, row, column in zip(out, rows, columns, strict=True):
        near = ((places - row).abs() < 4)[:, None] & ((places - column).abs() < 4)
        face_[:, near] = 0
    return out


@pytest.mark.parametrize(
    ("policy", "expected"), [("color", recoloured), ("translation", moved), ("cutout", blanked)]
)
def test_augmentation_draws_what_the_global_generator_would_have_drawn(
    policy: str, expected: Callable[[Tensor], Tensor]
) -> None:
    x = torch.rand(6, 3, 16, 16) - 0.5
    found = diff_augment(x, policy, seeded(11))
    torch.manual_seed(11)
    assert found.equal(expected(x))


def test_a_pass_seeds_its_uses_apart_and_within_64_bits() -> None:
    part = Pass(torch.zeros(1), torch.zeros(1), seed=(1 << 70) + 5)
    draws = [torch.rand(4, generator=part.rng(use)) for use in range(3)]
    for use, drawn in enumerate(draws):
        torch.manual_seed(5 + use)
        assert drawn.equal(torch.rand(4))
    assert len({tuple(drawn.tolist()) for drawn in draws}) == 3


@contextmanager
def untouched() -> Iterator[None]:
    torch.manual_seed(3)
    np.random.seed(3)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    yield
    assert torch.get_rng_state().equal(before)
    assert np.random.random() == np.random.RandomState(3).random()
    assert torch.get_num_threads() == threads


def test_no_verb_touches_the_global_generator(
    face_folder: Path, tiny: Path, photo: Path, tmp_path: Path
) -> None:
    eyes.networks.cache_clear()
    face._read_network.cache_clear()
    options: dict[str, Any] = {**TINY, "kimg": 0.016, "recipe": ROUGH}
    with untouched():
        neuralid.train(face_folder, out=tmp_path, name="quiet", **options)
    for work in (
        lambda: neuralid.sample(3, scale=2, model=tiny),
        lambda: neuralid.invert([photo], model=tiny, fidelity="high", steps=5),
        lambda: neuralid.mix([photo, photo], model=tiny),
        lambda: neuralid.find_faces([photo], model=tiny),
    ):
        with untouched():
            work()


def test_networks_are_built_without_drawing() -> None:
    config = ModelConfig(size=28, latent_size=4)
    with untouched():
        first, again = (build_generator(config, torch.Generator().manual_seed(1)) for _ in "ab")
        build_discriminator(config, torch.Generator().manual_seed(1))
    assert_same(dict(first.state_dict()), dict(again.state_dict()))
    values = first.get_parameter("dense.weight")
    assert float(values.detach().std()) == pytest.approx(0.02, rel=0.01)
    assert first.get_buffer("dense_norm.running_var").eq(1).all()
    assert first.get_parameter("dense.bias").eq(0).all()


def test_a_loaded_generator_owns_its_numbers(tiny: Path, tmp_path: Path) -> None:
    """They do not lie in the file, which may be overwritten."""
    path = tmp_path / "own.safetensors"
    path.write_bytes(tiny.read_bytes())
    loaded = weights.load_weights(path).generator
    before = {name: value.clone() for name, value in loaded.state_dict().items()}
    with path.open("r+b") as file:
        file.write(b"\xff" * path.stat().st_size)
    assert_same(dict(loaded.state_dict()), before)


def test_runs_in_threads_are_what_each_is_by_itself(face_folder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {**TINY, "kimg": 0.016, "recipe": ROUGH}
    steps = threading.Barrier(2)  # together, the two runs take each step at the same time

    def train(folder: str, seed: int) -> dict[str, Any]:
        out, name = tmp_path / folder, f"{folder}-{seed}"
        more: dict[str, Any] = {}
        if folder == "together":
            more["on_step"] = lambda step: steps.wait(60)
        run = neuralid.train(face_folder, out=out, seed=seed, name=name, **options, **more)
        return last_state(run)

    alone = [train("alone", seed) for seed in (1, 2)]
    together: dict[int, dict[str, Any]] = {}
    done = threading.Event()

    def disturb() -> None:
        while not done.wait(0.001):
            torch.manual_seed(9)
            torch.rand(1000)

    def keep(seed: int) -> None:
        together[seed] = train("together", seed)

    threads = [threading.Thread(target=keep, args=(seed,)) for seed in (1, 2)]
    other = threading.Thread(target=disturb)
    for thread in (other, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    other.join()
    assert_same(together[1], alone[0])
    assert_same(together[2], alone[1])
    one, other_one = (together[seed]["generator"]["dense.weight"] for seed in (1, 2))
    assert not one.equal(other_one)


def test_nothing_global_is_set_by_the_library() -> None:
    forbidden = re.compile(r"torch\.manual_seed|fork_rng|set_rng_state|cuda\.set_device")
    for path in SRC.rglob("*.py"):
        assert not forbidden.search(path.read_text()), path
    threads = {p.name for p in SRC.rglob("*.py") if "set_num_threads" in p.read_text()}
    assert threads == {"device.py"}  # for the command line to call
