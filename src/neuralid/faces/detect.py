"""Find faces and their eyes. Places are (x, y) in pixels from the photo's upper left corner.

A network proposes faces in the photo at every size, and `eyes` finds the eyes of each. Then two
judges look at each face, turned upright: a network that asks whether these are a face's eyes, with
nose and mouth below them, and OpenCV's cascade, which knows far more of what is not a face.

Letters in shapes: H and W are the photo's sides, S is the side of a framed face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch

from ..models.finders import STRIDE, WINDOW
from .cascades import FRONTAL, find_boxes
from .config import Frame
from .crop import default_face_size
from .eyes import (
    VIEWED,
    Face,
    build_pyramid,
    check_faces,
    cut_patch,
    locate_eyes,
    networks,
    refine_eyes,
    similarity,
)

SEARCHED = 512  # longer side, in pixels, of the photo in which faces are first proposed
STEP = 0.7  # the photo is then shrunk by this, again and again
LIKELY = -1.0  # logit above which a proposal is considered
MOST = 24  # proposals considered: the likeliest
CONFIRMED = 1.5  # added to a score if the cascade agrees
CHECKED = 0.5  # share of the checker's logit that is added
BELIEVED = 7.5  # a face is accepted if the sum is above this, and the checker's logit above 0
LEANS = (0, 22, -22)  # degrees by which the face in a framed picture may lean
UPRIGHT = (80, 46)  # sides of the upright view for the cascade, and of the frame in it, pixels
_BOX = Frame((0.310, 0.391), (0.693, 0.390))  # where the eyes are in the cascade's boxes


def find_faces(photo: np.ndarray) -> list[Face]:
    """The faces in a photo, left to right; an empty list if there is none.

    Besides the proposals, the square that is cut out by default is tried as a guess.

    Shape: uint8 ``(H, W, 3)``, at least 16 pixels a side.
    """
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    pyramid = build_pyramid(grey)
    guesses = [*propose(grey), *_lean_both_ways(_eyes_in_default_crop(*grey.shape))]
    found = _drop_duplicates(refine_eyes(pyramid, _drop_duplicates(locate_eyes(pyramid, guesses))))
    scored = [_judge(pyramid, face) for face in check_faces(pyramid, found) if face.check > 0]
    believed = [face for face in scored if face.score > BELIEVED]
    return sorted(believed, key=lambda face: face.eyes[:, 0].mean())


@torch.no_grad()
def propose(grey: np.ndarray) -> list[np.ndarray]:
    """Guess pairs of eyes ``(2, 2)``, the likeliest first."""
    height, width = grey.shape
    ratio = min(1.0, SEARCHED / max(height, width))
    found: list[tuple[float, np.ndarray]] = []
    level = _resize(grey, ratio)
    while min(level.shape) >= 2 * WINDOW // 3:
        logits, eyes = networks()[0](torch.from_numpy(even_light(level))[None, None])
        rows, columns = torch.where(logits[0] > LIKELY)
        middles = STRIDE * torch.stack([columns, rows], 1)[:, None] + 0.5
        scale = np.array([width / level.shape[1], height / level.shape[0]])
        places = (middles + WINDOW * eyes[0, rows, columns]).double().numpy() * scale
        found += zip(logits[0, rows, columns].tolist(), places, strict=True)
        level = _resize(level, STEP)
    found.sort(key=lambda pair: -pair[0])
    faces = _drop_duplicates([Face(eyes, score) for score, eyes in found[: 20 * MOST]], apart=0.5)
    return [face.eyes for face in faces[:MOST]]


def find_eyes(face: np.ndarray) -> np.ndarray | None:
    """Find the eyes in a framed picture: ``(2, 2)``, pixels; None if there is no face.

    Shape: uint8 ``(S, S, 3)``.
    """
    pyramid = build_pyramid(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY))
    found = refine_eyes(pyramid, locate_eyes(pyramid, [_eyes_in_default_crop(*face.shape[:2])]))
    return found[0].eyes if found else None


def even_light(grey: np.ndarray) -> np.ndarray:
    """Even out the light: mean 0 and spread 1 in a window about each pixel; ``(H, W)`` float32."""
    x, size = grey.astype(np.float32), (WINDOW + 1, WINDOW + 1)
    mean = cv2.blur(x, size)
    spread = cv2.sqrt(np.maximum(cv2.blur(x * x, size) - mean * mean, 0))
    return np.asarray((x - mean) / (spread + 4))


def _lean_both_ways(guess: np.ndarray) -> list[np.ndarray]:
    """A guess at a pair of eyes, upright and rotated both ways about the middle of the face."""
    middle = guess.mean(0)
    middle[1] += np.linalg.norm(guess[1] - guess[0]) / 2
    turned = []
    for lean in np.radians(LEANS):
        turn = np.array([[np.cos(lean), np.sin(lean)], [-np.sin(lean), np.cos(lean)]])
        turned.append((guess - middle) @ turn + middle)
    return turned


def _eyes_in_default_crop(height: int, width: int) -> np.ndarray:
    """Where the eyes are if the default square is already framed like the network's faces."""
    side = default_face_size(width, height)
    corner = np.array([(width - side) // 2, (height - side) // 2])
    return corner + side * np.array([VIEWED.left_eye, VIEWED.right_eye])


def _judge(pyramid: Sequence[np.ndarray], face: Face) -> Face:
    """Add both judges' verdicts to a face's score. The cascade is asked only if it can decide."""
    score = face.score + CHECKED * face.check
    if score + CONFIRMED > BELIEVED and _cascade_confirms(pyramid, face):
        score += CONFIRMED
    return replace(face, score=score)


def _cascade_confirms(pyramid: Sequence[np.ndarray], face: Face) -> bool:
    """Whether the cascade sees a face there too, after turning it upright."""
    side, frame = UPRIGHT
    places = side / 2 + frame * (np.array([_BOX.left_eye, _BOX.right_eye]) - 0.5)
    patch = cut_patch(pyramid, similarity(face.eyes, places), side)
    least, most = round(0.7 * frame), round(1.4 * frame)
    return len(find_boxes(FRONTAL, patch, 1, least, most)) > 0


def _resize(grey: np.ndarray, ratio: float) -> np.ndarray:
    if ratio == 1:
        return grey
    size = [max(1, round(side * ratio)) for side in grey.shape[::-1]]
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def _drop_duplicates(faces: Sequence[Face], apart: float = 1.0) -> list[Face]:
    """Drop faces that nearly coincide with a better one; the best come first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        middle, size = face.eyes.mean(0), face.distance
        if all(
            np.linalg.norm(middle - other.eyes.mean(0)) > apart * max(size, other.distance)
            for other in kept
        ):
            kept.append(face)
    return kept
