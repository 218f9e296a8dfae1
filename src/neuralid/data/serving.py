"""What runs in a process that reads pictures; see `processes`."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import sys
import threading
from typing import BinaryIO

from ..core.memory import keep_freed_memory
from ..pictures.plain_jpeg import decode_plain
from .listing import Entry
from .reading import Reader


def serve() -> None:
    """Read the pictures requested on the input, until that ends."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr = _keep_libraries_quiet()
    keep_freed_memory()
    with contextlib.suppress(EOFError, BrokenPipeError):
        source, cutter = pickle.load(requests)
        reader = Reader(source, cutter, decode_plain)
        waiting: queue.SimpleQueue[list[Entry]] = queue.SimpleQueue()
        threading.Thread(target=_receive, args=(requests, waiting), daemon=True).start()
        while entries := waiting.get():
            try:
                faces = reader.read_chunk(entries)
            except Exception as error:
                pickle.dump(error, answers)
            else:
                pickle.dump([e if isinstance(e, str) else e.face_size for e in faces], answers)
                answers.writelines(e.pixels.data for e in faces if not isinstance(e, str))
            answers.flush()


def _receive(requests: BinaryIO, waiting: queue.SimpleQueue[list[Entry]]) -> None:
    """Take requests as they come, and an empty one when no more will.

    Otherwise both ends could wait for each other, their pipes full of requests and of answers.
    """
    with contextlib.suppress(EOFError, pickle.UnpicklingError):
        while True:
            waiting.put(pickle.load(requests))
    waiting.put([])


def _keep_libraries_quiet() -> object:
    """Keep what C libraries print out of stderr; returns a file by which Python still writes there.

    libjpeg tells of damage in that way. The picture's name would not be with it.
    """
    kept = os.fdopen(os.dup(2), "w", errors="backslashreplace")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return kept
