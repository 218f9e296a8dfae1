"""Find the faces in a photo, and the paper's four numbers that frame each of them.

OpenCV's cascade proposes boxes, a small network finds the eyes in each and corrects itself, and
the eyes give the square. Places are (x, y) in pixels from the photo's upper left corner.

Letters in shapes: N faces, P side of a patch.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files as package_files
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from .config import CropConfig, Frame
from .crop import default_face_size
from .models.eyes import PATCH, EyeLocator

VIEW = 1.15  # a patch shows so many sides of the frame it is about
SEARCHED = 560  # faces are looked for in the photo shrunk to so many pixels, the longer side
SMALLEST = 20  # side of the smallest box looked for there
TURNS = (0, 30, -30)  # degrees the photo is turned by, in this order, until a face is sure
LEANS = (0, 22, -22)  # degrees by which a face in a box may lean
SURE = 3.0  # score at which a face is believed at once
ROUNDS = 3  # corrections by the network
_BOX = Frame((0.310, 0.391), (0.693, 0.390))  # where the cascade's boxes have the eyes
VIEWED = Frame((0.29, 0.29), (0.69, 0.29))  # a patch shows the square with its eyes here
_own = threading.local()


@dataclass(frozen=True)
class Face:
    """One face in a photo."""

    eyes: np.ndarray  # (2, 2): the picture's left eye, then its right; (x, y), pixels
    score: float  # the network's logit: above 0 for a face

    @property
    def distance(self) -> float:
        """Between the eyes, pixels."""
        return float(np.linalg.norm(self.eyes[1] - self.eyes[0]))


def find_faces(photo: np.ndarray) -> list[Face]:
    """The faces in a photo, left to right; an empty list if there is none.

    Besides what the cascade finds, the square that would be cut out without looking is tried,
    so that pictures which are framed already are found whatever the cascade thinks of them.

    Shape: uint8 ``(H, W, 3)``, at least 16 pixels a side.
    """
    pyramid = _pyramid(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY))
    found = _located(pyramid, _leaning([_centred(*photo.shape[:2])]))
    for turn in TURNS:
        found = _distinct([*found, *_located(pyramid, _leaning(_boxes(pyramid[0], turn)))])
        if found and found[0].score > SURE:
            break
    return sorted(found, key=lambda face: face.eyes[:, 0].mean())


def frame_crop(eyes: np.ndarray, width: int, height: int, frame: Frame) -> CropConfig:
    """The four numbers that bring the eyes of a photo to the places of ``frame``.

    Shape: eyes ``(2, 2)``, as in `Face`.
    """
    wanted = np.array([frame.left_eye, frame.right_eye])
    here, there = eyes[1] - eyes[0], wanted[1] - wanted[0]
    turn = math.atan2(here[1], here[0]) - math.atan2(there[1], there[0])
    side = float(np.linalg.norm(here) / np.linalg.norm(there))
    face_size = max(8, round(side))

    # Pillow turns about the photo's centre, anticlockwise, y pointing down.
    x, y = eyes.mean(0) - [width / 2, height / 2]
    cos, sin = math.cos(turn), math.sin(turn)
    centre = np.array([cos * x + sin * y, cos * y - sin * x]) - side * (wanted.mean(0) - 0.5)
    corner = centre + np.array([width, height]) / 2 - face_size / 2
    return CropConfig(
        face_size,
        delta_i=round(corner[1]) - (height - face_size) // 2,
        delta_j=round(corner[0]) - (width - face_size) // 2,
        rotation=round(math.degrees(turn), 2),
    )


def in_photo(places: np.ndarray, crop: CropConfig, width: int, height: int) -> np.ndarray:
    """Where places in the square are in the photo, pixels: what `frame_crop` does, backwards.

    Shape: ``(N, 2)``, fractions of the square's side -> ``(N, 2)``.
    """
    side = crop.face_size or default_face_size(width, height)
    corner = [(width - side) // 2 + crop.delta_j, (height - side) // 2 + crop.delta_i]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), crop.rotation, 1.0)
    back = cv2.invertAffineTransform(turn)
    return np.asarray((np.array(corner) + side * places) @ back[:, :2].T + back[:, 2])


def measure_frame(faces: np.ndarray) -> Frame | None:
    """Where framed faces have their eyes, the median; None if few of them look like faces.

    Shape: uint8 ``(N, S, S, 3)``.
    """
    places = []
    for face in faces:
        side = face.shape[0]
        pyramid = _pyramid(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY))
        places += [found.eyes / side for found in _located(pyramid, [_centred(side, side)])]
    if len(places) < len(faces) / 2 or not places:
        return None
    left, right = np.median(places, axis=0).round(4).tolist()
    return Frame(tuple(left), tuple(right))


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


def _boxes(grey: np.ndarray, turn: float) -> list[np.ndarray]:
    """Guesses at the eyes, pixels of the photo, from the cascade's boxes in the turned photo."""
    height, width = grey.shape
    ratio = min(1.0, SEARCHED / max(height, width))
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    matrix = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), turn, 1.0)
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    if turn:
        small = cv2.warpAffine(small, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    boxes = _cascade().detectMultiScale(small, 1.2, 3, minSize=(SMALLEST, SMALLEST))
    back = cv2.invertAffineTransform(matrix)
    places = np.array([_BOX.left_eye, _BOX.right_eye])
    guesses = [np.array([x, y]) + places * w for x, y, w, _ in boxes]
    return [(guess @ back[:, :2].T + back[:, 2]) / ratio for guess in guesses]


def _leaning(guesses: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Each guess at a pair of eyes, upright and turned both ways about the face's middle."""
    turned = []
    for lean in LEANS:
        cos, sin = math.cos(math.radians(lean)), math.sin(math.radians(lean))
        turn = np.array([[cos, sin], [-sin, cos]])
        for pair in guesses:
            middle = pair.mean(0)
            middle[1] += np.linalg.norm(pair[1] - pair[0]) / 2
            turned.append((pair - middle) @ turn + middle)
    return turned


def _centred(height: int, width: int) -> np.ndarray:
    """The eyes, were the square that is cut out by default framed as the network's faces."""
    side = default_face_size(width, height)
    corner = np.array([(width - side) // 2, (height - side) // 2])
    return corner + side * np.array([VIEWED.left_eye, VIEWED.right_eye])


@torch.no_grad()
def _located(pyramid: Sequence[np.ndarray], guesses: Sequence[np.ndarray]) -> list[Face]:
    """Correct each guess at a pair of eyes a few times; those that are of faces."""
    if not guesses:
        return []
    network, eyes = _network(), list(guesses)
    for _ in range(ROUNDS):
        matrices = [similarity(pair, viewed() * PATCH) for pair in eyes]
        patches = np.stack([_patch(pyramid, matrix) for matrix in matrices])
        both = standardise(np.concatenate([patches, patches[:, :, ::-1]]))
        places, logits = network(both)
        straight, flipped = places.chunk(2)
        mirrored = (flipped * torch.tensor([-1.0, 1.0]) + torch.tensor([1.0, 0.0])).flip(1)
        found = (PATCH * (straight + mirrored) / 2).double().numpy()
        backs = [cv2.invertAffineTransform(matrix) for matrix in matrices]
        eyes = [p @ b[:, :2].T + b[:, 2] for p, b in zip(found, backs, strict=True)]
    scores = (logits.view(2, -1).mean(0)).tolist()
    return [Face(e, s) for e, s in zip(eyes, scores, strict=True) if s > 0]


def _patch(pyramid: Sequence[np.ndarray], matrix: np.ndarray) -> np.ndarray:
    """The patch ``(P, P)`` that a matrix of the photo's pixels gives, without aliasing."""
    shrink = 1 / math.hypot(matrix[0, 0], matrix[0, 1])
    level = min(max(0, math.floor(math.log2(max(shrink, 1e-6)))), len(pyramid) - 1)
    # Corners to pixel centres: OpenCV's warp counts from the centre of the first pixel.
    own = matrix.copy()
    own[:, :2] *= 1 << level
    own[:, 2] += own[:, :2].sum(1) / 2 - 0.5
    return cv2.warpAffine(pyramid[level], own, (PATCH, PATCH), borderMode=cv2.BORDER_REPLICATE)


def _pyramid(grey: np.ndarray) -> list[np.ndarray]:
    """The photo, and its halves down to a patch's size."""
    levels = [grey]
    while min(levels[-1].shape) >= 2 * PATCH:
        height, width = levels[-1].shape
        levels.append(
            cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        )
    return levels


def _distinct(faces: Sequence[Face]) -> list[Face]:
    """The faces without those nearly at the place of a better one; the best first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        middles = [np.linalg.norm(face.eyes.mean(0) - other.eyes.mean(0)) for other in kept]
        sizes = [max(face.distance, other.distance) for other in kept]
        if all(middle > size for middle, size in zip(middles, sizes, strict=True)):
            kept.append(face)
    return kept


@lru_cache(maxsize=1)
def _network() -> EyeLocator:
    network = EyeLocator().eval().requires_grad_(False)
    path = package_files("neuralid") / "assets" / "eyes.safetensors"
    network.load_state_dict({name: t.float() for name, t in load_file(str(path)).items()})
    return network


def _cascade() -> cv2.CascadeClassifier:
    """One a thread: a classifier can't be used by two at once."""
    if not hasattr(_own, "cascade"):
        folder = Path(cv2.__file__).parent / "data"
        _own.cascade = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_alt2.xml"))
    return _own.cascade
