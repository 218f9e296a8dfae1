"""Put a face back into the photo, in the place that a crop cuts out.

References
----------
.. [1] P. Pérez et al., "Poisson Image Editing", SIGGRAPH 2003: what `seamlessClone` does.
"""

from __future__ import annotations

import cv2
import numpy as np

from .align import in_photo
from .config import CropConfig
from .crop import default_face_size

# The part of the square that is put back, in sides of the square: from brows to chin, inside the
# cheeks, so that neither hair nor background bleeds into the face.
MIDDLE = (0.5, 0.53)
OVAL = (0.34, 0.41)  # half axes
# Bytes that putting back takes, measured at the peak: for each pixel of the photo and the room
# around it, and for each of the square, whose gradients are blended.
OF_PHOTO, OF_SQUARE = 12.0, 90.0
_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])


def put_back(photo: np.ndarray, face: np.ndarray, crop: CropConfig) -> np.ndarray:
    """The photo with ``face`` in the place that ``crop`` cuts out, blended by its gradients [1]_.

    Only an oval of the square is used; the photo's light at its edge carries over into the face.

    Shape: uint8 ``(H, W, 3)``, ``(F, F, 3)`` of any side -> ``(H, W, 3)``.
    """
    height, width = photo.shape[:2]
    side = crop.face_size or default_face_size(width, height)
    corners = in_photo(_CORNERS, crop, width, height)
    beyond = int(max(0, np.ceil(side)))  # room for the parts of the square outside the photo
    canvas = cv2.copyMakeBorder(photo, beyond, beyond, beyond, beyond, cv2.BORDER_REPLICATE)

    there = (corners + beyond - 0.5).astype(np.float32)
    here = (_CORNERS * face.shape[0] - 0.5).astype(np.float32)
    matrix = cv2.getAffineTransform(here, there)
    size = canvas.shape[1::-1]
    kind = cv2.INTER_CUBIC if face.shape[0] < side else cv2.INTER_AREA
    laid = cv2.warpAffine(face, matrix, size, flags=kind, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(_oval(face.shape[0]), matrix, size, flags=cv2.INTER_NEAREST)
    mask[:beyond], mask[-beyond:], mask[:, :beyond], mask[:, -beyond:] = 0, 0, 0, 0
    x, y, w, h = cv2.boundingRect(mask)
    if w < 3 or h < 3:
        return photo
    mixed = cv2.seamlessClone(laid, canvas, mask, (x + w // 2, y + h // 2), cv2.NORMAL_CLONE)
    return mixed[beyond : beyond + height, beyond : beyond + width]


def needed_memory(height: int, width: int, side: int) -> float:
    """About how many bytes `put_back` takes for a photo and a square of these pixels."""
    return OF_PHOTO * (height + 2 * side) * (width + 2 * side) + OF_SQUARE * side**2


def _oval(side: int) -> np.ndarray:
    mask = np.zeros((side, side), np.uint8)
    axes = tuple(round(half * side) for half in OVAL)
    middle = tuple(round(place * side) for place in MIDDLE)
    return np.asarray(cv2.ellipse(mask, middle, axes, 0, 0, 360, 255, -1))
