"""The metrics on sets whose answer is known: equal, of one kind, shifted, collapsed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm  # type: ignore[import-untyped]
from scipy.ndimage import correlate1d  # type: ignore[import-untyped]
from scipy.spatial.distance import cdist  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn import functional as F

from neuralid.latents import latent
from neuralid.models.drawing import Drawer, draw_faces
from neuralid.training.metrics import manifolds
from neuralid.training.metrics.case import Case
from neuralid.training.metrics.diversity import diversity
from neuralid.training.metrics.features import Faces, random_features, whitening
from neuralid.training.metrics.frechet import fd_random, frechet_distance
from neuralid.training.metrics.inversion import INVERTED, inversion_psnr, memory_psnr
from neuralid.training.metrics.manifolds import Distances
from neuralid.training.metrics.sets import RealFaces, shuffle_indices
from neuralid.training.metrics.table import METRICS, groups
from neuralid.training.metrics.wasserstein import pyramid, sliced_wasserstein


@pytest.fixture(autouse=True)
def quick_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of conftest's: here only searches end early, and all else is measured in full."""
    monkeypatch.setattr("neuralid.training.metrics.inversion.STEPS", 2)


def gaussians(n: int, shift: float = 0, scale: float = 1, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, 8, generator=rng) * scale + shift


def pictures(n: int, seed: int = 0, size: int = 28) -> Tensor:
    """Smooth random pictures with a little noise."""
    rng = torch.Generator().manual_seed(seed)
    smooth = torch.rand(n, 3, 7, 7, generator=rng) - 0.5
    large = F.interpolate(smooth, size=size, mode="bicubic")
    return (large + 0.02 * torch.randn(large.shape, generator=rng)).clamp(-0.5, 0.5)


def counted(real: Tensor, fake: Tensor) -> dict[str, float]:
    """All metrics that count neighbours."""
    d = Distances.of(real, fake)
    return {
        "precision": manifolds.precision(d),
        "recall": manifolds.recall(d),
        "density": manifolds.density(d),
        "coverage": manifolds.coverage(d),
        "one_nn": manifolds.nearest_neighbour_accuracy(d),
    }


def test_the_distance_of_gaussians_is_the_formulas() -> None:
    same = frechet_distance(gaussians(20_000), gaussians(20_000, seed=1))
    assert same == pytest.approx(0, abs=0.01)
    shifted = frechet_distance(gaussians(20_000), gaussians(20_000, shift=0.5, seed=1))
    assert shifted == pytest.approx(8 * 0.25, rel=0.05)
    wider = frechet_distance(gaussians(20_000), gaussians(20_000, scale=3, seed=1))
    assert wider == pytest.approx(8 * (3 - 1) ** 2, rel=0.05)


