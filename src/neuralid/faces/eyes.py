"""Find the two eyes of one face. Places are (x, y) in pixels from the photo's upper left corner.

A network finds the eyes in a patch about a guess and corrects itself, a second one centres each eye
in a patch of its own.

Letters in shapes: N faces, H and W sides of the photo, P side of a patch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files as package_files

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..models.building import empty, fill
from ..models.finders import (
    EYE_PATCH,
    PATCH,
    EyeCentre,
    EyeLocator,
    FaceProposer,
)
from .config import Frame

VIEWED = Frame((0.29, 0.29), (0.69, 0.29))  # a patch shows the square with its eyes here
VIEW = 1.15  # a patch shows so many sides of the frame it is about
SPAN = 0.9  # a patch of one eye shows so many distances between the eyes
ROUNDS = 2  # corrections of a guess
HOPELESS = -3.0  # logit below which a guess is dropped after its first correction
FRAMES_SHARE = (0.7, 0.3)  # of what UTKFace and what CelebA would call the eyes
EYES_SHARE = 0.35  # of the eyes' own networks in their final places; the rest is the whole face's
# What that makes of pictures with labelled eyes (CelebA): in distances between the eyes, so much
# farther apart and lower.
TOO_FAR, TOO_LOW = 0.0324, 0.0114
# How a look differs from the plain one: turn in radians, scale, shift right and down in distances
# between the eyes.
View = tuple[float, float, float, float]
PLAIN: tuple[View, ...] = ((0, 1, 0, 0),)
AROUND: tuple[View, ...] = (  # the last look is the mean of these
    (0.1, 1.06, 0, 0.04),
    (-0.1, 1.06, 0, -0.04),
    (0.1, 0.94, 0.04, 0),
    (-0.1, 0.94, -0.04, 0),
)


@dataclass(frozen=True)
class Face:
    """One face in a photo."""

    eyes: np.ndarray  # (2, 2): the picture's left eye, then its right; (x, y), pixels
    score: float  # the networks' logit, and more if the cascade agrees

    @property
    def distance(self) -> float:
        """Between the eyes, pixels."""
        return float(np.linalg.norm(self.eyes[1] - self.eyes[0]))


@torch.no_grad()
def located(pyramid: Sequence[np.ndarray], guesses: Sequence[np.ndarray]) -> list[Face]:
    """Correct each guess at a pair of eyes a few times; those that are of faces."""
    faces = [Face(eyes, 0.0) for eyes in guesses]
    for _ in range(ROUNDS):
        faces = [face for face in _corrected(pyramid, faces) if face.score > HOPELESS]
    return [face for face in faces if face.score > 0]


@torch.no_grad()
def settled(pyramid: Sequence[np.ndarray], faces: Sequence[Face]) -> list[Face]:
    """Each face with its eyes in their final places; those with two eyes.

    Both what a whole face and what an eye by itself says of its place has errors, other ones in
    another view; their mean has less.
    """
    whole = _corrected(pyramid, faces, AROUND)
    single = _centred_eyes(pyramid, _centred_eyes(pyramid, whole), AROUND)
    final = []
    for face, own in zip(whole, single, strict=True):
        eyes = _labelled(EYES_SHARE * own.eyes + (1 - EYES_SHARE) * face.eyes)
        final.append(Face(eyes, min(face.score, own.score)))
    return [face for face in final if face.score > 0]


def _corrected(
    pyramid: Sequence[np.ndarray], faces: Sequence[Face], views: Sequence[View] = PLAIN
) -> list[Face]:
    """Each face with the eyes that its patches show, and their mirror images; the mean."""
    if not faces:
        return []
    pairs = [_seen(face.eyes, view) for face in faces for view in views]
    matrices = [similarity(pair, viewed() * PATCH) for pair in pairs]
    patches = np.stack([cut_patch(pyramid, matrix, PATCH) for matrix in matrices])
    both = standardise(np.concatenate([patches, patches[:, :, ::-1]]))
    places, logits = networks()[1](both)
    straight, flipped = torch.einsum("nkij,k->nij", places, torch.tensor(FRAMES_SHARE)).chunk(2)
    mirrored = (flipped * torch.tensor([-1.0, 1.0]) + torch.tensor([1.0, 0.0])).flip(1)
    found = (PATCH * (straight + mirrored) / 2).double().numpy()
    eyes = np.array([_back(p, matrix) for p, matrix in zip(found, matrices, strict=True)])
    return _means(eyes, logits.view(2, -1).mean(0), len(views))


def _centred_eyes(
    pyramid: Sequence[np.ndarray], faces: Sequence[Face], views: Sequence[View] = PLAIN
) -> list[Face]:
    """Each face with its eyes centred, each in patches of its own."""
    if not faces:
        return []
    pairs = [_seen(face.eyes, view) for face in faces for view in views]
    matrices = [matrix for pair in pairs for matrix in _eye_views(pair)]
    patches = np.stack([cut_patch(pyramid, matrix, EYE_PATCH) for matrix in matrices])
    places, logits = networks()[2](standardise(patches))
    found = (EYE_PATCH * places[:, None]).double().numpy()
    back = [_back(p, matrix) for p, matrix in zip(found, matrices, strict=True)]
    eyes = np.concatenate(back).reshape(-1, 2, 2)
    return _means(eyes, logits.view(-1, 2).mean(1), len(views))


def _seen(eyes: np.ndarray, view: View) -> np.ndarray:
    """A pair of eyes turned and scaled about its middle, and moved: what a view starts from."""
    turn, scale, right, down = view
    middle, along = eyes.mean(0), eyes[1] - eyes[0]
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    moved = right * along + down * np.array([-along[1], along[0]])
    return np.asarray(middle + moved + scale * (eyes - middle) @ rotation)


def _means(eyes: np.ndarray, logits: Tensor, views: int) -> list[Face]:
    """The mean of each face's views: eyes ``(N * views, 2, 2)``, logits ``(N * views,)``."""
    places = eyes.reshape(-1, views, 2, 2).mean(1)
    scores = logits.view(-1, views).mean(1).tolist()
    return [Face(pair, score) for pair, score in zip(places, scores, strict=True)]


