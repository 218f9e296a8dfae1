"""The encoder: trained after the generator, shipped with it, and where inversion starts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import QUICK

import neuralid
from neuralid import weights
from neuralid.core.errors import WeightsError
from neuralid.latents import latent
from neuralid.latents.config import InvertConfig
from neuralid.latents.coordinates import Coordinates, latent_metric
from neuralid.latents.inversion import invert
from neuralid.models.drawing import Drawer
from neuralid.models.encoder import Encoder
from neuralid.models.inverting import Inverting
from neuralid.training.batches import Batches
from neuralid.training.config import TrainConfig
from neuralid.training.finish.encoding import train_encoder


def batches(generator: Drawer) -> Batches:
    """Faces the generator drew, as the real ones."""
    with torch.no_grad():
        faces = generator(latent.draw_latents(generator, range(500, 540)))
    pixels = ((faces + 0.5) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return Batches(np.ascontiguousarray(pixels), np.arange(40), seed=0, mirror=False)


def encoder_of(generator: Drawer, kimg: float, seed: int = 0) -> Encoder:
    config = TrainConfig(kimg=kimg, batch=16, seed=seed)
    coordinates = Coordinates.of(latent_metric(generator))
    encoder = train_encoder(generator, coordinates, batches(generator), config, "fp32")
    assert isinstance(encoder, Encoder)
    return encoder


@pytest.fixture(scope="module")
def taught(generator: Drawer) -> Encoder:
    return encoder_of(generator, 5)


def test_it_guesses_better_the_longer_it_learns(generator: Drawer, taught: Encoder) -> None:
    with torch.no_grad():
        faces = generator(latent.draw_latents(generator, range(8)))
    errors = []
    for encoder in (encoder_of(generator, 0.1), taught):
        with torch.no_grad():
            drawn = generator(encoder(faces))
        errors.append(float((drawn - faces).square().mean()))
    with torch.no_grad():
        mean_face = generator(torch.zeros(1, generator.config.latent_size))
    assert errors[1] < errors[0] / 2
    assert errors[1] < float((mean_face - faces).square().mean()) / 2


def test_it_is_a_function_of_the_seed(generator: Drawer) -> None:
    first, again, other = (encoder_of(generator, 0.3, seed).dense.weight for seed in (0, 0, 1))
    assert first.equal(again) and not first.equal(other)


def test_it_stops_when_asked(generator: Drawer) -> None:
    config = TrainConfig(kimg=1, batch=16)
    heard: list[int] = []
    stopped = train_encoder(
        generator,
        Coordinates.plain(16),
        batches(generator),
        config,
        "fp32",
        on_step=lambda done, total: heard.append(done),
        should_stop=lambda: len(heard) == 3,
    )
    assert stopped is None and heard == [1, 2, 3]


def test_weights_bring_it_along(trained: weights.Weights, tmp_path: Path) -> None:
    assert isinstance(trained.encoder, Encoder)
    path = tmp_path / "copy.safetensors"
    arguments = (trained.generator, trained.description, trained.metric, trained.encoder)
    weights.save_weights(path, *arguments)
    again = weights.load_weights(path).encoder
    assert isinstance(again, Encoder) and again.dense.weight.equal(trained.encoder.dense.weight)
    weights.save_weights(path, trained.generator, trained.description, trained.metric)
    assert weights.load_weights(path).encoder is None


def test_an_encoder_of_another_shape_is_refused(trained: weights.Weights, tmp_path: Path) -> None:
    path = tmp_path / "wrong.safetensors"
    other = Encoder(56, (16,))
    weights.save_weights(path, trained.generator, trained.description, trained.metric, other)
    with pytest.raises(WeightsError, match="does not match its architecture"):
        weights.load_weights(path)


@pytest.mark.parametrize("size", [14, 15, 28, 31, 32, 56, 100, 112, 128])
def test_its_maps_fit_every_size(size: int) -> None:
    encoder = Encoder(size, (2, 5))
    assert encoder(torch.zeros(3, 3, size, size)).shape == (3, 2, 5)


@pytest.mark.parametrize(("size", "maps"), [(28, 3), (56, 4), (112, 5)])
def test_it_ends_on_three_pixels_as_in_the_weights_that_ship(size: int, maps: int) -> None:
    encoder = Encoder(size, (400,))
    assert len(encoder.convs) == maps and encoder.dense.in_features == 256 * 3 * 3


def test_a_good_start_saves_evaluations(
    generator: Drawer, trained: weights.Weights, taught: Encoder
) -> None:
    with torch.no_grad():
        targets = generator(latent.draw_latents(generator, range(6)))
    few = InvertConfig("fast")
    helped = invert(generator, targets, few, coordinates=trained.coordinates, encoder=taught)
    alone = invert(generator, targets, few, coordinates=trained.coordinates)
    assert float(helped.psnr.mean()) > float(alone.psnr.mean()) + 1
    assert int(helped.evaluations.max()) <= few.effort(Inverting()).steps


def test_coordinates_of_even_effect(generator: Drawer) -> None:
    metric = latent_metric(generator)
    way = Coordinates.of(metric)
    to_latent = way.to_latent
    torch.testing.assert_close(to_latent @ way.to_even, torch.eye(16), rtol=0, atol=1e-4)
    effects = torch.linalg.eigvalsh(to_latent.T @ metric @ to_latent)
    before = torch.linalg.eigvalsh(metric)
    assert float(effects.max() / effects.min()) < float(before.max() / before.min())


def test_a_run_stopped_at_its_encoder_goes_on(face_folder: Path, tmp_path: Path) -> None:
    at_encoder: list[int] = []
    options = {"out": tmp_path, "kimg": 0.1, "name": "late", **QUICK}
    stopped = neuralid.train(
        face_folder,
        **options,
        on_encoder=lambda done, total: at_encoder.append(done),
        should_stop=lambda: bool(at_encoder),
    )
    assert at_encoder and not stopped.finished and stopped.weights is None
    resumed = neuralid.train(resume=str(stopped.run), out=tmp_path)
    assert resumed.weights is not None
    assert weights.load_weights(resumed.weights).encoder is not None
