"""Find people in profile, whose face is not looked for: one may be meant.

Shapes: H and W are the photo's sides, N is the number of heads.
"""

from __future__ import annotations

import cv2
import numpy as np

from .cascades import PROFILE, find_boxes
from .eyes import Face

SEARCHED = 384  # longer side, in pixels, of the photo in which heads are looked for
SMALLEST = 20  # side of the cascade's window, pixels
AGREEING = 3  # windows of the cascade that have to agree on a head
HEAD = 2.6  # side of the cascade's square, in distances between the eyes of a face in it
BELOW = 0.26  # how far its middle lies below the eyes, in the same
LARGE = 0.85  # a head that has less than this share of a face's size is not meant instead of it
APART = 0.6  # closer together, in sides of the head's square, both are one


def is_beside_profile(photo: np.ndarray, face: Face) -> bool:
    """Whether someone in profile is about as large as a face, or larger, and is not that face.

    Shape: uint8 ``(H, W, 3)``.
    """
    heads = find_profiles(photo, LARGE * HEAD * face.distance)
    along = face.eyes[1] - face.eyes[0]
    middle = face.eyes.mean(0) + BELOW * np.array([-along[1], along[0]])
    apart = np.linalg.norm(heads[:, :2] + heads[:, 2:] / 2 - middle, axis=1)
    return bool((apart > APART * heads[:, 2]).any())


def find_profiles(photo: np.ndarray, least: float) -> np.ndarray:
    """Squares about heads in profile, to either side: ``(N, 3)``, left, top and side in pixels.

    The cascade sees faces from the front too. Squares smaller than ``least`` are not looked for.

    Shape: uint8 ``(H, W, 3)``.
    """
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    ratio = min(1.0, SEARCHED / max(grey.shape))
    size = [max(1, round(side * ratio)) for side in grey.shape[::-1]]
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    side = max(SMALLEST, round(least * ratio))
    if side > min(small.shape):
        return np.zeros((0, 3))
    left = find_boxes(PROFILE, small, AGREEING, side)
    right = find_boxes(PROFILE, np.ascontiguousarray(small[:, ::-1]), AGREEING, side)
    right[:, 0] = small.shape[1] - right[:, 0] - right[:, 2]
    return np.concatenate([left, right]) / ratio
