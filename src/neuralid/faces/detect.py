"""Find faces and their eyes. Places are (x, y) in pixels from the photo's upper left corner.

A network proposes faces in the photo at every size, `eyes` finds the eyes of each; OpenCV's
cascade, which knows far more of what is no face, then looks at each face set upright.

Letters in shapes: H and W sides of the photo, S side of a framed face.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from ..models.finders import STRIDE, WINDOW
from .config import Frame
from .crop import default_face_size
from .eyes import (
    VIEWED,
    Face,
    cut_patch,
    halves,
    located,
    networks,
    settled,
    similarity,
)

SEARCHED = 512  # faces are proposed in the photo shrunk to so many pixels, the longer side
STEP = 0.7  # and in that shrunk again and again by this
LIKELY = -1.0  # logit from which a proposal is looked at
MOST = 24  # proposals looked at, the likeliest
CONFIRMED = 3.0  # what the cascade's word adds to a score
BELIEVED = 4.5  # sum of both from which a face is believed
LEANS = (0, 22, -22)  # degrees by which the face of a framed picture may lean
UPRIGHT = (80, 46)  # the cascade's view of a face set upright, and the frame's side in it, pixels
_BOX = Frame((0.310, 0.391), (0.693, 0.390))  # where the cascade's boxes have the eyes
_own = threading.local()


def find_faces(photo: np.ndarray) -> list[Face]:
    """The faces in a photo, left to right; an empty list if there is none.

    Besides what is proposed, the square that would be cut out without looking is tried.

    Shape: uint8 ``(H, W, 3)``, at least 16 pixels a side.
    """
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    pyramid = halves(grey)
    guesses = [*propose(grey), *_leaning(_centred(*grey.shape))]
    found = _distinct(settled(pyramid, _distinct(located(pyramid, guesses))))
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
        logits, eyes = networks()[0](torch.from_numpy(even_light(level))[None, None])
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
    pyramid = halves(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY))
    found = settled(pyramid, located(pyramid, [_centred(*face.shape[:2])]))
    return found[0].eyes if found else None


def even_light(grey: np.ndarray) -> np.ndarray:
    """Of mean 0 and spread 1 about every pixel, a window around: ``(H, W)`` float32."""
    x, size = grey.astype(np.float32), (WINDOW + 1, WINDOW + 1)
    mean = cv2.blur(x, size)
    spread = cv2.sqrt(np.maximum(cv2.blur(x * x, size) - mean * mean, 0))
    return np.asarray((x - mean) / (spread + 4))


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


def _confirms(pyramid: Sequence[np.ndarray], face: Face) -> bool:
    """Whether the cascade sees a face, too, in the face set upright."""
    side, frame = UPRIGHT
    places = side / 2 + frame * (np.array([_BOX.left_eye, _BOX.right_eye]) - 0.5)
    patch = cut_patch(pyramid, similarity(face.eyes, places), side)
    least, most = round(0.7 * frame), round(1.4 * frame)
    boxes = _cascade().detectMultiScale(patch, 1.1, 1, minSize=(least,) * 2, maxSize=(most,) * 2)
    return len(boxes) > 0


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


def _cascade() -> cv2.CascadeClassifier:
    """One a thread: a classifier can't be used by two at once."""
    if not hasattr(_own, "cascade"):
        folder = Path(cv2.__file__).parent / "data"
        _own.cascade = cv2.CascadeClassifier(str(folder / "haarcascade_frontalface_alt2.xml"))
    return _own.cascade
