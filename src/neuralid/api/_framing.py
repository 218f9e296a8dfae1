"""How `invert` and `mix` frame the face in a photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from ..core.checks import check_range
from ..core.errors import ImageError, NeuralidError
from ..faces import align, detect
from ..faces.align import frame_crop
from ..faces.config import CropConfig, Frame
from ..faces.crop import crop_face, default_face_size
from ..faces.eyes import Face
from ..pictures import images
from ..weights import load_weights
from ._studio import Failure, Studio

SHOWN = 448  # height of the photo and of the crop in the picture of a frame, pixels
CORNERS = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
_MANUAL = "frame it by hand with --face-size, --delta-i, --delta-j and --rotation, or --no-align"


@dataclass(frozen=True)
class Framing:
    """What was asked for. Numbers given by hand are followed, and nothing is looked for."""

    crop: CropConfig = field(default_factory=CropConfig)
    align: bool = True
    face: int | None = None  # which of several, from 1, left to right; None: the largest

    def __post_init__(self) -> None:
        if self.face is not None:
            check_range("face", self.face, 1)

    @property
    def looks(self) -> bool:
        """Whether faces are looked for."""
        return self.align and self.crop == CropConfig()


@dataclass(frozen=True)
class Framed:
    """A photo, read and cropped."""

    photo: Path
    face: np.ndarray  # uint8 (S, S, 3)
    crop: CropConfig
    shown: np.ndarray | None = None  # uint8 (H, W, 3): the frame drawn on the photo, the crop


@dataclass(frozen=True)
class Found:
    """A face in a photo, as `find_faces` lists it; pixels from the upper left corner."""

    photo: Path
    number: int  # from 1, left to right
    left_eye: tuple[float, float]  # (x, y) of the one on the picture's left
    right_eye: tuple[float, float]
    crop: CropConfig  # the four numbers that frame it


def find_faces(
    photos: Sequence[str | Path],
    *,
    weights: str | Path | None = None,
    on_failure: Failure | None = None,
) -> list[Found]:
    """The faces in each photo, left to right, and how the weights would have them framed.

    A photo that fails or shows no face raises `ImageError`, or, with ``on_failure(photo, error)``,
    is passed over. Raises `WeightsError` too.
    """
    frame = load_weights(weights).description.frame or Frame()
    found: list[Found] = []

    def look(photo: Path) -> None:
        image = images.load_rgb(photo)
        for number, face in enumerate(_faces(photo, image), start=1):
            left, right = (tuple(eye.round(1).tolist()) for eye in face.eyes)
            crop = frame_crop(face.eyes, image.shape[1], image.shape[0], frame)
            found.append(Found(photo, number, left, right, crop))

    _each([Path(photo) for photo in photos], look, on_failure)
    return found


def frame_all(
    photos: Sequence[Path],
    studio: Studio,
    framing: Framing,
    on_failure: Failure | None,
    say: Callable[[str], None],
    *,
    show: bool = False,
) -> list[Framed]:
    """Read and crop each photo; one that fails raises or is reported.

    With ``show``, the picture of its frame comes along.
    """
    framed: list[Framed] = []

    def add(photo: Path) -> None:
        image = images.load_rgb(photo)
        looks = framing.looks and not (framing.face is None and _is_drawn(photo))
        face = _chosen(photo, image, framing, say) if looks else None
        if face is not None:
            crop = frame_crop(face.eyes, image.shape[1], image.shape[0], studio.frame)
        else:
            side = framing.crop.face_size or default_face_size(image.shape[1], image.shape[0])
            crop = replace(framing.crop, face_size=side)
        cut = crop_face(image, studio.size, crop, extend=face is not None)
        shown = _drawn(image, face, crop, cut) if show else None
        framed.append(Framed(photo, cut, crop, shown))

    _each(photos, add, on_failure)
    return framed


def save_frames(path: str | Path | None, framed: Sequence[Framed]) -> None:
    """Write the pictures of the frames to one file, one below the other."""
    shown = [item.shown for item in framed if item.shown is not None]
    if path is None or not shown:
        return
    width = max(picture.shape[1] for picture in shown)
    rows = [np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0))) for p in shown]
    images.save_picture(Path(path), np.concatenate(rows))


def _each(photos: Sequence[Path], do: Callable[[Path], None], on_failure: Failure | None) -> None:
    for photo in photos:
        try:
            do(photo)
        except NeuralidError as error:
            if on_failure is None:
                raise
            on_failure(photo, error)


def _is_drawn(photo: Path) -> bool:
    """Whether this program drew the picture: then it is framed, to the pixel."""
    is_png = photo.suffix.lower() == ".png"
    return is_png and images.read_text(photo, images.LATENT_KEY) is not None


def _faces(photo: Path, image: np.ndarray) -> list[Face]:
    faces = detect.find_faces(image)
    if not faces:
        raise ImageError(f"{photo}: no face found", hint=_MANUAL)
    return faces


def _chosen(photo: Path, image: np.ndarray, framing: Framing, say: Callable[[str], None]) -> Face:
    """The face asked for, or the largest."""
    faces = _faces(photo, image)
    if framing.face is None:
        if len(faces) > 1:
            say(f"{photo}: {len(faces)} faces; taking the largest (--face N takes another)")
        return max(faces, key=lambda face: face.distance)
    if framing.face > len(faces):
        count = f"{len(faces)} face{'s' if len(faces) > 1 else ''}"
        raise ImageError(f"{photo} has {count}, not {framing.face}", hint="--faces lists them")
    return faces[framing.face - 1]


def _drawn(image: np.ndarray, face: Face | None, crop: CropConfig, cut: np.ndarray) -> np.ndarray:
    """The photo with the frame and the eyes drawn on it, and the crop beside it."""
    ratio = SHOWN / image.shape[0]
    size = (max(1, round(image.shape[1] * ratio)), SHOWN)
    photo = cv2.resize(image, size, interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC)
    square = align.in_photo(CORNERS, crop, image.shape[1], image.shape[0]) * ratio
    cv2.polylines(photo, [square.round().astype(np.int32)], True, (0, 255, 0), 2, cv2.LINE_AA)
    for x, y in [] if face is None else (face.eyes * ratio).round().astype(int):
        cv2.circle(photo, (int(x), int(y)), 4, (255, 64, 64), 2, cv2.LINE_AA)
    large = cv2.resize(cut, (SHOWN, SHOWN), interpolation=cv2.INTER_CUBIC)
    return np.concatenate([photo, large], axis=1)
