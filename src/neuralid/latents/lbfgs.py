"""L-BFGS for many independent problems at once: pure maths, no networks.

Each row of a batch is a problem of its own, with its own memory, step length and stop; they only
share the evaluation of the function, which is where the time goes. Every round evaluates each
running row once: at a new point if its last one was accepted, else closer.

Letters in shapes: N problems, Z unknowns each, M remembered steps.

References
----------
.. [1] J. Nocedal, S. Wright, "Numerical Optimization", 2nd ed., 2006: algorithms 7.4 (two-loop
       recursion) and 3.1 (backtracking), equation 7.20 (scaling of the initial matrix).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

ARMIJO = 1e-4  # least decrease accepted, as a fraction of what the slope predicts
SHRINK = (0.1, 0.5)  # a rejected step is cut to within these fractions of itself
GIVE_UP = 12  # consecutive rejections that show convergence, as far as floats go

Objective = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass
class Minimum:
    """Where each row ended. ``x`` is the best point seen; ``loss`` its value."""

    x: Tensor  # (N, Z)
    loss: Tensor  # (N,)
    evaluations: Tensor  # (N,), int64


def minimize(
    objective: Objective,
    start: Tensor,
    evaluations: int,
    *,
    memory: int = 10,
    tolerance: float = 0.0,
    on_round: Callable[[int, Tensor], None] | None = None,
) -> Minimum:
    """Minimise each row's loss from ``start``, in at most ``evaluations`` rounds.

    ``objective`` is called with all N points ``(N, Z)``, in fixed order, and returns their losses
    ``(N,)`` and gradients ``(N, Z)``. A row stops when a step lowers its loss by less than the
    fraction ``tolerance``, or when no step lowers it. Steps to losses or gradients that are not
    finite are rejected, so the result is finite if the start is. ``on_round(done, losses)`` is
    called after each round.

    Shape:
        - start: ``(N, Z)``
    """
    rows = _Rows(start, *objective(start), memory)
    for done in range(1, evaluations):
        if on_round is not None:
            on_round(done, rows.loss)
        if not bool(rows.running.any()):
            break
        rows.advance(objective, tolerance)
    if on_round is not None:
        on_round(evaluations, rows.loss)
    return Minimum(rows.x, rows.loss, rows.evaluations)


class _Rows:
    """The state of all rows: accepted points, and the step each is trying."""

    def __init__(self, x: Tensor, loss: Tensor, gradient: Tensor, memory: int) -> None:
        n, z = x.shape
        self.x, self.loss, self.gradient = x.clone(), loss.clone(), gradient.clone()
        self.steps = x.new_zeros(memory, n, z)  # s of [1]_, newest last
        self.changes = x.new_zeros(memory, n, z)  # y
        self.curvature = x.new_zeros(memory, n)  # 1 / (s . y); 0 where nothing is remembered
        self.scale = 1 / gradient.norm(dim=1).clamp_min(1e-12)  # of the initial matrix
        self.running = loss.isfinite() & gradient.isfinite().all(1)
        self.evaluations = torch.ones(n, dtype=torch.int64, device=x.device)
        self.rejections = torch.zeros(n, dtype=torch.int64, device=x.device)
        self.direction = self._descent()
        self.length = x.new_ones(n)

    def advance(self, objective: Objective, tolerance: float) -> None:
        """Try each running row's step; accept it and choose a new direction, or shorten it."""
        trial = self.x + self.length[:, None] * self.direction
        loss, gradient = objective(trial)
        self.evaluations += self.running
        slope = _dot(self.gradient, self.direction)
        finite = loss.isfinite() & gradient.isfinite().all(1)
        enough = loss <= self.loss + ARMIJO * self.length * slope
        accepted = self.running & finite & enough & (loss < self.loss)

        self._shorten(self.running & ~accepted, loss, slope, finite)
        gain = self.loss - loss
        self._accept(accepted, trial, loss, gradient)
        done = accepted & (gain <= tolerance * loss.abs())
        self.running &= ~done & (self.rejections < GIVE_UP)

    def _accept(self, rows: Tensor, x: Tensor, loss: Tensor, gradient: Tensor) -> None:
        self._remember(rows, x - self.x, gradient - self.gradient)
        self.x = torch.where(rows[:, None], x, self.x)
        self.loss = torch.where(rows, loss, self.loss)
        self.gradient = torch.where(rows[:, None], gradient, self.gradient)
        self.direction = torch.where(rows[:, None], self._descent(), self.direction)
        self.length = torch.where(rows, torch.ones_like(self.length), self.length)
        self.rejections = torch.where(rows, torch.zeros_like(self.rejections), self.rejections)

    def _shorten(self, rows: Tensor, loss: Tensor, slope: Tensor, finite: Tensor) -> None:
        """Shorten steps to the minimum of a parabola through what is known [1]_ (equation 3.58)."""
        parabola = -slope * self.length / (2 * (loss - self.loss - slope * self.length))
        factor = torch.where(finite, parabola.nan_to_num(SHRINK[0]), self.length.new_zeros(()))
        shorter = self.length * factor.clamp(*SHRINK)
        self.length = torch.where(rows, shorter, self.length)
        self.rejections = self.rejections + rows.long()

    def _remember(self, rows: Tensor, step: Tensor, change: Tensor) -> None:
        """Keep a step and its change of gradient, unless the loss curves down along it."""
        product = _dot(step, change)
        useful = rows & (product > 1e-10 * _dot(change, change).clamp_min(1e-30))
        inverse = torch.where(useful, 1 / product, torch.zeros_like(product))
        self.steps = _append(self.steps, step, useful)
        self.changes = _append(self.changes, change, useful)
        self.curvature = _append(self.curvature, inverse, useful)
        ratio = product / _dot(change, change)
        self.scale = torch.where(useful, ratio, self.scale)

    def _descent(self) -> Tensor:
        """The two-loop recursion for all rows; steepest descent where nothing is remembered."""
        direction = -self.gradient
        kept = []
        newest_first = range(len(self.steps) - 1, -1, -1)
        for i in newest_first:
            a = self.curvature[i] * _dot(self.steps[i], direction)
            direction = direction - a[:, None] * self.changes[i]
            kept.append(a)
        direction = direction * self.scale[:, None]
        for i, a in zip(reversed(newest_first), reversed(kept), strict=True):
            b = self.curvature[i] * _dot(self.changes[i], direction)
            direction = direction + (a - b)[:, None] * self.steps[i]
        return direction


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(1)


def _append(history: Tensor, newest: Tensor, rows: Tensor) -> Tensor:
    """Append to the history of ``rows``, dropping their oldest entry: ``(M, N, ...)``."""
    moved = torch.cat([history[1:], newest[None]])
    return torch.where(rows.view(1, -1, *[1] * (history.ndim - 2)), moved, history)
