"""How a face is framed: frozen dataclasses that check themselves. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.checks import check_range


@dataclass(frozen=True)
class CropConfig:
    """The paper's four numbers (section 3.1), which frame every face in this program."""

    face_size: int | None = None  # side of the square cut out, pixels; None: chosen per picture
    delta_i: int = 0  # how far below the picture's centre the square's centre is, pixels
    delta_j: int = 0  # how far right of it, pixels
    rotation: float = 0.0  # degrees, anticlockwise, about the picture's centre, before the cut

    def __post_init__(self) -> None:
        if self.face_size is not None:
            check_range("face_size", self.face_size, 8, 8192)
        check_range("delta_i", self.delta_i, -(1 << 15), 1 << 15)
        check_range("delta_j", self.delta_j, -(1 << 15), 1 << 15)
        check_range("rotation", self.rotation, -360, 360)


Point = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """Where framed faces have their eyes: (x, y), fractions of the square's side from its corner.

    The defaults are UTKFace's, as people would label its eyes.
    """

    left_eye: Point = (0.302, 0.296)  # the one on the picture's left
    right_eye: Point = (0.684, 0.296)

    def __post_init__(self) -> None:
        for place in (*self.left_eye, *self.right_eye):
            check_range("an eye's place", place, 0, 1)
        check_range("the distance between the eyes", self.right_eye[0] - self.left_eye[0], 0.05, 1)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Frame:
        return cls(*(tuple(map(float, values[eye])) for eye in ("left_eye", "right_eye")))  # type: ignore[arg-type]
