"""The batched L-BFGS against known minima, and against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize as scipy_minimize  # type: ignore[import-untyped]
from torch import Tensor

from neuralid.latents.lbfgs import Objective, minimize


def with_gradient(function: object) -> Objective:
    def objective(x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_(True)
        losses = function(x)  # type: ignore[operator]
        (gradient,) = torch.autograd.grad(losses.sum(), x)
        return losses.detach(), gradient

    return objective


def rosenbrock(x: Tensor) -> Tensor:
    return (100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1 - x[:, :-1]) ** 2).sum(1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(2, 12))
def test_quadratics_of_different_scale_are_solved_side_by_side(seed: int, n: int, z: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    root = torch.randn(n, z, z, generator=rng, dtype=torch.float64)
    matrix = root @ root.mT + torch.eye(z, dtype=torch.float64)
    matrix *= 10.0 ** torch.arange(n, dtype=torch.float64).view(-1, 1, 1)
    centre = torch.randn(n, z, generator=rng, dtype=torch.float64)

    def quadratic(x: Tensor) -> Tensor:
        d = x - centre
        return torch.einsum("ni,nij,nj->n", d, matrix, d)

    found = minimize(with_gradient(quadratic), torch.zeros(n, z, dtype=torch.float64), 200)
    torch.testing.assert_close(found.x, centre, rtol=1e-3, atol=1e-3)


def test_rosenbrocks_valley_is_followed_about_as_fast_as_scipy_does() -> None:
    start = np.array([-1.2, 1.0, -0.5, 0.8])
    found = minimize(with_gradient(rosenbrock), torch.tensor(start)[None], 200, tolerance=1e-12)

    def single(x: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = with_gradient(rosenbrock)(torch.tensor(x)[None])
        return float(loss), gradient[0].numpy()

    theirs = scipy_minimize(single, start, jac=True, method="L-BFGS-B")
    assert float(found.loss) < 1e-6
    assert int(found.evaluations) < 2 * theirs.nfev + 20


def test_a_row_does_not_depend_on_the_others() -> None:
    starts = torch.tensor([[-1.2, 1.0], [3.0, -2.0], [0.5, 0.5]], dtype=torch.float64)
    together = minimize(with_gradient(rosenbrock), starts, 25)
    for i in range(3):
        alone = minimize(with_gradient(rosenbrock), starts[i : i + 1], 25)
        torch.testing.assert_close(together.x[i], alone.x[0])


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_points_without_a_finite_loss_are_stepped_back_from(poison: float) -> None:
    def walled(x: Tensor) -> tuple[Tensor, Tensor]:
        losses = (x - 2).square().sum(1)
        beyond = x.norm(dim=1) > 1
        return torch.where(beyond, losses * poison, losses), 2 * (x - 2)

    found = minimize(walled, torch.zeros(2, 3), 60)
    assert found.x.isfinite().all()
    assert (found.loss < 12).all() and found.loss.isfinite().all()
    assert (found.x.norm(dim=1) <= 1).all()


def test_the_loss_never_rises_and_every_round_is_heard_of() -> None:
    heard: list[tuple[int, float]] = []
    minimize(
        with_gradient(rosenbrock),
        torch.tensor([[-1.2, 1.0]]),
        30,
        on_round=lambda done, loss: heard.append((done, float(loss))),
    )
    losses = [loss for _, loss in heard]
    assert losses == sorted(losses, reverse=True)
    assert [done for done, _ in heard][-1] == 30


def test_a_start_at_the_minimum_is_kept() -> None:
    found = minimize(with_gradient(lambda x: x.square().sum(1)), torch.zeros(1, 4), 10)
    assert found.x.equal(torch.zeros(1, 4))


def test_unknowns_of_unlike_scale_take_as_few_evaluations_as_scipys_need() -> None:
    """The initial matrix is scaled by the newest step (equation 7.20)."""
    scales = torch.logspace(0, 3, 20, dtype=torch.float64)
    centre = torch.linspace(-1, 1, 20, dtype=torch.float64)
    objective = with_gradient(lambda x: (scales * (x - centre) ** 2).sum(1))
    heard: list[float] = []
    start = torch.zeros(1, 20, dtype=torch.float64)
    minimize(objective, start, 200, on_round=lambda done, loss: heard.append(float(loss)))

    def single(x: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = objective(torch.tensor(x)[None])
        theirs.append(float(loss))
        return float(loss), gradient[0].numpy()

    theirs: list[float] = []
    scipy_minimize(single, start[0].numpy(), jac=True, method="L-BFGS-B", options={"ftol": 0})
    ours, needed = ([loss < 1e-3 for loss in each].index(True) for each in (heard, theirs))
    assert 50 < ours <= 1.1 * needed


def test_a_step_far_too_long_is_cut_twice_and_then_ends_at_the_parabolas_minimum() -> None:
    """The first step is 1 long and the minimum 0.02 away: it is cut to a tenth, then to that."""
    found = minimize(with_gradient(lambda x: x.square().sum(1) / 2), torch.tensor([[0.02]]), 4)
    assert float(found.x) == pytest.approx(0, abs=1e-7) and found.evaluations.tolist() == [4]
