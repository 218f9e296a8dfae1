"""The direction of an attribute in latent space: found on real faces, measured on drawn ones.

The paper leaves open "which elements of the vector are responsible for particular features"
(section 6). Letters in shapes: N faces, K attributes, L the latent's own shape, D numbers
in a latent, S side of a face.

References
----------
.. [1] Y. Shen et al., "Interpreting the Latent Space of GANs for Semantic Face Editing", CVPR 2020.
       arXiv:1907.10786 (linear models of attributes give directions)
.. [2] P.-O. Löwdin, "On the Non-Orthogonality Problem", 1950: the nearest orthonormal vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...core.device import device_of
from ...latents.attributes import Attributes, Direction
from ...latents.config import InvertConfig
from ...latents.coordinates import Coordinates
from ...latents.inversion import invert
from ...latents.latent import draw_latents
from ...latents.whitening import Whitening
from ...models.architecture import architecture
from ...models.drawing import Drawer, draw_faces
from ...models.encoder import Encoder, LayerEncoder
from ...models.network import PerceptualNetwork
from ...pictures.images import to_tensor
from .reader import count_steps, read, train_reader

INVERTED = 2048  # faces the linear model sees, at most
RIDGE = 0.03  # of the linear model, in units of its inputs' mean variance
ON_GPU = 8  # times as many faces are inverted together there
MEASURED = 192  # drawn faces that effects are measured on
FARTHEST = 1.2  # longest step tried, in distances of drawn latents from their mean

Report = Callable[[int, int], None]
_Ways = tuple[Coordinates | Whitening, Encoder | LayerEncoder | None, PerceptualNetwork | None]


def find_directions(
    drawer: Drawer,
    coordinates: Coordinates | Whitening,
    encoder: Encoder | LayerEncoder | None,
    faces: np.ndarray,
    attributes: Attributes,
    *,
    perceptual: PerceptualNetwork | None = None,
    seed: int = 0,
    precision: str = "fp32",
    on_step: Report = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Direction] | None:
    """A direction for each attribute, or None if ``should_stop()`` became true before the end.

    A linear model of the attributes on the latents of real faces gives the directions [1]_, which
    are made orthogonal to one another [2]_. Then a small network, trained on the real faces to
    read their attributes, tells how far along a direction the attribute changes by one standard
    deviation, and what else changes. A direction of a latent by layers is the same in each.

    Shape: faces uint8 ``(N, S, S, 3)``, those the generator was trained on.
    """
    labels, spread = attributes.standardised()
    order = np.random.default_rng(seed).permutation(len(faces))
    chosen = order[: min(INVERTED, len(faces))]
    work = _Work(-(-len(chosen) // _count_together(drawer)), len(faces), on_step, should_stop)

    ways = (coordinates, encoder, perceptual)
    latents = _invert_faces(drawer, ways, faces[chosen], precision, work)
    if latents is None:
        return None
    trained = train_reader(
        faces,
        labels,
        seed=seed,
        device=device_of(drawer),
        precision=precision,
        go_on=work.step,
    )
    if trained is None:
        return None
    network, accuracy = trained
    vectors = _orthonormalise(_regress(latents, labels[chosen], coordinates))
    vectors = vectors.view(-1, *drawer.latent_shape)
    found = {}
    for index, name in enumerate(attributes.names):
        length, changes = _measure(drawer, network, vectors[index], index)
        effects = dict(zip(attributes.names, (round(c, 3) for c in changes), strict=True))
        unit = round(float(spread[index]), 4)
        found[name] = Direction(vectors[index] * length, unit, round(accuracy[index], 3), effects)
    return found


@dataclass
class _Work:
    """Progress of the whole, in batches; the reader's come after the inversions."""

    inversions: int
    faces: int
    on_step: Report
    should_stop: Callable[[], bool]
    done: int = 0

    def step(self) -> bool:
        """Count one batch; returns whether to go on."""
        self.done += 1
        self.on_step(self.done, self.inversions + count_steps(self.faces))
        return not self.should_stop()


