"""Face -> latent, on the tiny trained generator."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from neuralid import weights
from neuralid.core.errors import ConfigError
from neuralid.latents import latent
from neuralid.latents.config import InvertConfig
from neuralid.latents.coordinates import Coordinates, latent_metric
from neuralid.latents.inversion import invert
from neuralid.models import dcgan
from neuralid.models.drawing import Drawer
from neuralid.models.encoder import Encoder
from neuralid.pictures.quality import psnr


def faces(generator: Drawer, seeds: range) -> Tensor:
    with torch.no_grad():
        return generator(latent.draw_latents(generator, seeds))


def test_generated_faces_are_found_again(generator: Drawer, trained: weights.Weights) -> None:
    targets = faces(generator, range(4))
    found = invert(generator, targets, coordinates=trained.coordinates)
    assert float(found.psnr.min()) > 35
    others = psnr(faces(generator, range(10, 14)), targets)
    assert float(others.max()) < 30
    torch.testing.assert_close(psnr(found.faces, targets), found.psnr)


def test_the_metric_evens_out_directions_of_different_effect(generator: Drawer) -> None:
    uneven = copy.deepcopy(generator)
    assert isinstance(uneven, dcgan.FoldedGenerator)
    uneven.dense_weight *= torch.logspace(0, -2, 16)
    targets = faces(generator, range(6))
    few = InvertConfig(steps=15)
    plain = invert(uneven, targets, few).psnr.mean()
    even = Coordinates.of(latent_metric(uneven))
    helped = invert(uneven, targets, few, coordinates=even).psnr.mean()
    assert float(helped) > float(plain) + 0.3


def test_the_metric_is_the_mean_of_the_squared_jacobian(generator: Drawer) -> None:
    metric = latent_metric(generator, batch=100)
    torch.testing.assert_close(metric, metric.T)
    assert float(torch.linalg.eigvalsh(metric).min()) > 0

    def jacobian(z: Tensor, reach: float = 1e-2) -> Tensor:
        steps = reach * torch.eye(16)
        with torch.no_grad():
            return ((generator(z + steps) - generator(z - steps)) / (2 * reach)).flatten(1).T

    jacobians = [jacobian(z) for z in latent.draw_latents(generator, range(40))]
    exact = torch.stack([j.T @ j for j in jacobians]).mean(0)
    agreement = (metric * exact).sum() / (metric.norm() * exact.norm())
    assert float(agreement) > 0.8
    assert float(metric.trace() / exact.trace()) == pytest.approx(1, abs=0.3)


def test_the_prior_shortens_latents_and_costs_little(generator: Drawer) -> None:
    rng = torch.Generator().manual_seed(1)
    targets = (faces(generator, range(3)) + 0.05 * torch.randn(3, 3, 28, 28, generator=rng)) * 1.2
    free, held = (invert(generator, targets, InvertConfig(prior=p)) for p in (0.0, 0.1))
    assert bool((held.latents.norm(dim=1) < free.latents.norm(dim=1)).all())
    assert float(held.psnr.min() - free.psnr.min()) > -1


def test_more_steps_never_make_it_worse(generator: Drawer) -> None:
    targets = torch.rand(2, 3, 28, 28, generator=torch.Generator().manual_seed(0)) - 0.5
    configs = [InvertConfig(steps=n, prior=0) for n in (1, 5, 20)]
    found = [invert(generator, targets, config).psnr for config in configs]
    assert bool((found[0] <= found[1]).all()) and bool((found[1] <= found[2]).all())
    assert bool((found[2] > found[0]).all())


def test_the_latent_is_finite_whatever_the_face(generator: Drawer) -> None:
    targets = torch.stack([torch.full((3, 28, 28), v) for v in (-0.5, 0.5, float("nan"), 1e30)])
    found = invert(generator, targets, InvertConfig(steps=5))
    assert bool(found.latents.isfinite().all())


def test_every_round_is_heard_of(generator: Drawer) -> None:
    heard: list[tuple[int, int]] = []
    targets = faces(generator, range(1))
    invert(
        generator,
        targets,
        InvertConfig(steps=4),
        on_step=lambda done, total: heard.append((done, total)),
    )
    assert heard == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_search_starts_where_the_encoder_says(
    generator: Drawer, trained: weights.Weights
) -> None:
    """In coordinates in which no direction counts as another does."""
    targets = faces(generator, range(3))
    encoder = trained.encoder
    assert isinstance(encoder, Encoder) and isinstance(trained.coordinates, Coordinates)
    assert float((trained.coordinates.to_even - torch.eye(16)).abs().max()) > 0.1
    found = invert(
        generator,
        targets,
        InvertConfig(steps=1),
        coordinates=trained.coordinates,
        encoder=encoder,
    )
    torch.testing.assert_close(found.latents, encoder(targets), rtol=1e-4, atol=1e-4)


def test_coordinates_are_the_inverse_roots_of_effects_and_a_tenth_of_their_mean() -> None:
    effects = torch.tensor([0.01, 0.05, 0.24])
    turned, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))
    way = Coordinates.of((turned * effects) @ turned.T)
    lengths = 1 / (effects + 0.01).sqrt()
    wanted = (turned * lengths / lengths.mean()) @ turned.T
    torch.testing.assert_close(way.to_latent, wanted, rtol=1e-4, atol=1e-4)


def test_a_search_has_at_least_one_step() -> None:
    assert InvertConfig(steps=1).steps == 1
    with pytest.raises(ConfigError, match="steps"):
        InvertConfig(steps=0)