def _labelled(eyes: np.ndarray) -> np.ndarray:
    """Where people who label eyes would put them."""
    along = eyes[1] - eyes[0]
    down = np.array([-along[1], along[0]])
    outwards = np.array([[-0.5], [0.5]]) * along
    return np.asarray(eyes - TOO_FAR * outwards - TOO_LOW * down)


def standardise(patches: np.ndarray) -> Tensor:
    """Grey patches of mean 0 and spread 1 each: ``(N, P, P) -> (N, 1, P, P)``."""
    x = torch.from_numpy(np.ascontiguousarray(patches, dtype=np.float32))[:, None]
    return (x - x.mean((2, 3), keepdim=True)) / (x.std((2, 3), keepdim=True) + 1)


def viewed() -> np.ndarray:
    """Where the eyes are in a patch that is framed well: ``(2, 2)``, fractions of its side."""
    return 0.5 + (np.array([VIEWED.left_eye, VIEWED.right_eye]) - 0.5) / VIEW


def similarity(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The matrix ``(2, 3)`` that turns, scales and moves two points ``(2, 2)`` onto two others."""
    before, after = (complex(*(points[1] - points[0])) for points in (here, there))
    turn = after / before
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, there[0] - linear @ here[0]])


def _eye_views(eyes: np.ndarray) -> list[np.ndarray]:
    """The matrices of the two eyes' patches; the right one's mirrors."""
    along = eyes[1] - eyes[0]
    middle, reach = EYE_PATCH / 2, EYE_PATCH / SPAN
    views = []
    for eye, sign in zip(eyes, (1, -1), strict=True):
        # The other eye lies `reach` to the right of this one, in the mirror too.
        other = eye + sign * along
        down = np.array([-along[1], along[0]])
        here = np.array([eye, other, eye + down])
        there = np.array([[middle, middle], [middle + reach, middle], [middle, middle + reach]])
        views.append(cv2.getAffineTransform(here.astype(np.float32), there.astype(np.float32)))
    return views


def cut_patch(pyramid: Sequence[np.ndarray], matrix: np.ndarray, side: int) -> np.ndarray:
    """The patch, uint8 ``(P, P)``, that a matrix of the photo's pixels gives, without aliasing."""
    shrink = 1 / math.hypot(matrix[0, 0], matrix[0, 1])
    level = min(max(0, math.floor(math.log2(max(shrink, 1e-6)))), len(pyramid) - 1)
    # Corners to pixel centres: OpenCV's warp counts from the centre of the first pixel.
    own = matrix.copy()
    own[:, :2] *= 1 << level
    own[:, 2] += own[:, :2].sum(1) / 2 - 0.5
    return cv2.warpAffine(pyramid[level], own, (side, side), borderMode=cv2.BORDER_REPLICATE)


def _back(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    inverse = cv2.invertAffineTransform(matrix)
    return np.asarray(points @ inverse[:, :2].T + inverse[:, 2])


def halves(grey: np.ndarray) -> list[np.ndarray]:
    """The photo, and its halves down to a patch's size."""
    levels = [grey]
    while min(levels[-1].shape) >= 2 * EYE_PATCH:
        height, width = levels[-1].shape
        size = (width // 2, height // 2)
        levels.append(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA))
    return levels


@lru_cache(maxsize=1)
def networks() -> tuple[nn.Module, nn.Module, nn.Module]:
    """The proposer, the locator, the centre, as they ship."""
    tensors = load_file(str(package_files("neuralid") / "assets" / "finders.safetensors"))

    def read(name: str, kind: type[nn.Module]) -> nn.Module:
        start = f"{name}."
        own = {k.removeprefix(start): t for k, t in tensors.items() if k.startswith(start)}
        return fill(empty(kind), own)

    return read("proposer", FaceProposer), read("locator", EyeLocator), read("centre", EyeCentre)
