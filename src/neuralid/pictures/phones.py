"""HEIC and AVIF, the formats of phones: read if what they need is there, told if it is not."""

from __future__ import annotations

from functools import cache
from typing import BinaryIO

_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF = {b"avif", b"avis"}
_FIRST = 64  # bytes in which a file names its kinds


class NotReadableError(Exception):
    """A picture of a kind that needs something else installed; ``hint`` says what."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def prepare(file: BinaryIO) -> None:
    """Make Pillow read the picture in an open file, if it is HEIC. Raises `NotReadableError`."""
    kinds = _kinds(file.read(_FIRST))
    file.seek(0)
    if kinds & _AVIF:
        if not _reads_avif():
            raise NotReadableError("is AVIF, which needs Pillow 11.3", "pip install -U pillow")
    elif kinds & _HEIC and not _reads_heic():
        raise NotReadableError(
            "is HEIC, which needs the package pillow-heif", "pip install 'neuralid[heif]'"
        )


def _kinds(start: bytes) -> set[bytes]:
    """The kinds a file says it is of: those in the box that such files begin with."""
    if start[4:8] != b"ftyp":
        return set()
    box = start[8 : int.from_bytes(start[:4], "big")]
    return {box[place : place + 4] for place in range(0, len(box), 4) if place != 4}


@cache
def _reads_avif() -> bool:
    try:
        from PIL.AvifImagePlugin import SUPPORTED
    except ImportError:
        return False
    return bool(SUPPORTED)


@cache
def _reads_heic() -> bool:
    """Register the format, for the process: Pillow has no other way."""
    try:
        from pillow_heif import register_heif_opener
    except Exception:  # a broken package may raise anything
        return False
    register_heif_opener()
    return True
