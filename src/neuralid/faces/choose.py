"""Which of a photo's faces is meant, and how sure that is.

Letters in shapes: N is the number of places, H and W are the photo's sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .config import Frame
from .eyes import Face, similarity
from .profiles import is_beside_profile

EDGE = 1.5  # how much less a face counts for the share of its square beyond the photo's edge
AWAY = 0.25  # and for lying as far from the photo's middle as a corner does
SURE = 9.5  # the highest score seen of what is no face is 9.4; one face in a hundred scores less
CUT = 0.2  # share of the square beyond the edge from which a face counts as cut off
RIVAL = 0.5  # another face that counts this share of the first may be the one that is meant
SMALL = 0.25  # side of a small face's square, in sides of the photo, the shorter one
ASIDE = (0.4, 0.25)  # how far a face lies aside, in halves of the photo's width; a small face
_EYES = np.array([Frame().left_eye, Frame().right_eye])
_GRID = (np.stack(np.meshgrid(np.arange(8), np.arange(8)), 2).reshape(-1, 2) + 0.5) / 8


@dataclass(frozen=True)
class Choice:
    """The face that is taken."""

    face: Face
    number: int  # from 1, left to right
    doubts: list[str]  # why another may be meant, or it is none; empty if that is unlikely


def choose_face(faces: Sequence[Face], width: int, height: int) -> Choice:
    """The most prominent of the faces in a photo: large, whole, and near the middle."""
    ranks = [prominence(face, width, height) for face in faces]
    first, *others = sorted(range(len(faces)), key=lambda index: -ranks[index])
    doubts = doubts_about(faces[first], width, height)
    if others and ranks[others[0]] > RIVAL * ranks[first]:
        doubts.append("another may be meant")
    return Choice(faces[first], first + 1, doubts)


def choose_in_photo(faces: Sequence[Face], photo: np.ndarray) -> Choice:
    """As `choose_face`, and if nothing else is in doubt, people in profile are looked for too.

    Shape: uint8 ``(H, W, 3)``.
    """
    choice = choose_face(faces, photo.shape[1], photo.shape[0])
    if choice.doubts or not is_beside_profile(photo, choice.face):
        return choice
    return replace(choice, doubts=["someone in profile may be meant"])


def prominence(face: Face, width: int, height: int) -> float:
    """How likely a face is the one that is meant: the distance of its eyes, less what it lacks."""
    whole = max(0.1, 1 - EDGE * beyond_edge(face, width, height))
    half = np.array([width, height]) / 2
    away = float(np.linalg.norm((face.eyes.mean(0) - half) / half)) / np.sqrt(2)
    return face.distance * whole * (1 - AWAY * min(1.0, away))


def doubts_about(face: Face, width: int, height: int) -> list[str]:
    """Why a face may be none, or not the one that is meant."""
    aside = abs(float(face.eyes[:, 0].mean()) - width / 2) / (width / 2)
    is_small = _side(face) < SMALL * min(width, height)
    found = {
        "it hardly looks like a face": face.score < SURE,
        "the edge cuts it off": beyond_edge(face, width, height) > CUT,
        "it is far from the middle": aside > ASIDE[is_small],
    }
    return [doubt for doubt, holds in found.items() if holds]


def beyond_edge(face: Face, width: int, height: int) -> float:
    """The share of the square about a face that is beyond the photo's edge."""
    back = similarity(_EYES, face.eyes)
    places = _GRID @ back[:, :2].T + back[:, 2]  # (N, 2)
    inside = ((places >= 0) & (places <= [width, height])).all(1)
    return float(1 - inside.mean())


def _side(face: Face) -> float:
    """Of the square about a face, pixels."""
    return face.distance / float(np.linalg.norm(_EYES[1] - _EYES[0]))
