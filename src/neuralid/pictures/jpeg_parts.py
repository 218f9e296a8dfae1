"""Large JPEG files, made a strip at a time: Pillow copies a picture whole, at four bytes a pixel.

Each strip is compressed by itself, with the same tables, and their scans are joined by restart
markers (ITU-T T.81, sections B.2.4.4 and E.1.4). The file decodes to what Pillow's own would.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

LONGEST = 65_500  # side of a JPEG, by libjpeg's count
MOST_UNITS = 65_535  # between two restart markers
STRIP = 1 << 22  # about so many values are compressed at a time
_UNIT = 16  # rows of the tallest unit that is compressed at once
_START, _END = b"\xff\xd8", b"\xff\xd9"  # markers, as are the next
_FRAME, _SCAN, _RESTARTS = b"\xff\xc0", b"\xff\xda", b"\xff\xdd"
_FIRST = 0xD0  # of the eight restart markers, which take turns


def can_encode(image: np.ndarray) -> bool:
    """Whether it is a uint8 picture without alpha, of sides that JPEG has."""
    is_plain = image.ndim == 2 or image.shape[2] == 3
    return image.dtype == np.uint8 and is_plain and max(image.shape[:2]) <= LONGEST


def encode_parts(image: np.ndarray, **options: Any) -> Iterator[bytes]:
    """The parts of a JPEG file, made one after the other, with Pillow's ``options`` of saving.

    Shape: uint8 ``(H, W)`` for grey or ``(H, W, 3)``
    """
    rows = _rows_of(image)
    for number, start in enumerate(range(0, len(image), rows)):
        buffer = io.BytesIO()
        Image.fromarray(image[start : start + rows]).save(buffer, "JPEG", **options)
        segments, scan = _split(buffer.getvalue())
        if number == 0:
            yield from _head(segments, image.shape, rows)
        else:
            yield bytes([0xFF, _FIRST + (number - 1) % 8])
        yield scan
    yield _END


def _rows_of(image: np.ndarray) -> int:
    """Rows of a strip: whole units, of which there are not too many."""
    height, width = image.shape[:2]
    wanted = STRIP // image[0].size // _UNIT
    most = MOST_UNITS // (2 * math.ceil(width / 8))  # a grey picture's units are 8 pixels wide
    return min(max(1, min(wanted, most)) * _UNIT, math.ceil(height / _UNIT) * _UNIT)


def _split(content: bytes) -> tuple[list[bytes], bytes]:
    """The segments of a file, from the first after its start to the scan's head; and the scan."""
    segments: list[bytes] = []
    place = len(_START)
    while not segments or segments[-1][:2] != _SCAN:
        (length,) = struct.unpack_from(">H", content, place + 2)
        segments.append(content[place : place + 2 + length])
        place += 2 + length
    return segments, content[place : -len(_END)]


def _head(segments: list[bytes], shape: tuple[int, ...], rows: int) -> Iterator[bytes]:
    """A strip's segments as those of the whole: with its height, and how long a strip is."""
    frame = next(each for each in segments if each[:2] == _FRAME)
    across, down = _unit(frame)
    yield _START
    for each in segments[:-1]:
        yield each if each != frame else frame[:5] + struct.pack(">H", shape[0]) + frame[7:]
    yield _RESTARTS + struct.pack(">HH", 4, rows // down * math.ceil(shape[1] / across))
    yield segments[-1]


def _unit(frame: bytes) -> tuple[int, int]:
    """Width and height of what is compressed at once, from the components' sampling factors."""
    factors = frame[11 : 11 + 3 * frame[9] : 3]
    if len(factors) == 1:
        return 8, 8
    return 8 * max(each >> 4 for each in factors), 8 * max(each & 15 for each in factors)
