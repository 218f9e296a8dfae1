"""Read pictures as faces of one size: in order, ahead of the consumer, on all cores.

A few pictures are read by threads. Many are read by processes, since decoding small pictures is
dominated by Python, which holds the GIL. The processes are started from scratch rather than by
`multiprocessing`, so that the caller's main module does not run in them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import queue
import subprocess
import sys
import zipfile
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
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

MANY = 4096  # number of pictures from which starting processes pays off
NO_FACE = "no face found"  # the end of the reason why a picture that can be read cannot be used
CHUNK = 16  # pictures read at a time by one thread or process
# Errors for a file or disk that has disappeared since the pictures were listed.
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.EIO, errno.ENODEV, errno.ENXIO} | {
    getattr(errno, name) for name in ("ESTALE", "ENOTCONN", "EHOSTDOWN") if hasattr(errno, name)
}
_START = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from neuralid.data.reading import serve; serve()"
)


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

    def read_chunk(self, entries: list[Entry]) -> list[Face | str]:
        return [self.read(entry) for entry in entries]

    def _load(self, entry: Entry) -> np.ndarray:
        if self._archive is None:
            return load_rgb(self.source / entry.name, entry.name)
        check_bytes(entry.bytes)  # unpacked: what a zip says is the most it gives
        with self._archive.open(entry.name) as file:
            return load_rgb(file, entry.name)  # type: ignore[arg-type]

    @cached_property
    def _archive(self) -> zipfile.ZipFile | None:
        return zipfile.ZipFile(self.source) if self.source.is_file() else None

    def close(self) -> None:
        if self._archive is not None:
            self._archive.close()


def count_cores() -> int:
    """The number of cores this process may use."""
    known = getattr(os, "sched_getaffinity", None)
    return len(known(0)) if known else os.cpu_count() or 1


def read_all(
    source: Path, entries: list[Entry], cutter: Cutter, workers: int | None = None
) -> Generator[Face | str, None, None]:
    """Each picture's face, or why it cannot be used: in order, read ahead in parallel.

    ``workers`` is the number of threads or processes; None means one per core. Reading ahead is
    bounded, however slow the consumer.
    """
    workers = workers or count_cores()
    with contextlib.ExitStack() as stack:
        if workers > 1 and len(entries) >= MANY and not getattr(sys, "frozen", False):
            read = _start_processes(source, cutter, workers, stack)
        else:
            read = stack.enter_context(contextlib.closing(Reader(source, cutter))).read_chunk
        pool = ThreadPoolExecutor(workers)
        stack.callback(pool.shutdown, cancel_futures=True)
        waiting: deque[Future[list[Face | str]]] = deque()
        for start in range(0, len(entries), CHUNK):
            waiting.append(pool.submit(read, entries[start : start + CHUNK]))
            if len(waiting) > 4 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _start_processes(
    source: Path, cutter: Cutter, workers: int, stack: contextlib.ExitStack
) -> Callable[[list[Entry]], list[Face | str]]:
    """Start processes, which end with the stack; returns a function that reads a chunk in one."""
    free: queue.SimpleQueue[_Process] = queue.SimpleQueue()
    for _ in range(workers):
        free.put(stack.enter_context(contextlib.closing(_Process(Reader(source, cutter)))))

    def read(entries: list[Entry]) -> list[Face | str]:
        process = free.get()
        try:
            return process.read_chunk(entries)
        finally:
            free.put(process)

    return read


class _Process:
    """A process that reads chunks. It ends when this one does, because its input closes then."""

    def __init__(self, reader: Reader) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},  # there is one process per core
            start_new_session=True,  # so that Ctrl-C reaches the parent only
        )
        with _pipe_errors():
            self._send(sys.path)
            self._send((reader.source, reader.cutter))

    def read_chunk(self, entries: list[Entry]) -> list[Face | str]:
        assert self._process.stdout is not None
        with _pipe_errors():
            self._send(entries)
            answer = pickle.load(self._process.stdout)
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    def _send(self, what: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(pickle.dumps(what))
        self._process.stdin.flush()

    def close(self) -> None:
        self._process.kill()  # it writes no files, so nothing is lost
        self._process.communicate()


@contextlib.contextmanager
def _pipe_errors() -> Generator[None, None, None]:
    """Turn the errors of a pipe whose other end is gone into a `DataError`."""
    try:
        yield
    except (OSError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(
            "a process that reads pictures has ended", hint="out of memory? try `workers=1`"
        ) from error


def serve() -> None:
    """Run in such a process: read the chunks requested on its input, until that ends."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # keeps what a library may print out of the answers
    with contextlib.suppress(EOFError, BrokenPipeError):
        reader = Reader(*pickle.load(requests))
        while True:
            entries = pickle.load(requests)
            try:
                answer: object = reader.read_chunk(entries)
            except Exception as error:
                answer = error
            answers.write(pickle.dumps(answer))
            answers.flush()
