"""Plain JPEG files decoded by OpenCV: what Pillow gives, bit for bit, without Pillow's bookkeeping.

That takes as long as decoding itself where pictures are small. Both programs use libjpeg-turbo;
`agrees` finds out whether theirs give the same pixels here. OpenCV's prints what it finds wrong
with a file, so this is for processes whose stderr is closed to libraries.
"""

from __future__ import annotations

import io
import re
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image

_START = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"  # with a first segment of the usual length
_AFTER = 20  # bytes to the next segment
_TABLES = (0xDB, 0xC4, 0xDD, 0xFE)  # quantisation, Huffman, restarts, comments
_FRAME = 0xC0  # of a baseline picture
_SCAN = b"\xff\xda"  # what comes before the data
_NO_DATA = re.compile(b"\xff[^\x00\xd0-\xd7\xff]")  # a marker but restarts
_FLAGS = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


def decode_plain(content: bytes) -> np.ndarray | None:
    """A JPEG file as RGB, uint8 ``(H, W, 3)``: exactly what `images.load_rgb` gives.

    None for any but baseline files of grey or YCbCr in one scan, whole, without EXIF, profile and
    the like: those are Pillow's, with all the checks and messages.
    """
    if not (is_plain(content) and agrees()):
        return None
    return _decode(content)


def is_plain(content: bytes) -> bool:
    """Whether a file holds what any JPEG must, and nothing else; its pixels are not looked at."""
    scan = content.find(_SCAN)
    channels, pixels = _read_header(content[:scan]) if scan > 0 else (0, 0)
    most = Image.MAX_IMAGE_PIXELS or pixels
    if channels not in (1, 3) or pixels > most or content[scan + 4 : scan + 5] != bytes([channels]):
        return False
    end = _NO_DATA.search(content, scan + 4)
    return end is not None and end.group() == b"\xff\xd9" and end.end() == len(content)


@lru_cache(maxsize=64)  # pictures of one origin have the same
def _read_header(header: bytes) -> tuple[int, int]:
    """Channels, and width times height, by what comes before a picture's data.

    Both 0 unless that is one baseline frame of 8 bits a colour, and tables.
    """
    place, frame = _AFTER, b""
    while header.startswith(_START) and header[place : place + 1] == b"\xff":
        kind, length = header[place + 1], int.from_bytes(header[place + 2 : place + 4], "big")
        if kind == _FRAME and not frame:
            frame = header[place + 4 : place + 10]
        elif kind not in _TABLES or length < 2:
            return 0, 0
        place += 2 + length
    if place != len(header) or len(frame) < 6 or frame[0] != 8:
        return 0, 0
    return frame[5], int.from_bytes(frame[1:3], "big") * int.from_bytes(frame[3:5], "big")


@lru_cache(maxsize=1)
def agrees() -> bool:
    """Whether Pillow and OpenCV decode some noise to the same pixels: in a millisecond, once."""
    noise = np.random.default_rng(0).integers(0, 256, (45, 51, 3), np.uint8)
    for picture in (Image.fromarray(noise), Image.fromarray(noise[..., 0])):
        for sampling in (0, 1, 2):
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=85, subsampling=sampling)
            theirs = np.asarray(Image.open(buffer).convert("RGB"))
            ours = _decode(buffer.getvalue())
            if ours is None or not np.array_equal(theirs, ours):
                return False
    return True


def _decode(content: bytes) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), _FLAGS)
    except cv2.error:
        return None
