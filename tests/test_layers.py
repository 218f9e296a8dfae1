"""Latents by layer: whitened coordinates, the perceptual distance, search, tuning, the encoder."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import draw_face, fails, run
from torch import Tensor
from torch.nn import functional as F

import neuralid
from neuralid import weights
from neuralid.api._framing import Framing, frame_photo
from neuralid.faces.config import CropConfig, Frame
from neuralid.latents import latent
from neuralid.latents.adam import BETAS, EPSILON, Adam
from neuralid.latents.attributes import Attributes
from neuralid.latents.config import InvertConfig
from neuralid.latents.distance import Distance
from neuralid.latents.inversion import invert
from neuralid.latents.tuning import tune
from neuralid.latents.whitening import Whitening
from neuralid.models.architecture import REGISTERED, architecture
from neuralid.models.building import (
    build_discriminator,
    build_drawer,
    build_generator,
    build_perceptual,
)
from neuralid.models.config import ModelConfig
from neuralid.models.drawing import Drawer
from neuralid.models.encoder import LayerEncoder
from neuralid.models.inverting import Effort, Inverting
from neuralid.models.network import GeneratorNetwork, PerceptualNetwork
from neuralid.pictures import images
from neuralid.pictures.photo import Photo
from neuralid.pictures.quality import psnr
from neuralid.training.batches import Batches
from neuralid.training.config import TrainConfig
from neuralid.training.finish.directions import find_directions
from neuralid.training.finish.encoding import train_encoder

MODEL = ModelConfig(28, 16, architecture="style")
LAYERS = 6
PIXELS = Inverting()  # of the paper's network: nothing but pixels counts


def perceptual_network(seed: int = 1) -> PerceptualNetwork:
    network = build_perceptual(build_discriminator(MODEL, torch.Generator().manual_seed(seed)))
    assert network is not None
    return network


@pytest.fixture(scope="module")
def generator() -> GeneratorNetwork:
    """One that was never trained: its faces are blots, each of its own colours."""
    network = build_generator(MODEL, torch.Generator().manual_seed(0))
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def drawer(generator: GeneratorNetwork) -> Drawer:
    return build_drawer(generator)


@pytest.fixture(scope="module")
def way(generator: GeneratorNetwork) -> Whitening:
    return Whitening.of(generator)


@pytest.fixture(scope="module")
def perceptual() -> PerceptualNetwork:
    return perceptual_network()


@pytest.fixture(scope="module")
def file(
    generator: GeneratorNetwork,
    perceptual: PerceptualNetwork,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    path = tmp_path_factory.mktemp("layers") / "small.safetensors"
    described = weights.Description(MODEL, frame=Frame())
    weights.save_weights(path, generator, described, perceptual=perceptual)
    return path


def faces(drawer: Drawer, seeds: range) -> Tensor:
    with torch.no_grad():
        return drawer(latent.draw_latents(drawer, seeds)).clamp(-0.5, 0.5)


def test_whitened_latents_are_standard_normal_and_come_back(
    generator: GeneratorNetwork, way: Whitening
) -> None:
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        drawn = generator.latents(torch.randn(4000, 16, generator=rng))
    white = way.whiten(drawn)
    assert white.shape == (4000, LAYERS, 16)
    torch.testing.assert_close(way.latents(white), drawn, rtol=0, atol=1e-4)
    assert white[:, 0].equal(white[:, 5])
    torch.testing.assert_close(white[:, 0].mean(0), torch.zeros(16), rtol=0, atol=0.1)
    torch.testing.assert_close(torch.cov(white[:, 0].T), torch.eye(16), rtol=0, atol=0.15)
    again = Whitening.of(generator)
    assert again.mean.equal(way.mean) and again.to_white.equal(way.to_white)


def test_rows_that_differ_all_count() -> None:
    class TwoRows(GeneratorNetwork):
        def latents(self, noise: Tensor) -> Tensor:
            return torch.stack([noise, noise + 2], 1)

    network = TwoRows(MODEL, latent_shape=(2, 16))
    network.register_buffer("place", torch.zeros(1))
    way = Whitening.of(network)
    torch.testing.assert_close(way.mean, torch.ones(16), rtol=0, atol=0.05)
    covariance = way.to_latent.T @ way.to_latent  # ones of the noise, one between the rows
    torch.testing.assert_close(covariance, torch.eye(16) + torch.ones(16, 16), rtol=0, atol=0.1)


def test_the_perceptual_network_is_the_discriminators_first_blocks() -> None:
    discriminator = build_discriminator(
        replace(MODEL, size=112), torch.Generator().manual_seed(1)
    ).requires_grad_(False)
    network = build_perceptual(discriminator)
    assert network is not None
    pictures = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(2)) - 0.5
    found, ready = network(pictures), network.ready()(pictures)
    assert [x.shape[1:] for x in found] == [(8, 56, 56), (8, 28, 28), (16, 14, 14)]
    assert network.last == (16, 14)
    held = discriminator.state_dict()
    assert all(t.equal(held[name]) for name, t in network.state_dict().items())
    x = F.leaky_relu(apply(2 * pictures, held, "from_rgb", 1), 0.2)
    for i, (unit, quick) in enumerate(zip(found, ready, strict=True)):
        y = F.leaky_relu(apply(x, held, f"firsts.{i}", 3), 0.2)
        y = F.leaky_relu(F.avg_pool2d(apply(y, held, f"seconds.{i}", 3), 2), 0.2)
        skip = F.avg_pool2d(apply(x, held, f"skips.{i}", 1, gain=1), 2)
        x = (y + skip) / 2**0.5
        torch.testing.assert_close(unit, F.normalize(x, dim=1), rtol=0, atol=2e-4)
        torch.testing.assert_close(quick, unit, rtol=0, atol=1e-5)


def apply(x: Tensor, held: dict[str, Tensor], name: str, taps: int, gain: float = 2**0.5) -> Tensor:
    kernel = held[f"{name}.weight"]
    kernel = kernel * gain / (kernel.shape[1] * taps**2) ** 0.5
    return F.conv2d(x, kernel, held.get(f"{name}.bias"), padding=taps // 2)


def test_without_features_the_distance_is_that_of_pixels() -> None:
    rng = torch.Generator().manual_seed(0)
    one, two = torch.rand(2, 3, 3, 28, 28, generator=rng) - 0.5
    expected = (one - two).square().sum((1, 2, 3))
    torch.testing.assert_close(Distance(two, PIXELS, perceptual_network())(one), expected)


def test_corners_weigh_a_fifth_of_the_face() -> None:
    recipe = replace(PIXELS, background=0.2)
    black = torch.zeros(2, 3, 28, 28)
    dots = black.clone()
    dots[0, :, 14, 14] = dots[1, :, 0, 0] = 1
    middle, corner = Distance(black, recipe)(dots).tolist()
    assert middle == pytest.approx(3, abs=0.02) and corner == pytest.approx(0.6, abs=0.02)


def test_what_is_not_photo_weighs_nothing(perceptual: PerceptualNetwork) -> None:
    rng = torch.Generator().manual_seed(0)
    target, drawn = torch.rand(2, 1, 3, 28, 28, generator=rng) - 0.5
    inside = torch.ones(1, 1, 28, 28)
    inside[..., :9] = 0
    recipe = architecture("style").inverting
    distance = Distance(target, recipe, perceptual, inside)
    changed = drawn.clone()
    changed[..., :9] = torch.rand(3, 28, 9, generator=rng)
    assert distance(changed).equal(distance(drawn))
    same = torch.where(inside > 0, target, drawn)
    assert float(distance(same)) == 0 < float(distance(drawn))


def test_features_are_weighed_as_the_recipe_says(perceptual: PerceptualNetwork) -> None:
    rng = torch.Generator().manual_seed(0)
    one, two = torch.rand(2, 2, 3, 28, 28, generator=rng) - 0.5
    recipe = replace(PIXELS, features=3.0)
    pixels = (one - two).square().sum((1, 2, 3))
    pairs = zip(perceptual(one), perceptual(two), strict=True)
    parts = [(u - v).square().sum((1, 2, 3)) / u.shape[-1] ** 2 for u, v in pairs]
    expected = pixels + 3 * torch.stack(parts).sum(0)
    torch.testing.assert_close(Distance(two, recipe, perceptual)(one), expected)


def test_drawn_faces_are_found_again(
    drawer: Drawer, way: Whitening, perceptual: PerceptualNetwork
) -> None:
    targets = faces(drawer, range(4))
    config = InvertConfig(steps=60)
    found = invert(drawer, targets, config, coordinates=way, perceptual=perceptual)
    assert found.latents.shape == (4, LAYERS, 16)
    mean = drawer.truncate(found.latents, 0.0)
    with torch.no_grad():
        before = psnr(drawer(mean).clamp(-0.5, 0.5), targets)
    assert float((found.psnr - before).min()) > 5
    others = psnr(faces(drawer, range(10, 14)), targets)
    assert float((found.psnr - others).min()) > 5
    assert found.evaluations.tolist() == [60] * 4


def test_other_faces_of_the_batch_do_not_matter(
    drawer: Drawer, way: Whitening, perceptual: PerceptualNetwork
) -> None:
    targets, config = faces(drawer, range(3)), InvertConfig(steps=8)
    together = invert(drawer, targets, config, coordinates=way, perceptual=perceptual)
    alone = invert(drawer, targets[1:2], config, coordinates=way, perceptual=perceptual)
    torch.testing.assert_close(together.latents[1:2], alone.latents, rtol=0, atol=2e-3)


def test_a_face_that_is_no_number_keeps_its_start(drawer: Drawer, way: Whitening) -> None:
    targets = torch.stack([torch.full((3, 28, 28), v) for v in (0.5, float("nan"), 1e30)])
    heard: list[tuple[int, int]] = []
    found = invert(
        drawer,
        targets,
        InvertConfig(steps=3),
        coordinates=way,
        on_step=lambda done, total: heard.append((done, total)),
    )
    assert bool(found.latents.isfinite().all())
    mean = way.mean.expand(LAYERS, -1)
    torch.testing.assert_close(found.latents[1], mean)
    assert not found.latents[0].allclose(mean) and heard == [(1, 3), (2, 3), (3, 3)]


def test_prior_and_deviation_hold_latents_back(drawer: Drawer, way: Whitening) -> None:
    rng = torch.Generator().manual_seed(3)
    targets = torch.rand(2, 3, 28, 28, generator=rng) - 0.5
    free, held = (
        way.whiten(invert(drawer, targets, InvertConfig(steps=30, prior=p)).latents)
        for p in (0.0, 1.0)
    )
    assert float(held.norm()) < 0.7 * float(free.norm())
    assert float(free.std(1).mean()) > 0.01  # layers differ


def test_tuning_moves_all_but_the_mapping(
    generator: GeneratorNetwork, perceptual: PerceptualNetwork
) -> None:
    with torch.no_grad():
        pivots = generator.latents(torch.randn(2, 16, generator=torch.Generator().manual_seed(1)))
        wanted = (generator.from_latents(pivots).clamp(-0.4, 0.4) + 0.08).detach()
    inside = torch.ones(2, 1, 28, 28)
    inside[..., :6] = 0
    tuned = tune(generator, pivots, wanted, 30, perceptual=perceptual, inside=inside)
    before = generator.state_dict()
    for name, value in tuned.state_dict().items():
        assert value.equal(before[name]) == name.startswith(("mapping.", "w_mean")), name
    with torch.no_grad():
        old, new = (
            psnr(network.from_latents(pivots), wanted, inside) for network in (generator, tuned)
        )
    assert float((new - old).min()) > 5


@pytest.fixture(scope="module")
def taught(drawer: Drawer, way: Whitening, perceptual: PerceptualNetwork) -> LayerEncoder:
    return an_encoder(drawer, way, perceptual, 4)


def an_encoder(
    drawer: Drawer, way: Whitening, perceptual: PerceptualNetwork, kimg: float
) -> LayerEncoder:
    pixels = images.to_uint8(faces(drawer, range(500, 540)))
    batches = Batches(pixels, np.arange(40), seed=0, mirror=False)
    config = TrainConfig(kimg=kimg, batch=8)
    encoder = train_encoder(drawer, way, batches, config, "fp32", perceptual=perceptual)
    assert isinstance(encoder, LayerEncoder)
    return encoder


def test_an_encoder_of_layers_guesses_latents(
    drawer: Drawer, way: Whitening, perceptual: PerceptualNetwork, taught: LayerEncoder
) -> None:
    targets = faces(drawer, range(8))
    with torch.no_grad():
        found = taught(targets, perceptual(targets)[-1])
        drawn = drawer(found)
        mean = drawer(drawer.truncate(found, 0.0))
    assert found.shape == (8, LAYERS, 16)
    assert float(psnr(drawn, targets).mean()) > float(psnr(mean, targets).mean()) + 2
    few = InvertConfig(steps=2)
    ways = {"coordinates": way, "perceptual": perceptual}
    helped = invert(drawer, targets, few, encoder=taught, **ways)  # type: ignore[arg-type]
    alone = invert(drawer, targets, few, **ways)  # type: ignore[arg-type]
    assert float(helped.psnr.mean()) > float(alone.psnr.mean()) + 1


def test_an_encoder_of_layers_is_a_function_of_the_seed(
    drawer: Drawer, way: Whitening, perceptual: PerceptualNetwork
) -> None:
    one, two = (an_encoder(drawer, way, perceptual, 0.2).state_dict() for _ in range(2))
    assert all(value.equal(two[name]) for name, value in one.items())


def test_an_affine_map_goes_into_the_last_layers(way: Whitening) -> None:
    encoder = LayerEncoder((12, 7), (LAYERS, 16))
    encoder.init_weights(torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(1)
    given = torch.rand(2, 3, 28, 28, generator=rng) - 0.5, torch.rand(2, 12, 7, 7, generator=rng)
    with torch.no_grad():
        before = encoder(*given)
        encoder.append(way.to_latent, way.mean)
        torch.testing.assert_close(encoder(*given), way.latents(before), rtol=0, atol=1e-5)


def test_weights_hold_the_perceptual_network_and_the_encoder(
    generator: GeneratorNetwork,
    perceptual: PerceptualNetwork,
    taught: LayerEncoder,
    tmp_path: Path,
) -> None:
    path = tmp_path / "w.safetensors"
    described = weights.Description(MODEL)
    weights.save_weights(path, generator, described, encoder=taught, perceptual=perceptual)
    loaded = weights.load_weights(path)
    assert loaded.perceptual is not None and isinstance(loaded.encoder, LayerEncoder)
    for network, kept in ((loaded.perceptual, perceptual), (loaded.encoder, taught)):
        held = kept.state_dict()
        for name, value in network.state_dict().items():
            assert value.equal(held[name].half().float())
    assert isinstance(loaded.coordinates, Whitening)
    weights.save_weights(path, generator, described)  # as older ones: without either
    bare = weights.load_weights(path)
    assert bare.perceptual is None and bare.encoder is None
    found = invert(build_drawer(bare.generator), torch.zeros(1, 3, 28, 28), InvertConfig("fast"))
    assert bool(found.latents.isfinite().all())


def test_a_direction_is_the_same_in_each_layer(
    drawer: Drawer, way: Whitening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuralid.training.finish.reader.EPOCHS", 16)
    monkeypatch.setattr("neuralid.training.finish.directions.DRAWN", 300)
    pixels = images.to_uint8(faces(drawer, range(1000, 1200)))
    light = pixels.mean((1, 2, 3))[:, None].astype(np.float32)
    known = Attributes(["light"], light)
    found = find_directions(drawer, way, None, pixels, known)
    assert found is not None
    vector = found["light"].vector
    assert vector.shape == (LAYERS, 16) and vector.equal(vector[:1].expand(LAYERS, -1))
    z = latent.draw_latents(drawer, range(50))
    with torch.no_grad():
        before, after = (images.to_uint8(drawer(z + s * vector)) for s in (-0.5, 0.5))
    gain = after.astype(float).mean() - before.mean()
    assert 0.4 * float(light.std()) < gain < 2 * float(light.std())


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "p.png"
    draw_face(np.random.default_rng(3)).save(path)
    return path


def quick(monkeypatch: pytest.MonkeyPatch, tuning: int = 8) -> None:
    own = architecture("style")
    efforts = replace(
        own.inverting, balanced=Effort(4, tuning=tuning), high=Effort(8, tuning=2 * tuning)
    )
    monkeypatch.setitem(REGISTERED, "style", replace(own, inverting=efforts))


def test_balanced_tunes_too(file: Path, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, tuning=24)
    heard: list[tuple[int, int]] = []
    plain, tuned = (
        neuralid.invert(
            [picture, picture],
            fidelity=fidelity,
            align=False,
            model=file,
            on_step=lambda done, total: heard.append((done, total)),
        )[1]
        for fidelity in ("fast", "balanced")
    )
    assert tuned.psnr > plain.psnr + 1
    assert heard[-1] == (4 + 2 * 24, 4 + 2 * 24) and heard[11] == (12, 12)
    assert not tuned.model.is_tuned and tuned.model.weights.id == weights.load_weights(file).id


def test_a_mix_is_drawn_by_one_generator_tuned_to_all(
    file: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    other = tmp_path / "q.png"
    draw_face(np.random.default_rng(4)).save(other)
    mixed = neuralid.mix([picture, other], align=False, model=file, scale=1.0)
    assert mixed.model.is_tuned and mixed.latent.shape == (LAYERS, 16)
    kept = tmp_path / "kept.safetensors"
    mixed.model.save(kept)
    again = weights.load_weights(kept)
    assert again.perceptual is not None
    drawn = neuralid.open(kept).draw(mixed.latent[None])
    assert np.abs(drawn[0].astype(int) - mixed.image).max() <= 4  # the weights' half precision


def test_tuned_weights_are_saved_where_the_architecture_tunes(
    file: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    kept = tmp_path / "kept.safetensors"
    options = ("--no-align", "--weights", file, "--outdir", tmp_path, "--save-weights", kept)
    fails(run("invert", picture, "--fidelity", "fast", *options), 2, "--save-weights")
    done = run("invert", picture, *options)
    assert done.exit_code == 0, done.stderr
    (found,) = tmp_path.glob("*.latent.safetensors")
    assert latent.load_latent(found).weights_id == weights.load_weights(kept).id


def test_a_face_at_the_edge_says_what_of_it_is_photo() -> None:
    photo = Photo.read(np.full((60, 80, 3), 200, np.uint8))
    crop = CropConfig(60, delta_j=30)
    framed = frame_photo(photo, 28, Frame(), Framing(crop), lambda text: None)
    assert framed.inside is not None
    expected = np.ones((28, 28))
    expected[:, 19:] = 0  # 40 of 60 pixels are photo: 18.7 of 28
    expected[:, 18] = 2 / 3
    assert np.abs(framed.inside - expected).max() < 0.34
    assert framed.inside[:, :18].min() == 1 and framed.inside[:, 20:].max() == 0
    whole = frame_photo(photo, 28, Frame(), Framing(CropConfig(40)), lambda text: None)
    assert whole.inside is None


def test_what_lies_beyond_the_photo_does_not_change_what_is_found(
    drawer: Drawer, way: Whitening, perceptual: PerceptualNetwork
) -> None:
    target = faces(drawer, range(1)).repeat(2, 1, 1, 1)
    inside = torch.ones(2, 1, 28, 28)
    inside[..., :8] = 0
    rng = torch.Generator().manual_seed(0)
    striped = torch.where(inside > 0, target, torch.rand(2, 3, 28, 1, generator=rng) - 0.5)
    config = InvertConfig(steps=20)
    ways = {"coordinates": way, "perceptual": perceptual}
    blind = invert(drawer, striped, config, inside=inside, **ways)  # type: ignore[arg-type]
    fooled = invert(drawer, striped, config, **ways)  # type: ignore[arg-type]
    moved = [float((found.latents[0] - found.latents[1]).norm()) for found in (blind, fooled)]
    assert moved[0] < 0.3 * moved[1]
    torch.testing.assert_close(blind.psnr, psnr(blind.faces, target, inside))


def test_adam_is_pytorchs_with_the_rate_of_each_step() -> None:
    rng = torch.Generator().manual_seed(0)
    ours, theirs = (torch.ones(3, 4), torch.zeros(2)), (torch.ones(3, 4), torch.zeros(2))
    adam, optimizer = Adam(ours), torch.optim.Adam(theirs, betas=BETAS, eps=EPSILON)
    for step in range(7):
        gradients = [torch.randn(each.shape, generator=rng) for each in ours]
        adam.step(gradients, 0.1 / (step + 1))
        for each, gradient in zip(theirs, gradients, strict=True):
            each.grad = gradient
        optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
        optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_a_mix_does_not_import_the_compiler(trained: weights.Weights, photo: Path) -> None:
    """It takes a second, and PyTorch's optimisers do."""
    words = f"import sys, neuralid; neuralid.mix([{str(photo)!r}] * 2, model={str(trained.path)!r}"
    code = f"{words}, align=False, fidelity='high'); assert 'torch._dynamo' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
