"""Batch norm over the rows of all processes: on a CPU, where PyTorch has none.

Letters in shapes: N rows of this process, C channels, P processes.

References
----------
.. [1] S. Ioffe, C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
       Internal Covariate Shift", ICML 2015. arXiv:1502.03167 (algorithm 1, and the gradients
       below it)
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def synchronise(network: nn.Module) -> None:
    """Make every batch norm of a network compute its statistics over all processes.

    Parameters and buffers stay the same objects. All processes must have equally many rows. On a
    GPU this is PyTorch's own.
    """
    for parent in network.modules():
        for name, norm in parent.named_children():
            if type(norm) in _SYNCED:
                kind: Any = nn.SyncBatchNorm if norm.weight.is_cuda else _SYNCED[type(norm)]
                synced = kind(norm.num_features, norm.eps, norm.momentum)
                synced._parameters, synced._buffers = norm._parameters, norm._buffers
                setattr(parent, name, synced.train(norm.training))


class _Synced(nn.modules.batchnorm._BatchNorm):
    """Shape: ``(N, C) -> (N, C)``, or ``(N, C, H, W)`` to the same."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        mean, var, rows = _statistics(input.detach().float())
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var * (rows / (rows - 1)), self.momentum)  # unbiased, as torch's
        args = (input, self.weight, self.bias, mean, var, rows, self.eps)
        return _Normalise.apply(*args)  # type: ignore[no-untyped-call]


class SyncedBatchNorm1d(_Synced, nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` over all processes."""


class SyncedBatchNorm2d(_Synced, nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` over all processes."""


_SYNCED: dict[type[nn.Module], Any] = {
    nn.BatchNorm1d: SyncedBatchNorm1d,
    nn.BatchNorm2d: SyncedBatchNorm2d,
}


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Mean and (biased) variance ``(C,)`` over all processes, and the number of values."""
    size = dist.get_world_size()
    var, mean = torch.var_mean(x, _but_channels(x), correction=0)
    mine = torch.stack([mean, var])
    everyone = [torch.empty_like(mine) for _ in range(size)]
    dist.all_gather(everyone, mine)
    means, variances = torch.stack(everyone, 1)  # (P, C) each
    # The mean of the variances plus the variance of the means: this subtracts no large numbers.
    var, mean = torch.var_mean(means, 0, correction=0)
    return mean, variances.mean(0) + var, size * x.numel() // x.shape[1]


class _Normalise(torch.autograd.Function):
    """``weight * (x - mean) / sqrt(var + eps) + bias``, and its gradient [1]_.

    ``mean`` and ``var`` are statistics of all processes' ``x``, so the gradient with respect to
    ``x`` sums over them. Those with respect to ``weight`` and ``bias`` are this process's part.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        var: Tensor,
        rows: int,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, (var + eps).rsqrt())
        ctx.rows = rows
        return torch.batch_norm(x, weight, bias, mean, var, False, 0.0, eps, False)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale = ctx.saved_tensors
        dims, shape = _but_channels(x), (1, -1, *[1] * (x.ndim - 2))
        dy = gradient.float()
        normal = (x.float() - mean.view(shape)) * scale.view(shape)
        mine = torch.stack([dy.sum(dims), (dy * normal).sum(dims)])  # (2, C)
        whole = mine.clone()
        dist.all_reduce(whole)
        of_mean, of_scale = (whole / ctx.rows).view(2, *shape)
        dx = (dy - of_mean - normal * of_scale) * (weight * scale).view(shape)
        return dx.to(x.dtype), mine[1], mine[0], None, None, None, None


def _but_channels(x: Tensor) -> list[int]:
    return [dim for dim in range(x.ndim) if dim != 1]
