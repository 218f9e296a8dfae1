"""PNG files that Pillow cannot write, or only in much memory (PNG specification, 2003).

Those are colours of 16 bits, which it reads as 8 too, and pictures so large that its copy of them,
four bytes a pixel, counts. Text is ASCII: recipes and latents are written so.

Shape: uint8 or uint16 ``(H, W)`` for grey, ``(H, W, C)``, C 2 (grey and alpha), 3 or 4.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # number of channels -> colour type in the header
UP = 2  # the filter that subtracts from each row the one above
STRIP = 1 << 20  # about so many bytes are compressed at a time


def is_deep(start: bytes) -> bool:
    """Whether a file is a PNG of 16 bits and several channels, by its first 26 bytes."""
    return (
        len(start) >= 26
        and start[:8] == SIGNATURE
        and start[24] == 16
        and start[25] in (COLOUR_TYPES[2], COLOUR_TYPES[3], COLOUR_TYPES[4])
    )


def decode(content: bytes) -> np.ndarray | None:
    """Decode a file for which `is_deep` holds; None if that fails."""
    values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        return None
    if content[25] == COLOUR_TYPES[2]:  # OpenCV repeats the grey in each colour
        return values[..., [0, -1]]
    order = [2, 1, 0, 3][: values.shape[2]]
    return np.ascontiguousarray(values[..., order])


def encode(
    image: np.ndarray, profile: bytes | None = None, text: dict[str, str] | None = None
) -> bytes:
    """A picture, with its colour profile and text, as the bytes of a PNG file."""
    return b"".join(encode_parts(image, profile, text))


def encode_parts(
    image: np.ndarray, profile: bytes | None = None, text: dict[str, str] | None = None
) -> Iterator[bytes]:
    """The same in parts, made one after the other."""
    height, width = image.shape[:2]
    bits, channels = 8 * image.dtype.itemsize, image[0, 0].size
    header = struct.pack(">IIBBBBB", width, height, bits, COLOUR_TYPES[channels], 0, 0, 0)
    yield SIGNATURE + _chunk(b"IHDR", header)
    if profile is not None:
        yield _chunk(b"iCCP", b"ICC\0\0" + zlib.compress(profile))
    for key, value in (text or {}).items():
        yield _chunk(b"tEXt", f"{key}\0{value}".encode())
    compressor = zlib.compressobj()
    for strip in _filtered(image):
        if pixels := compressor.compress(strip.data):
            yield _chunk(b"IDAT", pixels)
    yield _chunk(b"IDAT", compressor.flush()) + _chunk(b"IEND", b"")


def _filtered(image: np.ndarray) -> Iterator[np.ndarray]:
    """Some rows at a time, each less the one above and behind its filter: uint8 ``(rows, *)``."""
    length = image[0].nbytes
    above = np.zeros((1, length), np.uint8)
    count = max(1, STRIP // length)
    for start in range(0, len(image), count):
        part = image[start : start + count]
        part = np.ascontiguousarray(part, ">u2" if image.dtype == np.uint16 else np.uint8)
        rows = part.view(np.uint8).reshape(len(part), length)
        filtered = np.full((len(rows), 1 + length), UP, np.uint8)
        filtered[:, 1:] = rows - np.concatenate([above, rows[:-1]])  # modulo 256, as specified
        above = rows[-1:]
        yield filtered


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
