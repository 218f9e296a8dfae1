"""One sheet that shows a picture enlarged by every method, with a detail of each.

Letters in shapes: H W the picture's sides.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from .enlarge import upscale_array
from .loading import list_available
from .opencv import nearest
from .picture import luma, split, to_planes

SIDE = 224  # pixels: the part of a result that is shown, at most, and its detail
ZOOM = 4  # how much the detail is magnified, each pixel a square
LABEL = 26  # pixels high
GAP = 8  # pixels between pictures
COLUMNS = 6
MARK = (255, 96, 0)  # colour of the frame around the detail
PAGE = 225  # grey, so that white borders of pictures show


def sheet(
    image: np.ndarray,
    scale: float,
    filters: Sequence[str] = (),
    *,
    consistent: bool = False,
    device: str | torch.device = "cpu",
) -> np.ndarray:
    """Each available method's result and a detail of it, labelled: uint8 ``(H, W, 3)``.

    The detail is where there are most edges. Of a large result only the surroundings of the detail
    are shown, at full resolution. A sheet of twelve methods is at most 1400x988 pixels.
    Raises as `upscale_array`.
    """
    row, column = find_busiest(luma(split(to_planes(image))[0]), SIDE / ZOOM / scale)
    cells = []
    for name in list_available():
        large = upscale_array(image, scale, name, filters, consistent=consistent, device=device)
        middle = round((row + 0.5) * scale), round((column + 0.5) * scale)
        cells.append(_draw_cell(f"{name} {scale:g}x", _lay_on_white(large), middle))
    return _lay_out(cells)


def find_busiest(light: np.ndarray, side: float) -> tuple[int, int]:
    """The centre of the square of ``side`` pixels with the most edge energy in ``(H, W)``.

    Energy is the square root of the gradient's length, so that an eye or hair counts for more than
    one hard straight edge.
    """
    slopes = cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1)
    energy = np.sqrt(np.hypot(*slopes))
    height, width = (max(1, min(round(side), length)) for length in light.shape)
    sums = cv2.boxFilter(energy, -1, (width, height), borderType=cv2.BORDER_CONSTANT)
    top, left = height // 2, width // 2
    inside = sums[top : top + light.shape[0] - height + 1, left : left + light.shape[1] - width + 1]
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(row) + top, int(column) + left


def _draw_cell(label: str, large: np.ndarray, middle: tuple[int, int]) -> np.ndarray:
    """A label, the surroundings of ``middle``, and the detail there: uint8 ``(*, SIDE, 3)``."""
    top, left, height, width = _window(large, middle, SIDE)
    detail_top, detail_left, rows, columns = _window(large, middle, SIDE // ZOOM)
    detail = large[detail_top : detail_top + rows, detail_left : detail_left + columns]
    zoomed = nearest(detail, rows * ZOOM, columns * ZOOM)
    shown = large[top : top + height, left : left + width].copy()
    corner = detail_left - left, detail_top - top
    opposite = corner[0] + columns - 1, corner[1] + rows - 1
    cv2.rectangle(shown, corner, opposite, MARK)
    return np.concatenate([_draw_label(label), _put_in_square(shown), _put_in_square(zoomed)])


def _window(large: np.ndarray, middle: tuple[int, int], side: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of a square around ``middle``, moved to lie inside."""
    height, width = (min(side, length) for length in large.shape[:2])
    top = min(max(middle[0] - height // 2, 0), large.shape[0] - height)
    left = min(max(middle[1] - width // 2, 0), large.shape[1] - width)
    return top, left, height, width


def _draw_label(text: str) -> np.ndarray:
    strip = np.full((LABEL, SIDE, 3), PAGE, np.uint8)
    place = (2, LABEL - 9)
    cv2.putText(strip, text, place, cv2.FONT_HERSHEY_DUPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def _put_in_square(picture: np.ndarray) -> np.ndarray:
    """A picture in the corner of an empty square, with a gap below."""
    square = np.full((SIDE + GAP, SIDE, 3), PAGE, np.uint8)
    square[: picture.shape[0], : picture.shape[1]] = picture
    return square


def _lay_out(cells: Sequence[np.ndarray]) -> np.ndarray:
    height, width = cells[0].shape[:2]
    rows = -(-len(cells) // COLUMNS)
    columns = min(len(cells), COLUMNS)
    page = np.full((rows * height + GAP, columns * (width + GAP) + GAP, 3), PAGE, np.uint8)
    for index, cell in enumerate(cells):
        top, left = index // COLUMNS * height + GAP, index % COLUMNS * (width + GAP) + GAP
        page[top : top + height, left : left + width] = cell
    return page


def _lay_on_white(image: np.ndarray) -> np.ndarray:
    """Any picture of `upscale_array` as uint8 ``(H, W, 3)``, transparency laid on white."""
    planes = to_planes(image)
    if planes.shape[2] in (2, 4):
        alpha = planes[..., -1:]
        planes = planes[..., :-1] + 1 - alpha
    eight = (planes * np.iinfo(np.uint8).max).round().astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(eight, (*eight.shape[:2], 3)))
