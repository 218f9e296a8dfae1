"""How `invert` and `mix` frame the face in a photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from ..core.checks import check_range
from ..core.errors import ImageError
from ..core.memory import memory_errors
from ..faces import detect
from ..faces.align import frame_crop, in_photo
from ..faces.choose import Choice, choose_in_photo
from ..faces.config import CropConfig, Frame
from ..faces.crop import crop_face, default_face_size, find_photo
from ..faces.eyes import Face
from ..pictures import images
from ..pictures.photo import Photo, Source, name_of
from ._model import Failure, Say
from .results import Found

SHOWN = 448  # height of the photo and of the crop in the picture of a frame, pixels
CORNERS = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
_NUMBERS = "frame it by hand with `face_size`, `delta_i`, `delta_j` and `rotation`"
_MIDDLE = "use `align=False` for the square in the middle"
# For `mix`, where the four numbers are for one photo.
FRAME_FIRST = (
    f"{_NUMBERS} (if there are more photos, invert it so and mix the latent), or {_MIDDLE}"
)


@dataclass(frozen=True)
class Framing:
    """How to frame. If any of the four numbers is given, no face is searched for."""

    crop: CropConfig = field(default_factory=CropConfig)
    align: bool = True
    face: int | None = None  # which of several, from 1, left to right; None: the most prominent
    show: bool = False  # draw each frame on its photo
    hint: str = f"{_NUMBERS}, or {_MIDDLE}"  # where no face is found

    def __post_init__(self) -> None:
        if self.face is not None:
            check_range("face", self.face, 1)

    @property
    def by_hand(self) -> bool:
        """Whether any of the four numbers is given."""
        return self.crop != CropConfig()

    @property
    def searches(self) -> bool:
        """Whether to search for faces."""
        return self.align and not self.by_hand


@dataclass(frozen=True)
class Framed:
    """A cropped photo."""

    name: str
    face: np.ndarray  # uint8 (S, S, 3)
    crop: CropConfig
    shown: np.ndarray | None = None  # uint8 (H, W, 3): the photo with its frame, and the crop
    inside: np.ndarray | None = None  # float32 (S, S): how much of a pixel is photo; None: all is


def frame_photo(photo: Photo, size: int, frame: Frame, framing: Framing, say: Say) -> Framed:
    """Find the face asked for and crop it to ``size`` pixels. Raises `ImageError`.

    A picture drawn by this program is already framed exactly, so it is not searched.
    """
    image, is_drawn = photo.pixels, images.LATENT_KEY in photo.text
    searches = framing.searches and not (framing.face is None and is_drawn)
    face = _choose_face(photo, framing, say) if searches else None
    if face is not None:
        crop = frame_crop(face.eyes, image.shape[1], image.shape[0], frame)
    else:
        side = framing.crop.face_size or default_face_size(image.shape[1], image.shape[0])
        crop = replace(framing.crop, face_size=side)
    cut = crop_face(image, size, crop, extend=face is not None)
    shown = _draw_frame(image, face, crop, cut) if framing.show else None
    width, height = image.shape[1], image.shape[0]
    inside = find_photo(width, height, size, crop, extend=face is not None)
    return Framed(photo.name, cut, crop, shown, inside)


def find_all(sources: Sequence[Source], frame: Frame, on_failure: Failure | None) -> list[Found]:
    """The faces of each photo, left to right. A photo without a face raises or is reported."""
    found: list[Found] = []

    def find(photo: Photo) -> None:
        height, width = photo.pixels.shape[:2]
        for number, face in enumerate(_find_faces(photo), start=1):
            left, right = (tuple(eye.round(1).tolist()) for eye in face.eyes)
            crop = frame_crop(face.eyes, width, height, frame)
            found.append(Found(photo.name, number, left, right, crop))

    each_photo(sources, find, on_failure)
    return found


def each_photo(
    sources: Sequence[Source], do: Callable[[Photo], None], on_failure: Failure | None
) -> None:
    """Read each photo and do something with it; a failure raises or is reported.

    Any error is one photo's, a bug too: the others are not to suffer.
    """
    for source in sources:
        name = name_of(source)
        try:
            with memory_errors(name, hint="shrink it"):
                do(Photo.read(source))
        except Exception as error:
            if on_failure is None:
                raise
            on_failure(name, error)


def stack_frames(framed: Sequence[Framed]) -> np.ndarray | None:
    """Stack the pictures of the frames; None if none were drawn."""
    shown = [item.shown for item in framed if item.shown is not None]
    if not shown:
        return None
    return images.vstack(shown)


def _find_faces(photo: Photo, hint: str = "is it upright, and large enough?") -> list[Face]:
    faces = detect.find_faces(photo.pixels)
    if not faces:
        raise ImageError(f"{photo.name}: no face found", hint=hint)
    return faces


def _choose_face(photo: Photo, framing: Framing, say: Say) -> Face:
    """The face asked for, or the most prominent; if that is in doubt, it is said."""
    faces = _find_faces(photo, framing.hint)
    if framing.face is None:
        choice = choose_in_photo(faces, photo.pixels)
        if choice.doubts:
            say(f"{photo.name}: {_tell(choice, len(faces))}")
        return choice.face
    if framing.face > len(faces):
        count = f"{len(faces)} face{'s' if len(faces) > 1 else ''}"
        hint = "`faces` lists them"
        raise ImageError(f"{photo.name} has {count}, not {framing.face}", hint=hint)
    return faces[framing.face - 1]


def _tell(choice: Choice, count: int) -> str:
    """Which face is taken, why that may be wrong, and what to do then."""
    x, y = choice.face.eyes.mean(0).round().astype(int).tolist()
    which, others = f"face {choice.number} of {count}", "`face` takes another"
    if count == 1:
        which, others = "the only face found", "`face_size`, `delta_i` and `delta_j` frame another"
    return (
        f"taking {which}, its eyes about ({x}, {y}), but {' and '.join(choice.doubts)}: "
        f"`show_crop` shows it, {others}"
    )


def _draw_frame(
    image: np.ndarray, face: Face | None, crop: CropConfig, cut: np.ndarray
) -> np.ndarray:
    """Draw the frame and the eyes on the photo, and put the crop beside it."""
    ratio = SHOWN / image.shape[0]
    size = (max(1, round(image.shape[1] * ratio)), SHOWN)
    photo = cv2.resize(image, size, interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC)
    square = in_photo(CORNERS, crop, image.shape[1], image.shape[0]) * ratio
    cv2.polylines(photo, [square.round().astype(np.int32)], True, (0, 255, 0), 2, cv2.LINE_AA)
    for x, y in [] if face is None else (face.eyes * ratio).round().astype(int):
        cv2.circle(photo, (int(x), int(y)), 4, (255, 64, 64), 2, cv2.LINE_AA)
    large = cv2.resize(cut, (SHOWN, SHOWN), interpolation=cv2.INTER_CUBIC)
    return np.concatenate([photo, large], axis=1)
