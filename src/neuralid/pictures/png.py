"""PNG with 16 bits per colour, which Pillow reads as 8 and cannot write (PNG specification, 2003).

Text is ASCII: recipes and latents are written so.

Shape: uint16 ``(H, W, C)``, C 2 (grey and alpha), 3 or 4.
"""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {2: 4, 3: 2, 4: 6}  # number of channels -> colour type in the header
UP = 2  # the filter that subtracts from each row the one above


def is_deep(start: bytes) -> bool:
    """Whether a file is a PNG of 16 bits and several channels, by its first 26 bytes."""
    return (
        len(start) >= 26
        and start[:8] == SIGNATURE
        and start[24] == 16
        and start[25] in COLOUR_TYPES.values()
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
    height, width, channels = image.shape
    rows = image.astype(">u2").view(np.uint8).reshape(height, -1)
    filtered = np.full((height, 1 + rows.shape[1]), UP, np.uint8)
    filtered[0, 1:] = rows[0]
    filtered[1:, 1:] = rows[1:] - rows[:-1]  # modulo 256, as specified
    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    named = b"" if profile is None else _chunk(b"iCCP", b"ICC\0\0" + zlib.compress(profile))
    words = [_chunk(b"tEXt", f"{key}\0{value}".encode()) for key, value in (text or {}).items()]
    pixels = _chunk(b"IDAT", zlib.compress(filtered.tobytes()))
    start = SIGNATURE + _chunk(b"IHDR", header) + named
    return start + b"".join(words) + pixels + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
