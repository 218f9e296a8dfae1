"""Work out the paper's four numbers, so that a face's eyes land where the network expects them.

Places are (x, y) in pixels from the photo's upper left corner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from .config import CropConfig, Frame
from .crop import default_face_size
from .detect import find_eyes

# The most that eyes spread where faces are framed alike: 0.006 in UTKFace, 0.013 in CelebA; in
# portraits of all kinds it is 0.045.
ALIKE = 0.03


def frame_crop(eyes: np.ndarray, width: int, height: int, frame: Frame) -> CropConfig:
    """The four numbers that move a photo's eyes to the places in ``frame``.

    Shape: eyes ``(2, 2)``, as in `Face`.
    """
    wanted = np.array([frame.left_eye, frame.right_eye])
    here, there = eyes[1] - eyes[0], wanted[1] - wanted[0]
    turn = math.atan2(here[1], here[0]) - math.atan2(there[1], there[0])
    side = float(np.linalg.norm(here) / np.linalg.norm(there))
    face_size = max(8, round(side))

    # Pillow rotates about the photo's centre, anticlockwise, with y pointing down.
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
    """Map places in the square to pixels in the photo: the inverse of `frame_crop`.

    Shape: ``(N, 2)``, fractions of the square's side -> ``(N, 2)``.
    """
    side = crop.face_size or default_face_size(width, height)
    corner = [(width - side) // 2 + crop.delta_j, (height - side) // 2 + crop.delta_i]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), crop.rotation, 1.0)
    back = cv2.invertAffineTransform(turn)
    return np.asarray((np.array(corner) + side * places) @ back[:, :2].T + back[:, 2])


def measure_frame(faces: np.ndarray) -> Frame | None:
    """Median eye places in framed faces; None if fewer than half of them look like faces.

    Shape: uint8 ``(N, S, S, 3)``.
    """
    return measure_eyes(faces).frame


@dataclass(frozen=True)
class Eyes:
    """Where framed faces have their eyes, as shares of a side."""

    frame: Frame | None  # their median places; None if fewer than half look like faces
    found: float  # share of the faces in which they were found
    spread: float  # standard deviation of their middle, across or down, or of their distance

    @property
    def are_alike(self) -> bool:
        """Whether the faces are framed alike, as a generator needs them."""
        return self.frame is not None and self.spread <= ALIKE


def measure_eyes(faces: np.ndarray) -> Eyes:
    """Find the eyes in framed faces.

    Shape: uint8 ``(N, S, S, 3)``.
    """
    eyes = [find_eyes(face) for face in faces]
    places = np.array([pair / faces.shape[1] for pair in eyes if pair is not None])
    if len(places) < len(faces) / 2 or not len(places):
        return Eyes(None, len(places) / max(1, len(faces)), 0.0)
    left, right = np.median(places, axis=0).round(4).tolist()
    middles = places.mean(1).std(0)
    distances = np.linalg.norm(places[:, 1] - places[:, 0], axis=1).std()
    spread = float(max(*middles, distances))
    return Eyes(Frame(tuple(left), tuple(right)), len(places) / len(faces), spread)
