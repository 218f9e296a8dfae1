"""Find the two eyes of one face. Places are (x, y) in pixels from the photo's upper left corner.

One network predicts both eyes in a patch around a guess, and is run again on its own result. A
second one predicts each eye in a smaller patch. Both are averaged over several views, then blended;
the bias that is left is subtracted.

Letters in shapes: N is the number of faces, P the side of a patch. A pyramid is a list: the photo
in grey, and the same at half the size, again and again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files as package_files

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..models.building import empty, fill
from ..models.finders import (
    CHECK_PATCH,
    EYE_PATCH,
    PATCH,
    EyeCentre,
    EyeLocator,
    FaceChecker,
    FaceProposer,
)
from .config import Frame

VIEWED = Frame((0.29, 0.29), (0.69, 0.29))  # where a patch expects the eyes within the frame
VIEW = 1.15  # side of a patch, in sides of the frame
CHECKED = Frame((0.32, 0.3), (0.68, 0.3))  # where the checker's patch has the eyes
SPAN = 0.9  # side of a patch of one eye, in eye distances
ROUNDS = 2  # predictions per guess, each from the one before
HOPELESS = -3.0  # logit below which a guess is dropped before the next round
FRAMES_SHARE = (0.7, 0.3)  # weights of the eyes as UTKFace and as CelebA place them
EYES_SHARE = 0.35  # weight of the single-eye network in the blend; the rest is the pair's
# Systematic bias of the blend against labelled eyes (CelebA), in eye distances: predictions lie
# this much too far apart and too low. Subtracted at the end.
TOO_FAR, TOO_LOW = 0.0324, 0.0114
# How a view differs from the plain one: rotation in radians, scale, shift right and down in eye
# distances.
View = tuple[float, float, float, float]
PLAIN: tuple[View, ...] = ((0, 1, 0, 0),)
AROUND: tuple[View, ...] = (  # the final predictions are averaged over these
    (0.1, 1.06, 0, 0.04),
    (-0.1, 1.06, 0, -0.04),
    (0.1, 0.94, 0.04, 0),
    (-0.1, 0.94, -0.04, 0),
)


@dataclass(frozen=True)
class Face:
    """One face in a photo."""

    eyes: np.ndarray  # (2, 2): the picture's left eye, then its right; (x, y), pixels
    score: float  # the networks' logit; of a face that was found, with the judges' verdicts
    check: float = 0.0  # the checker's logit: above 0 if nose and mouth are where they belong

    @property
    def distance(self) -> float:
        """Between the eyes, pixels."""
        return float(np.linalg.norm(self.eyes[1] - self.eyes[0]))


@torch.no_grad()
def locate_eyes(pyramid: Sequence[np.ndarray], guesses: Sequence[np.ndarray]) -> list[Face]:
    """Predict the eyes from each guess, a few times over; keep the guesses that are faces."""
    faces = [Face(eyes, 0.0) for eyes in guesses]
    for _ in range(ROUNDS):
        faces = [face for face in _predict_pairs(pyramid, faces) if face.score > HOPELESS]
    return [face for face in faces if face.score > 0]


@torch.no_grad()
def refine_eyes(pyramid: Sequence[np.ndarray], faces: Sequence[Face]) -> list[Face]:
    """Predict the eyes' final places; keep the faces that have two eyes.

    The predictions from the whole face and from each eye alone have different errors, and so have
    those from different views. Averaging reduces both.
    """
    whole = _predict_pairs(pyramid, faces, AROUND)
    single = _predict_single_eyes(pyramid, _predict_single_eyes(pyramid, whole), AROUND)
    final = []
    for face, own in zip(whole, single, strict=True):
        eyes = _subtract_bias(EYES_SHARE * own.eyes + (1 - EYES_SHARE) * face.eyes)
        final.append(Face(eyes, min(face.score, own.score)))
    return [face for face in final if face.score > 0]


@torch.no_grad()
def check_faces(pyramid: Sequence[np.ndarray], faces: Sequence[Face]) -> list[Face]:
    """Look at the whole of each face, framed by its eyes: the mean over it and its mirror image."""
    if not faces:
        return []
    matrices = [similarity(face.eyes, eyes_in_check()) for face in faces]
    patches = np.stack([cut_patch(pyramid, matrix, CHECK_PATCH) for matrix in matrices])
    both = standardise(np.concatenate([patches, patches[:, :, ::-1]]))
    logits = networks()[3](both).view(2, -1).mean(0).tolist()
    return [replace(face, check=logit) for face, logit in zip(faces, logits, strict=True)]


def _predict_pairs(
    pyramid: Sequence[np.ndarray], faces: Sequence[Face], views: Sequence[View] = PLAIN
) -> list[Face]:
    """Predict both eyes from patches of the face; the mean over views and their mirror images."""
    if not faces:
        return []
    pairs = [_move_to_view(face.eyes, view) for face in faces for view in views]
    matrices = [similarity(pair, eyes_in_patch() * PATCH) for pair in pairs]
    patches = np.stack([cut_patch(pyramid, matrix, PATCH) for matrix in matrices])
    both = standardise(np.concatenate([patches, patches[:, :, ::-1]]))
    places, logits = networks()[1](both)
    straight, flipped = torch.einsum("nkij,k->nij", places, torch.tensor(FRAMES_SHARE)).chunk(2)
    mirrored = (flipped * torch.tensor([-1.0, 1.0]) + torch.tensor([1.0, 0.0])).flip(1)
    found = (PATCH * (straight + mirrored) / 2).double().numpy()
    eyes = np.array([_to_photo(p, matrix) for p, matrix in zip(found, matrices, strict=True)])
    return _average_views(eyes, logits.view(2, -1).mean(0), len(views))


def _predict_single_eyes(
    pyramid: Sequence[np.ndarray], faces: Sequence[Face], views: Sequence[View] = PLAIN
) -> list[Face]:
    """Predict each eye from patches of its own; the mean over the views."""
    if not faces:
        return []
    pairs = [_move_to_view(face.eyes, view) for face in faces for view in views]
    matrices = [matrix for pair in pairs for matrix in _eye_patch_matrices(pair)]
    patches = np.stack([cut_patch(pyramid, matrix, EYE_PATCH) for matrix in matrices])
    places, logits = networks()[2](standardise(patches))
    found = (EYE_PATCH * places[:, None]).double().numpy()
    back = [_to_photo(p, matrix) for p, matrix in zip(found, matrices, strict=True)]
    eyes = np.concatenate(back).reshape(-1, 2, 2)
    return _average_views(eyes, logits.view(-1, 2).mean(1), len(views))


def _move_to_view(eyes: np.ndarray, view: View) -> np.ndarray:
    """Rotate and scale a pair of eyes about its middle, and shift it: the start of a view."""
    turn, scale, right, down = view
    middle, along = eyes.mean(0), eyes[1] - eyes[0]
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    moved = right * along + down * np.array([-along[1], along[0]])
    return np.asarray(middle + moved + scale * (eyes - middle) @ rotation)


def _average_views(eyes: np.ndarray, logits: Tensor, views: int) -> list[Face]:
    """Average each face over its views: eyes ``(N * views, 2, 2)``, logits ``(N * views,)``."""
    places = eyes.reshape(-1, views, 2, 2).mean(1)
    scores = logits.view(-1, views).mean(1).tolist()
    return [Face(pair, score) for pair, score in zip(places, scores, strict=True)]


def _subtract_bias(eyes: np.ndarray) -> np.ndarray:
    """Move predicted eyes to where a human would label them."""
    along = eyes[1] - eyes[0]
    down = np.array([-along[1], along[0]])
    outwards = np.array([[-0.5], [0.5]]) * along
    return np.asarray(eyes - TOO_FAR * outwards - TOO_LOW * down)


def standardise(patches: np.ndarray) -> Tensor:
    """Scale each grey patch to mean 0 and spread 1: ``(N, P, P) -> (N, 1, P, P)``."""
    x = torch.from_numpy(np.ascontiguousarray(patches, dtype=np.float32))[:, None]
    return (x - x.mean((2, 3), keepdim=True)) / (x.std((2, 3), keepdim=True) + 1)


def eyes_in_patch() -> np.ndarray:
    """Where the eyes are in a well-framed patch: ``(2, 2)``, fractions of its side."""
    return 0.5 + (np.array([VIEWED.left_eye, VIEWED.right_eye]) - 0.5) / VIEW


def eyes_in_check() -> np.ndarray:
    """Where the eyes are in the checker's patch: ``(2, 2)``, pixels."""
    return CHECK_PATCH * np.array([CHECKED.left_eye, CHECKED.right_eye])


