"""Latents -> one latent: pure maths.

Letters in shapes: N latents, L layers of a latent that has some, Z latent size.

References
----------
.. [1] K. Werblinski, W. Garbarek, J. Kuczkowiak, "Neural Identities", 2019, section 5: the
       arithmetic mean.
.. [2] K. Shoemake, "Animating Rotation with Quaternion Curves", SIGGRAPH 1985: slerp.
.. [3] T. White, "Sampling Generative Networks", 2016. arXiv:1609.04468
.. [4] T. Karras et al., "A Style-Based Generator Architecture for Generative Adversarial
       Networks", CVPR 2019. arXiv:1812.04948 (section 3.1: style mixing)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..core.errors import ConfigError

BLENDS = ("mean", "rescaled", "slerp")


def mix_latents(
    latents: Tensor, weights: Sequence[float] | None = None, blend: str = "mean"
) -> Tensor:
    """Blend N latents into one. Weights are normalised to a sum of 1; None means equal ones.

    "mean" is the paper's arithmetic mean [1]_; "rescaled" is that mean, made as long as the
    latents are on average; "slerp" follows the arc between them, which keeps their length [3]_.

    Shape: ``(N, Z) -> (Z,)``; a latent with several axes is blended as one long vector.
    Raises `ConfigError`.

    >>> mix_latents(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), [3, 1])
    tensor([0.7500, 0.2500])
    """
    shares, rows, shape = normalised(weights, len(latents)), latents.flatten(1), latents.shape[1:]
    if blend == "mean":
        return (rows * shares[:, None].to(rows)).sum(0).view(shape)
    if blend == "rescaled":
        return _rescaled(rows, shares.to(rows)).view(shape)
    if blend == "slerp":
        return _slerp_all(rows, shares).view(shape)
    raise ConfigError(f"no blend '{blend}'", hint=f"there are {', '.join(BLENDS)}")


def with_style(latents: Tensor, style: Tensor, shape_layers: int) -> Tensor:
    """Each latent's first ``shape_layers`` layers, and the later ones of ``style`` [4]_.

    Shape: ``(..., L, Z)`` and ``(L, Z)`` -> ``(..., L, Z)``

    >>> with_style(torch.zeros(3, 1), torch.ones(3, 1), 2).flatten()
    tensor([0., 0., 1.])
    """
    later = style[shape_layers:].expand(*latents.shape[:-2], -1, -1)
    return torch.cat([latents[..., :shape_layers, :], later], dim=-2)


def normalised(weights: Sequence[float] | None, count: int) -> Tensor:
    """Weights as shares that sum to 1: ``(count,)``, float64.

    One weight for two latents is the second's share: 0 is all the first, 1 all the second.
    """
    if not weights:
        return torch.full((count,), 1 / count, dtype=torch.float64)
    if len(weights) == 1 and count == 2:
        if not 0 <= weights[0] <= 1:
            raise ConfigError(
                f"a single weight must be from 0 to 1, not {weights[0]:g}",
                hint="0.3 is 30% of the second",
            )
        weights = [1 - weights[0], weights[0]]
    if len(weights) != count:
        raise ConfigError(
            f"{len(weights)} weights for {count} inputs",
            hint="give one weight for each input, or, for two, one between 0 and 1",
        )
    values = torch.tensor(weights, dtype=torch.float64)
    if not bool((values >= 0).all()) or not 0 < values.sum() < float("inf"):
        raise ConfigError("weights must be at least 0, and not all 0", hint="one for each input")
    return values / values.sum()


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """From ``a`` (t = 0) to ``b`` (t = 1) along the arc [2]_, its length changing linearly.

    Where there is no arc (a zero vector, the same or the opposite direction), it follows the
    straight line.

    Shape: two of ``(Z,)`` -> ``(Z,)``.
    """
    length_a, length_b = a.norm(), b.norm()
    if length_a == 0 or length_b == 0:
        return torch.lerp(a, b, t)
    u, v = a / length_a, b / length_b
    angle = 2 * torch.atan2((u - v).norm(), (u + v).norm())  # exact for small angles too
    sine = angle.sin()
    if sine < 1e-6:
        return torch.lerp(a, b, t)
    arc = ((1 - t) * angle).sin() / sine * u + (t * angle).sin() / sine * v
    return arc * torch.lerp(length_a, length_b, t)


def along(latents: Tensor, count: int, blend: str = "mean") -> Tensor:
    """``count`` evenly spaced latents on the path through N, the first and the last included.

    Shape: ``(N, Z) -> (count, Z)``.
    """
    places = torch.linspace(0, len(latents) - 1, count).tolist()
    return torch.stack([_at(latents, place, place % 1, blend) for place in places])


def loop(latents: Tensor, count: int, blend: str = "mean") -> Tensor:
    """``count`` latents on the path through N and back to the first, for a film.

    Slow near each of the N, fast in between (a cosine). With two it goes there and back.

    Shape: ``(N, Z) -> (count, Z)``.
    """
    places = [i * len(latents) / count for i in range(count)]
    eased = [(1 - math.cos(math.pi * (place % 1))) / 2 for place in places]
    return torch.stack(
        [_at(latents, place, share, blend) for place, share in zip(places, eased, strict=True)]
    )


def _at(latents: Tensor, place: float, share: float, blend: str) -> Tensor:
    """Blend the latent at a place in the list with the next one, whose share is ``share``."""
    person = int(place)
    pair = latents[[person, (person + 1) % len(latents)]]
    return mix_latents(pair, [share], blend)


def _rescaled(latents: Tensor, shares: Tensor) -> Tensor:
    """The mean, made as long as the latents on average, unless it is about zero."""
    mean = (latents * shares[:, None]).sum(0)
    length = (latents.norm(dim=1) * shares).sum()
    return mean if mean.norm() < 1e-6 * length else mean * (length / mean.norm().clamp_min(1e-30))


def _slerp_all(latents: Tensor, shares: Tensor) -> Tensor:
    """Fold the latents in one after another, each by its share of those so far."""
    result, total = latents[0], float(shares[0])
    for latent, share in zip(latents[1:], shares[1:].tolist(), strict=True):
        total += share
        result = slerp(result, latent, share / total if total else 0.0)
    return result