def test_the_distance_of_gaussians_that_lie_askew_is_the_formulas() -> None:
    rng = torch.Generator().manual_seed(2)
    a, b = (
        gaussians(500, seed=i).double() @ torch.randn(8, 8, generator=rng).double() + i
        for i in range(2)
    )
    root = sqrtm(np.cov(a.numpy().T) @ np.cov(b.numpy().T)).real
    spread = np.trace(np.cov(a.numpy().T) + np.cov(b.numpy().T) - 2 * root)
    wanted = float((a.mean(0) - b.mean(0)).square().sum()) + spread
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-6)
    assert frechet_distance(a, a + 3) == pytest.approx(8 * 9, rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_equal_sets_are_near_and_blurred_or_collapsed_ones_far() -> None:
    rng = torch.Generator().manual_seed(0)
    faces = torch.rand(600, 3, 28, 28, generator=rng) - 0.5
    floor = fd_random(faces[:300], faces[300:])
    blurred = F.avg_pool2d(faces[300:], 3, 1, 1)
    collapsed = faces[300:301].expand(300, -1, -1, -1)
    assert fd_random(faces[:300], blurred) > 5 * floor
    assert fd_random(faces[:300], collapsed) > 5 * floor
    assert fd_random(faces, faces) == pytest.approx(0, abs=1e-4)


def test_the_random_network_is_the_same_for_ever_and_leaves_the_random_state() -> None:
    state = torch.random.get_rng_state()
    features = random_features(pictures(4))
    assert features.shape == (4, 128)
    assert torch.random.get_rng_state().equal(state)
    # Floors and scores of old runs are compared with new ones: these figures must not change.
    assert features.mean().item() == pytest.approx(0.08058, abs=1e-4)
    assert features.std().item() == pytest.approx(0.13209, abs=1e-4)


def test_whitened_features_are_about_equally_wide() -> None:
    rng = torch.Generator().manual_seed(0)
    uneven = torch.randn(4000, 8, generator=rng) * torch.logspace(0, 1, 8)
    before, after = (x.T.cov().diagonal() for x in (uneven, uneven @ whitening(uneven)))
    assert before.max() / before.min() > 50
    assert after.max() / after[3:].min() < 1.5 and after.isfinite().all()
    assert whitening(torch.zeros(5, 8)).isfinite().all()


def test_counting_neighbours_by_hand() -> None:
    # On a line. With k = 1 the radii of the real ones are 1, 1, 3, of the drawn ones 4, 4, 9.
    d = Distances.of(torch.tensor([[0.0], [1], [4]]), torch.tensor([[0.5], [4.5], [13.5]]))
    assert manifolds.precision(d, k=1) == pytest.approx(2 / 3)
    assert manifolds.recall(d, k=1) == 1
    assert manifolds.density(d, k=1) == pytest.approx(3 / 3)  # 0.5 in two, 4.5 in one
    assert manifolds.coverage(d, k=1) == 1
    # Each has one of the other set nearest, but for 13.5, whose nearest is 4.5: 0 of 3, 1 of 3.
    assert manifolds.nearest_neighbour_accuracy(d) == pytest.approx(1 / 6)


def test_neighbours_are_the_third_and_the_fifth_as_in_the_papers() -> None:
    real, fake = gaussians(60), gaussians(50, shift=0.4, seed=1)
    own, others = (np.sort(cdist(x, x), axis=1) for x in (real, fake))  # itself first
    apart = cdist(real, fake)
    wanted = {
        "precision": (apart <= own[:, 3:4]).any(0).mean(),
        "recall": (apart <= others[:, 3]).any(1).mean(),
        "density": (apart <= own[:, 5:6]).sum(0).mean() / 5,
        "coverage": (apart.min(1) <= own[:, 5]).mean(),
    }
    found = counted(real, fake)
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)


def test_whitening_adds_a_tenth_of_the_mean_variance() -> None:
    x = gaussians(200).double() @ torch.diag(torch.logspace(0, 2, 8, dtype=torch.float64))
    values, vectors = np.linalg.eigh(np.cov(x.numpy().T))
    wanted = vectors / np.sqrt(values + values.mean() / 10) @ vectors.T
    np.testing.assert_allclose(whitening(x), wanted, rtol=1e-6, atol=1e-9)


def test_equal_sets() -> None:
    a = gaussians(300)
    wanted = {"precision": 1, "recall": 1, "density": 6 / 5, "coverage": 1, "one_nn": 0}
    assert counted(a, a.clone()) == pytest.approx(wanted)
    faces = pictures(40)
    assert sliced_wasserstein(faces, faces.clone()) == (0, 0)


def test_sets_of_one_kind_cannot_be_told_apart() -> None:
    found = counted(gaussians(1000), gaussians(1000, seed=1))
    assert found["one_nn"] == pytest.approx(0.5, abs=0.05)
    assert found["density"] == pytest.approx(1, abs=0.1)
    assert found["coverage"] == pytest.approx(1 - 0.5**5, abs=0.02)
    assert found["precision"] == pytest.approx(found["recall"], abs=0.06)


def test_shifted_sets_are_apart() -> None:
    wanted = {"precision": 0, "recall": 0, "density": 0, "coverage": 0, "one_nn": 1}
    assert counted(gaussians(300), gaussians(300, shift=20, seed=1)) == wanted