def similarity(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The matrix ``(2, 3)`` that rotates, scales and moves two points ``(2, 2)`` to two others."""
    before, after = (complex(*(points[1] - points[0])) for points in (here, there))
    turn = after / before
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, there[0] - linear @ here[0]])


def _eye_patch_matrices(eyes: np.ndarray) -> list[np.ndarray]:
    """The matrices of the two eyes' patches; that of the right eye mirrors."""
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
    """Cut the patch, uint8 ``(P, P)``, that a matrix maps the photo's pixels to; no aliasing."""
    shrink = 1 / math.hypot(matrix[0, 0], matrix[0, 1])
    level = min(max(0, math.floor(math.log2(max(shrink, 1e-6)))), len(pyramid) - 1)
    # Corners to pixel centres: OpenCV's warp counts from the centre of the first pixel.
    own = matrix.copy()
    own[:, :2] *= 1 << level
    own[:, 2] += own[:, :2].sum(1) / 2 - 0.5
    return cv2.warpAffine(pyramid[level], own, (side, side), borderMode=cv2.BORDER_REPLICATE)


def _to_photo(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    inverse = cv2.invertAffineTransform(matrix)
    return np.asarray(points @ inverse[:, :2].T + inverse[:, 2])


def build_pyramid(grey: np.ndarray) -> list[np.ndarray]:
    """The photo, halved again and again, down to the size of a patch."""
    levels = [grey]
    while min(levels[-1].shape) >= 2 * EYE_PATCH:
        height, width = levels[-1].shape
        size = (width // 2, height // 2)
        levels.append(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA))
    return levels


@lru_cache(maxsize=1)
def networks() -> tuple[nn.Module, nn.Module, nn.Module, nn.Module]:
    """Load the proposer, the locator, the centre network and the checker that ship, once."""
    tensors = load_file(str(package_files("neuralid") / "assets" / "finders.safetensors"))

    def read(name: str, kind: type[nn.Module]) -> nn.Module:
        start = f"{name}."
        own = {k.removeprefix(start): t for k, t in tensors.items() if k.startswith(start)}
        return fill(empty(kind), own)

    return (
        read("proposer", FaceProposer),
        read("locator", EyeLocator),
        read("centre", EyeCentre),
        read("checker", FaceChecker),
    )
