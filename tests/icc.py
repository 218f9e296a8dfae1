"""Colour profiles made here: RGB, grey and four inks, and what they mean in sRGB."""

from __future__ import annotations

import struct

import numpy as np

# Red, green and blue of Display P3, as CIE XYZ under D50: the columns.
WIDE = np.array(
    [[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]
)
SCREEN = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
)
WHITE = (0.9642, 1.0, 0.8249)
GAMMA = 1.8


def rgb() -> bytes:
    """A profile of colours that sRGB does not have, with a gamma of 1.8."""
    tags = {f"{c}XYZ": _xyz(WIDE[:, i]) for i, c in enumerate("rgb")}
    return _profile("RGB ", "XYZ ", tags | {f"{c}TRC": _curve() for c in "rgb"})


def grey() -> bytes:
    """Grey with a gamma of 1.8."""
    return _profile("GRAY", "XYZ ", {"kTRC": _curve()})


def inks() -> bytes:
    """Four inks, whose black is lighter and whose cyan is duller than on a screen."""
    corners = np.indices((2, 2, 2, 2)).reshape(4, -1).T  # C M Y K, K fastest
    table = []
    for c, m, y, k in corners:
        light = 100 * (1 - 0.4 * c) * (1 - 0.4 * m) * (1 - 0.1 * y) * (1 - 0.7 * k)
        a, b = 45 * m - 30 * c, 60 * y - 40 * c - 10 * m
        table += [round(light * 2.55), round(128 + a * (1 - k)), round(128 + b * (1 - k))]
    ramp = bytes(range(256))
    body = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    body += struct.pack(">9i", *(65536 * np.eye(3, dtype=int)).ravel())
    return _profile("CMYK", "Lab ", {"A2B0": body + ramp * 4 + bytes(table) + ramp * 3}, b"prtr")


def seen(colours: np.ndarray) -> np.ndarray:
    """What colours of `rgb` are in sRGB, as far as it has them: uint8 ``(..., 3)``."""
    light = (colours / 255.0) ** GAMMA @ WIDE.T @ np.linalg.inv(SCREEN).T
    return _encode(light)


def seen_grey(values: np.ndarray) -> np.ndarray:
    """What values of `grey` are in sRGB: uint8 of the same shape."""
    return _encode((values / 255.0) ** GAMMA)


def _encode(light: np.ndarray) -> np.ndarray:
    light = light.clip(0, 1)
    values = np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray((values * 255).round().astype(np.uint8))


def _profile(space: str, between: str, tags: dict[str, bytes], kind: bytes = b"mntr") -> bytes:
    text = b"made for a test\0"
    tags = {
        "desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78),
        "wtpt": _xyz(WHITE),
        **tags,
    }
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name.encode() + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI", start + len(body), b"none", 0x02400000)
    header += kind + space.encode() + between.encode()
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += struct.pack(">3i", *(round(65536 * v) for v in WHITE))
    return header.ljust(128, b"\0") + table + body


def _xyz(values: object) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * float(v)) for v in values))  # type: ignore


def _curve() -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(256 * GAMMA))
