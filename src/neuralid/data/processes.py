"""Processes that read pictures, started from scratch: the caller's main module does not run there.

`multiprocessing` would run it. A process is sent its `Reader`, then lists of entries. It answers
each list in its order: with what each entry has given, then the pixels of the faces, as they are.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Generator
from io import BufferedReader
from typing import cast

import numpy as np

from ..core.errors import DataError
from .listing import Entry
from .reading import Face, Reader

_START = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from neuralid.data.serving import serve; serve()"
)
_PIPE = 1 << 20  # bytes that wait in a pipe, so that a process can go on; the most Linux allows


class ReadingProcess:
    """A process that reads chunks. It ends when this one does, because its input closes then."""

    def __init__(self, reader: Reader) -> None:
        self._side = reader.cutter.size
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},  # there is one process per core
            start_new_session=True,  # so that Ctrl-C reaches the parent only
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin, cast(BufferedReader, self._process.stdout)
        _widen(self._output)
        with _pipe_errors():
            self._send(sys.path)
            self._send((reader.source, reader.cutter))

    def request(self, entries: list[Entry]) -> None:
        """Have pictures read, after those requested before."""
        with _pipe_errors():
            self._send(entries)

    def receive(self) -> list[Face | str]:
        """Wait for what the oldest request has given. Raises what reading it has raised."""
        with _pipe_errors():
            answer = pickle.load(self._output)
            if isinstance(answer, Exception):
                raise answer
            count = sum(not isinstance(each, str) for each in answer)
            pixels = np.empty((count, self._side, self._side, 3), np.uint8)
            if self._output.readinto(pixels.data) != pixels.nbytes:
                raise EOFError
        faces = iter(pixels)
        return [e if isinstance(e, str) else Face(next(faces), e) for e in answer]

    def _send(self, what: object) -> None:
        self._input.write(pickle.dumps(what))
        self._input.flush()

    def close(self) -> None:
        self._process.kill()  # it writes no files, so nothing is lost
        self._process.communicate()


def _widen(pipe: BufferedReader) -> None:
    """Let more bytes wait in a pipe, where the system can and allows it."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)


@contextlib.contextmanager
def _pipe_errors() -> Generator[None, None, None]:
    """Turn the errors of a pipe whose other end is gone into a `DataError`."""
    try:
        yield
    except (OSError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(
            "a process that reads pictures has ended", hint="out of memory? try `workers=1`"
        ) from error
