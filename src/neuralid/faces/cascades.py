"""OpenCV's cascades: detectors that come with it, as files.

Shapes: H and W are a picture's sides.
"""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np

FRONTAL = "haarcascade_frontalface_alt2.xml"
PROFILE = "haarcascade_profileface.xml"  # faces that look to the picture's left
_per_thread = threading.local()


def find_boxes(
    name: str, grey: np.ndarray, neighbours: int, least: int, most: int | None = None
) -> np.ndarray:
    """The squares in which a cascade sees what it knows: ``(N, 3)``, left, top and side in pixels.

    Squares have between ``least`` and ``most`` pixels a side; ``neighbours`` is how many
    windows have to agree on each.

    Shape: uint8 ``(H, W)``.
    """
    limit = (most, most) if most is not None else (0, 0)  # OpenCV's way to say that there is none
    boxes = _cascade(name).detectMultiScale(grey, 1.1, neighbours, 0, (least, least), limit)
    return np.array(boxes, float).reshape(-1, 4)[:, :3]


def _cascade(name: str) -> cv2.CascadeClassifier:
    """One per thread: two threads cannot share a classifier."""
    known: dict[str, cv2.CascadeClassifier] = _per_thread.__dict__
    if name not in known:
        known[name] = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / name))
    return known[name]
