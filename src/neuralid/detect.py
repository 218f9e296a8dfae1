"""Find faces and their eyes. Places are (x, y) in pixels from the photo's upper left corner.

A network proposes faces in the photo at every size, a second one finds the eyes in each and
corrects itself, a third centres each eye; OpenCV's cascade, which knows far more of what is no
face, then looks at each face set upright.

Letters in shapes: N faces, H and W sides of the photo, P side of a patch.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files as package_files
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from .config import Frame
from .crop import default_face_size
from .models.finders import EYE_PATCH, PATCH, STRIDE, WINDOW, EyeCentre, EyeLocator, FaceProposer

SEARCHED = 512  # faces are proposed in the photo shrunk to so many pixels, the longer side
STEP = 0.7  # and in that shrunk again and again by this
LIKELY = -1.0  # logit from which a proposal is looked at
MOST = 24  # proposals looked at, the likeliest
VIEW = 1.15  # a patch shows so many sides of the frame it is about
SPAN = 0.9  # a patch of one eye shows so many distances between the eyes
ROUNDS = 2  # corrections by each network
EYES_SHARE = 0.6  # of the eyes' own networks in their final places; the rest is the whole face's
CONFIRMED = 3.0  # what the cascade's word adds to a score
BELIEVED = 4.5  # sum of both from which a face is believed
LEANS = (0, 22, -22)  # degrees by which the face of a framed picture may lean
VIEWED = Frame((0.29, 0.29), (0.69, 0.29))  # a patch shows the square with its eyes here
UPRIGHT = (80, 46)  # the cascade's view of a face set upright, and the frame's side in it, pixels
_BOX = Frame((0.310, 0.391), (0.693, 0.390))  # where the cascade's boxes have the eyes
_own = threading.local()


@dataclass(frozen=True)
class Face:
    """One face in a photo."""

    eyes: np.ndarray  # (2, 2): the picture's left eye, then its right; (x, y), pixels
    score: float  # the networks' logit, and more if the cascade agrees

    @property
    def distance(self) -> float:
        """Between the eyes, pixels."""
        return float(np.linalg.norm(self.eyes[1] - self.eyes[0]))


def find_faces(photo: np.ndarray) -> list[Face]:
    """The faces in a photo, left to right; an empty list if there is none.

    Besides what is proposed, the square that would be cut out without looking is tried.

    Shape: uint8 ``(H, W, 3)``, at least 16 pixels a side.
    """
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    pyramid = _pyramid(grey)
    guesses = [*propose(grey), *_leaning(_centred(*grey.shape))]
    found = _distinct(_centred_eyes(pyramid, _distinct(_located(pyramid, guesses))))
    scored = [replace(f, score=f.score + CONFIRMED * _confirms(pyramid, f)) for f in found]
    believed = [face for face in scored if face.score > BELIEVED]
    return sorted(believed, key=lambda face: face.eyes[:, 0].mean())


@torch.no_grad()
def propose(grey: np.ndarray) -> list[np.ndarray]:
    """Guesses at pairs of eyes ``(2, 2)``, the likeliest first."""
    height, width = grey.shape
    ratio = min(1.0, SEARCHED / max(height, width))
    found: list[tuple[float, np.ndarray]] = []
    level = _resized(grey, ratio)
    while min(level.shape) >= 2 * WINDOW // 3:
        logits, eyes = _networks()[0](torch.from_numpy(even_light(level))[None, None])
        rows, columns = torch.where(logits[0] > LIKELY)
        middles = STRIDE * torch.stack([columns, rows], 1)[:, None] + 0.5
        scale = np.array([width / level.shape[1], height / level.shape[0]])
        places = (middles + WINDOW * eyes[0, rows, columns]).double().numpy() * scale
        found += zip(logits[0, rows, columns].tolist(), places, strict=True)
        level = _resized(level, STEP)
    found.sort(key=lambda pair: -pair[0])
    faces = _distinct([Face(eyes, score) for score, eyes in found[: 20 * MOST]], apart=0.5)
    return [face.eyes for face in faces[:MOST]]


def locate(face: np.ndarray) -> np.ndarray | None:
    """Where the eyes are in a picture that is framed already: ``(2, 2)``, pixels; None if nowhere.

    Shape: uint8 ``(S, S, 3)``.
    """
    pyramid = _pyramid(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY))
    found = _centred_eyes(pyramid, _located(pyramid, [_centred(*face.shape[:2])]))
    return found[0].eyes if found else None


def standardise(patches: np.ndarray) -> Tensor:
    """Grey patches of mean 0 and spread 1 each: ``(N, P, P) -> (N, 1, P, P)``."""
    x = torch.from_numpy(np.ascontiguousarray(patches, dtype=np.float32))[:, None]
    return (x - x.mean((2, 3), keepdim=True)) / (x.std((2, 3), keepdim=True) + 1)


def even_light(grey: np.ndarray) -> np.ndarray:
    """Of mean 0 and spread 1 about every pixel, a window around: ``(H, W)`` float32."""
    x, size = grey.astype(np.float32), (WINDOW + 1, WINDOW + 1)
    mean = cv2.blur(x, size)
    spread = cv2.sqrt(np.maximum(cv2.blur(x * x, size) - mean * mean, 0))
    return np.asarray((x - mean) / (spread + 4))


def viewed() -> np.ndarray:
    """Where the eyes are in a patch that is framed well: ``(2, 2)``, fractions of its side."""
    return 0.5 + (np.array([VIEWED.left_eye, VIEWED.right_eye]) - 0.5) / VIEW


def similarity(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The matrix ``(2, 3)`` that turns, scales and moves two points ``(2, 2)`` onto two others."""
    before, after = (complex(*(points[1] - points[0])) for points in (here, there))
    turn = after / before
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, there[0] - linear @ here[0]])