def _invert_faces(
    drawer: Drawer,
    ways: _Ways,
    faces: np.ndarray,
    precision: str,
    work: _Work,
) -> Tensor | None:
    """The faces' latents: ``(n, *L)``."""
    parts = []
    together = _count_together(drawer)
    for start in range(0, len(faces), together):
        targets = to_tensor(faces[start : start + together])
        parts.append(_invert(drawer, ways, targets, precision))
        if not work.step():
            return None
    return torch.cat(parts)


@torch.no_grad()
def _guess(encoder: LayerEncoder, eyes: PerceptualNetwork, faces: Tensor) -> Tensor:
    """Latents ``(n, *L)`` as an encoder of layers guesses them."""
    faces = faces.to(device_of(encoder))
    found: Tensor = encoder(faces, eyes(faces)[-1])
    return found.cpu()


def _invert(drawer: Drawer, ways: _Ways, faces: Tensor, precision: str) -> Tensor:
    """Latents ``(n, *L)``: a guess where that is good enough for a line through thousands."""
    coordinates, encoder, perceptual = ways
    if isinstance(encoder, LayerEncoder) and perceptual is not None:
        return _guess(encoder, perceptual, faces)
    config = InvertConfig("fast") if encoder is not None else InvertConfig(steps=20)
    found = invert(
        drawer,
        faces,
        config,
        coordinates=coordinates,
        encoder=encoder,
        perceptual=perceptual,
        precision=precision,
    )
    return found.latents


def _count_together(drawer: Drawer) -> int:
    """How many faces are inverted at a time: more where a batch costs little more than a face."""
    more = 1 if device_of(drawer).type == "cpu" else ON_GPU
    return more * architecture(drawer.config.architecture).inverting.together


def _regress(latents: Tensor, labels: Tensor, coordinates: Coordinates | Whitening) -> Tensor:
    """Ridge regression of each attribute on the latents: the direction in which it grows.

    It uses coordinates in which every direction moves the pixels about as much, so that what the
    eye does not see has little weight, or whitened ones of what a latent's layers share.

    Shape: ``(N, *L)``, ``(N, K)`` -> ``(K, D)``.
    """
    way = coordinates.to(latents.device)
    if isinstance(way, Coordinates):
        even = latents.flatten(1).double() @ way.to_even.double()
        return (_ridge(even, labels) @ way.to_latent.double()).float()
    shared = way.whiten(latents).mean(1).double()
    one = (_ridge(shared, labels) @ way.to_latent.double()).float()
    return one.repeat(1, latents.shape[1])


def _ridge(even: Tensor, labels: Tensor) -> Tensor:
    """Regression coefficients of each attribute: ``(N, D)``, ``(N, K)`` -> ``(K, D)``, float64."""
    rows = []
    for label in labels.double().T:
        known = label.isfinite()
        x = even[known] - even[known].mean(0)
        y = label[known] - label[known].mean()
        covariance = x.T @ x / len(x)
        ridge = RIDGE * covariance.diagonal().mean()
        held = covariance + ridge * torch.eye(len(covariance), dtype=torch.float64)
        rows.append(torch.linalg.solve(held, x.T @ y / len(x)))
    return torch.stack(rows)


def _orthonormalise(vectors: Tensor) -> Tensor:
    """The orthonormal vectors nearest to these, once scaled to length 1: ``(K, D)`` [2]_."""
    units = F.normalize(vectors.double(), dim=1)
    left, _, right = torch.linalg.svd(units, full_matrices=False)
    return (left @ right).float()


@torch.no_grad()
def _measure(
    drawer: Drawer, reader: Encoder, vector: Tensor, index: int
) -> tuple[float, list[float]]:
    """The length of step that changes the attribute by 1, and what it does to all attributes.

    A step's effect is half the difference between the step forwards and backwards, on drawn faces.
    """
    z = draw_latents(drawer, range(MEASURED))

    def changes(length: float) -> Tensor:
        ends = [draw_faces(drawer, z + sign * length * vector) for sign in (1, -1)]
        forth, back = (read(reader, faces).mean(0) for faces in ends)
        return (forth - back) / 2

    far = (z - drawer.truncate(z, 0.0)).flatten(1).square().sum(1).mean().sqrt()
    short, long = 0.0, FARTHEST * float(far)
    for _ in range(8):
        middle = (short + long) / 2
        if float(changes(middle)[index]) < 1:
            short = middle
        else:
            long = middle
    return long, changes(long).tolist()
