"""Read a picture of a folder or zip as a face of one size."""

from __future__ import annotations

import errno
import io
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..core.errors import DataError, ImageError
from ..faces.config import CropConfig, Frame
from ..faces.crop import crop_face, default_face_size
from ..pictures.images import check_bytes, load_rgb, read_errors
from .listing import Entry

NO_FACE = "no face found"  # the end of the reason why a picture that can be read cannot be used
# Errors for a file or disk that has disappeared since the pictures were listed.
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.EIO, errno.ENODEV, errno.ENXIO} | {
    getattr(errno, name) for name in ("ESTALE", "ENOTCONN", "EHOSTDOWN") if hasattr(errno, name)
}


class Face(NamedTuple):
    """A face, cut out."""

    pixels: np.ndarray  # uint8 (S, S, 3)
    face_size: int  # side of the square cut out, pixels


@dataclass(frozen=True)
class Cutter:
    """How to cut a face out of a picture."""

    size: int  # S
    crop: CropConfig
    frame: Frame | None  # find the face and move its eyes here; None: use the crop

    def cut(self, image: np.ndarray, name: str) -> Face:
        """Raises `ImageError` if a face is searched for and not found."""
        height, width = image.shape[:2]
        crop = self.crop if self.frame is None else _frame_face(image, name, self.frame)
        face_size = crop.face_size or default_face_size(width, height)
        return Face(crop_face(image, self.size, crop, extend=self.frame is not None), face_size)


def _frame_face(image: np.ndarray, name: str, frame: Frame) -> CropConfig:
    # These import torch, which a process that only decodes does not need.
    from ..faces.align import frame_crop
    from ..faces.choose import choose_face
    from ..faces.detect import find_faces

    faces = find_faces(image)
    if not faces:
        raise ImageError(f"{name}: {NO_FACE}")
    width, height = image.shape[1], image.shape[0]
    return frame_crop(choose_face(faces, width, height).face.eyes, width, height, frame)


@dataclass(frozen=True)
class Reader:
    """Reads faces out of a folder or zip."""

    source: Path
    cutter: Cutter
    decode: Callable[[bytes], np.ndarray | None] | None = None  # tried first

    def read(self, entry: Entry) -> Face | str:
        """A picture's face, or the reason why it cannot be used.

        Raises `DataError` if the picture has disappeared since it was listed.
        """
        try:
            with read_errors(entry.name):
                return self.cutter.cut(self._load(entry), entry.name)
        except ImageError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in _GONE:
                raise DataError(
                    f"{self.source} vanished while it was read: {entry.name}: {cause.strerror}",
                    hint="check that its disk is connected, then start again",
                ) from error
            return str(error)

    def read_chunk(self, entries: Sequence[Entry]) -> list[Face | str]:
        return [self.read(entry) for entry in entries]

    def _load(self, entry: Entry) -> np.ndarray:
        content = self._content(entry)
        image = None if self.decode is None else self.decode(content)
        return load_rgb(io.BytesIO(content), entry.name) if image is None else image

    def _content(self, entry: Entry) -> bytes:
        if self._archive is not None:
            check_bytes(entry.bytes)  # unpacked: what a zip says is the most it gives
            return self._archive.read(entry.name)
        with open(os.path.join(self.source, entry.name), "rb", buffering=0) as file:
            check_bytes(os.fstat(file.fileno()).st_size)
            return file.readall()

    @cached_property
    def _archive(self) -> zipfile.ZipFile | None:
        return zipfile.ZipFile(self.source) if self.source.is_file() else None

    def close(self) -> None:
        if self._archive is not None:
            self._archive.close()