def _leaning(guess: np.ndarray) -> list[np.ndarray]:
    """A guess at a pair of eyes, upright and turned both ways about the face's middle."""
    middle = guess.mean(0)
    middle[1] += np.linalg.norm(guess[1] - guess[0]) / 2
    turned = []
    for lean in np.radians(LEANS):
        turn = np.array([[np.cos(lean), np.sin(lean)], [-np.sin(lean), np.cos(lean)]])
        turned.append((guess - middle) @ turn + middle)
    return turned


def _centred(height: int, width: int) -> np.ndarray:
    """The eyes, were the square that is cut out by default framed as the network's faces."""
    side = default_face_size(width, height)
    corner = np.array([(width - side) // 2, (height - side) // 2])
    return corner + side * np.array([VIEWED.left_eye, VIEWED.right_eye])


@torch.no_grad()
def _located(pyramid: Sequence[np.ndarray], guesses: Sequence[np.ndarray]) -> list[Face]:
    """Correct each guess at a pair of eyes a few times; those that are of faces."""
    eyes = list(guesses)
    for _ in range(ROUNDS if eyes else 0):
        matrices = [similarity(pair, viewed() * PATCH) for pair in eyes]
        patches = np.stack([_patch(pyramid, matrix, PATCH) for matrix in matrices])
        both = standardise(np.concatenate([patches, patches[:, :, ::-1]]))
        places, logits = _networks()[1](both)
        straight, flipped = places.chunk(2)
        mirrored = (flipped * torch.tensor([-1.0, 1.0]) + torch.tensor([1.0, 0.0])).flip(1)
        found = (PATCH * (straight + mirrored) / 2).double().numpy()
        eyes = [_back(p, matrix) for p, matrix in zip(found, matrices, strict=True)]
        scores = logits.view(2, -1).mean(0).tolist()
    return [Face(e, s) for e, s in zip(eyes, scores, strict=True) if s > 0] if eyes else []


@torch.no_grad()
def _centred_eyes(pyramid: Sequence[np.ndarray], faces: Sequence[Face]) -> list[Face]:
    """Each face with its eyes centred, each in a patch of its own; those with two eyes.

    Both what a whole face and what an eye by itself says of its place has errors; their
    mean has less.
    """
    eyes = [face.eyes for face in faces]
    for _ in range(ROUNDS if eyes else 0):
        matrices = [matrix for pair in eyes for matrix in _eye_views(pair)]
        patches = np.stack([_patch(pyramid, matrix, EYE_PATCH) for matrix in matrices])
        places, logits = _networks()[2](standardise(patches))
        found = (EYE_PATCH * places[:, None]).double().numpy()
        back = [_back(p, matrix) for p, matrix in zip(found, matrices, strict=True)]
        eyes = list(np.concatenate(back).reshape(-1, 2, 2))
    if not eyes:
        return []
    scores = logits.view(-1, 2).mean(1).tolist()
    found = []
    for face, own, score in zip(faces, eyes, scores, strict=True):
        mean = EYES_SHARE * own + (1 - EYES_SHARE) * face.eyes
        found.append(replace(face, eyes=mean, score=min(face.score, score)))
    return [face for face in found if face.score > 0]


def _confirms(pyramid: Sequence[np.ndarray], face: Face) -> bool:
    """Whether the cascade sees a face, too, in the face set upright."""
    side, frame = UPRIGHT
    places = side / 2 + frame * (np.array([_BOX.left_eye, _BOX.right_eye]) - 0.5)
    patch = _patch(pyramid, similarity(face.eyes, places), side)
    least, most = round(0.7 * frame), round(1.4 * frame)
    boxes = _cascade().detectMultiScale(patch, 1.1, 1, minSize=(least,) * 2, maxSize=(most,) * 2)
    return len(boxes) > 0


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


def _patch(pyramid: Sequence[np.ndarray], matrix: np.ndarray, side: int) -> np.ndarray:
    """The patch ``(P, P)`` that a matrix of the photo's pixels gives, without aliasing."""
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


def _pyramid(grey: np.ndarray) -> list[np.ndarray]:
    """The photo, and its halves down to a patch's size."""
    levels = [grey]
    while min(levels[-1].shape) >= 2 * EYE_PATCH:
        height, width = levels[-1].shape
        size = (width // 2, height // 2)
        levels.append(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA))
    return levels


def _resized(grey: np.ndarray, ratio: float) -> np.ndarray:
    if ratio == 1:
        return grey
    size = [max(1, round(side * ratio)) for side in grey.shape[::-1]]
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def _distinct(faces: Sequence[Face], apart: float = 1.0) -> list[Face]:
    """The faces without those nearly at the place of a better one; the best first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        middle, size = face.eyes.mean(0), face.distance
        if all(
            np.linalg.norm(middle - other.eyes.mean(0)) > apart * max(size, other.distance)
            for other in kept
        ):
            kept.append(face)
    return kept


@lru_cache(maxsize=1)
def _networks() -> tuple[nn.Module, nn.Module, nn.Module]:
    """The proposer, the locator, the centre, as they ship."""
    tensors = load_file(str(package_files("neuralid") / "assets" / "finders.safetensors"))
    networks = {"proposer": FaceProposer(), "locator": EyeLocator(), "centre": EyeCentre()}
    for name, network in networks.items():
        own = {k[len(name) + 1 :]: t.float() for k, t in tensors.items() if k.startswith(name)}
        network.load_state_dict(own)
        network.eval().requires_grad_(False)
    return tuple(networks.values())  # type: ignore[return-value]


def _cascade() -> cv2.CascadeClassifier:
    """One a thread: a classifier can't be used by two at once."""
    if not hasattr(_own, "cascade"):
        folder = Path(cv2.__file__).parent / "data"
        _own.cascade = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_alt2.xml"))
    return _own.cascade