def test_a_collapsed_set_is_precise_and_covers_nothing() -> None:
    real = gaussians(300)
    centre = real[real.norm(dim=1).argmin()]
    found = counted(real, centre + 1e-3 * gaussians(300, seed=1))
    assert found["precision"] == 1 and found["density"] > 1
    assert found["recall"] < 0.02 and found["coverage"] < 0.2
    assert found["one_nn"] > 0.95


def test_one_of_two_kinds_left_out_halves_recall_and_coverage() -> None:
    both = torch.cat([gaussians(200), gaussians(200, shift=20, seed=1)])
    found = counted(both, gaussians(400, seed=2))
    assert found["precision"] > 0.5
    assert found["recall"] < 0.5 and 0.45 < found["coverage"] <= 0.5


def test_the_pyramid_takes_faces_apart_by_detail() -> None:
    flat = torch.full((2, 3, 28, 28), 0.25)
    detail, half = pyramid(flat)
    assert half.shape == (2, 3, 14, 14)
    torch.testing.assert_close(half, torch.full_like(half, 0.25))
    assert detail.abs().max() < 1e-6
    chequered = 0.5 * (-1.0) ** (torch.arange(28)[:, None] + torch.arange(28)).expand(2, 3, -1, -1)
    detail, half = pyramid(chequered)
    assert half.abs().max() < 1e-6
    torch.testing.assert_close(detail, chequered)


def test_sliced_wasserstein_sees_what_is_lost_at_each_size() -> None:
    faces, others = pictures(120), pictures(120, seed=1)
    floor_full, floor_half = sliced_wasserstein(faces, others)
    noise = 0.1 * torch.randn(others.shape, generator=torch.Generator().manual_seed(2))
    full, half = sliced_wasserstein(faces, others + noise)
    assert full > 2 * floor_full and half == pytest.approx(floor_half, rel=0.1)
    full, half = sliced_wasserstein(faces, others[:1].expand(120, -1, -1, -1))  # collapsed
    assert full > 3 * floor_full and half > 5 * floor_half
    full, half = sliced_wasserstein(faces, others.abs() - 0.25)
    assert full > 1.5 * floor_full and half > 1.2 * floor_half
    # As in the paper each set's colours are evened out first: their brightness does not matter.
    assert sliced_wasserstein(faces, faces / 2 + 0.1) == pytest.approx((0, 0), abs=0.05)


def test_sliced_wasserstein_is_the_formula_times_1000() -> None:
    """At 14 pixels the half size has 7, as many as a patch: there is no choice of places."""
    one, other = pictures(40, size=14), pictures(40, seed=1, size=14) ** 3
    sets = []
    for faces in (one, other):
        half = faces.numpy().astype(float)
        for axis in (2, 3):
            half = correlate1d(half, np.array([1, 4, 6, 4, 1]) / 16, axis, mode="mirror")
        half = half[:, :, ::2, ::2]
        half = (half - half.mean((0, 2, 3), keepdims=True)) / half.std((0, 2, 3), keepdims=True)
        sets.append(half.reshape(40, -1))
    directions = np.random.default_rng(0).normal(size=(4000, 147))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    x, y = (np.sort(directions @ each.T, axis=1) for each in sets)
    wanted = 1000 * np.abs(x - y).mean()
    assert sliced_wasserstein(one, other)[1] == pytest.approx(wanted, rel=0.1)


def test_diversity_is_1_for_a_collapsed_set_and_low_for_unlike_faces() -> None:
    faces = pictures(300)
    assert diversity(faces[:1].expand(300, -1, -1, -1)) == pytest.approx(1)
    unlike = diversity(faces)
    assert unlike < 0.3
    assert unlike < diversity(0.3 * faces + 0.7 * faces[:1]) < 0.99


def test_the_floor_of_inversion_is_the_nearest_other_face() -> None:
    faces = pictures(5)
    others = torch.cat([pictures(20, seed=1), faces + 0.1])
    assert memory_psnr(faces, others) == pytest.approx(20, abs=0.01)
    others[-5:] -= 0.09 * torch.tensor([1.0, 1, 1, 0, 0]).view(5, 1, 1, 1)  # 40 dB for three of 5
    assert memory_psnr(faces, others) == pytest.approx(32, abs=0.01)
    assert memory_psnr(faces, pictures(20, seed=1)) < 15


def test_a_generators_own_faces_are_found_again(
    generator: Drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuralid.training.metrics.inversion.STEPS", 20)
    own = draw_faces(generator, latent.draw_latents(generator, range(4)))
    other = draw_faces(generator, torch.zeros(1, generator.config.latent_size))
    assert inversion_psnr(generator, own, "fp32") > memory_psnr(own, other) + 3
    assert inversion_psnr(generator, pictures(4), "fp32") < 25
    each = [inversion_psnr(generator, face[None], "fp32") for face in (*own[:2], *pictures(1))]
    together = inversion_psnr(generator, torch.cat([own[:2], pictures(1)]), "fp32")
    assert together == pytest.approx(sum(each) / 3, abs=0.5) and max(each) > together + 3


@pytest.mark.parametrize(("held_out", "training", "each"), [(3, 61, 32), (0, 4, 2), (40, 900, 25)])
def test_real_faces_are_chosen_held_out_ones_first(held_out: int, training: int, each: int) -> None:
    images = np.arange(held_out + training, dtype=np.int64)[:, None, None, None]
    images = (images * [1, 256, 0]).clip(0, None).repeat(28, 1).repeat(28, 2)
    images = np.stack([images[..., 0] % 256, images[..., 0] // 256, images[..., 2]], -1)
    images = images.astype(np.uint8)
    parts = np.arange(held_out, held_out + training), np.arange(held_out)
    real = RealFaces.choose(images, *parts, most=25 if held_out == 40 else 1000)

    def shown(faces: Tensor) -> list[int]:
        red, green, _ = ((faces[:, :, 0, 0] + 0.5) * 255).round().int().T.tolist()
        return [r + 256 * g for r, g in zip(red, green, strict=True)]

    faces, others = shown(real.faces.pictures), shown(real.others.pictures)
    assert len(faces) == len(others) == each
    assert not set(faces) & set(others) and len(set(faces + others)) == 2 * each
    known = min(each, held_out)
    assert all(i < held_out for i in faces[:known]) and len(real.held_out) == known
    assert real.held_out.equal(real.faces.pictures[:known])
    assert shuffle_indices(*parts).tolist() == shuffle_indices(*parts).tolist()


def test_every_group_measures_what_the_table_names_even_of_two_faces(
    generator: Drawer,
) -> None:
    faces, others = pictures(2), pictures(2, seed=1)
    real = RealFaces(Faces(faces), Faces(others), faces[:1])
    case = Case(real, Faces(pictures(2, seed=2)), generator)
    values: dict[str, float] = {}
    for group in groups():
        found, floors = group.measure(case), group.find_floor(case)
        assert found.keys() == floors.keys()
        assert found.keys() == {name for name, metric in METRICS.items() if metric.group is group}
        values |= found | {f"floor of {name}": value for name, value in floors.items()}
    assert all(math.isfinite(value) for value in values.values())
    assert {metric.better for metric in METRICS.values()} == {"lower", "higher"}


def test_a_floor_is_that_of_other_real_faces_or_the_groups_own(
    generator: Drawer,
) -> None:
    faces, others = pictures(20), pictures(20, seed=1)
    case = Case(RealFaces(Faces(faces), Faces(others), faces), Faces(others + 0.1), generator)
    floors: dict[str, float] = {}
    for group in groups():
        floors |= group.find_floor(case)
    assert floors["fd_random"] == fd_random(faces, others)
    assert floors["ms_ssim"] == diversity(others)
    assert floors["inversion_psnr"] == memory_psnr(faces, others)


def test_inversion_is_measured_on_held_out_faces_only() -> None:
    faces = Faces(pictures(40))
    counts = [
        METRICS["inversion_psnr"].group.count(RealFaces(faces, faces, faces.pictures[:kept]))
        for kept in (0, 3, 40)
    ]
    assert counts == [0, 3, INVERTED]
