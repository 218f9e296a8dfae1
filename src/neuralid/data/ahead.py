"""Read many pictures: in order, ahead of the consumer, on all cores.

A few pictures are read by threads. Many are read by processes, since decoding small pictures is
dominated by Python, which holds the GIL.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

from .listing import Entry
from .processes import ReadingProcess
from .reading import Cutter, Face, Reader

MANY = 2048  # number of pictures from which starting processes pays off
# One thread or process reads so much at a time: pictures, bytes of their files, bytes of faces.
CHUNK, CHUNK_FILES, CHUNK_FACES = 64, 1 << 20, 1 << 19
AHEAD = 4  # chunks requested of each thread or process before the first is taken

Chunks = Iterator[list[Entry]]


def read_all(
    source: Path, entries: list[Entry], cutter: Cutter, workers: int | None = None
) -> Generator[Face | str, None, None]:
    """Each picture's face, or why it cannot be used: in order, read ahead in parallel.

    ``workers`` is the number of threads or processes; None means one per core. Reading ahead is
    bounded, however slow the consumer.
    """
    workers = workers or count_cores()
    reader, chunks = Reader(source, cutter), _split(entries, cutter.size)
    if workers > 1 and len(entries) >= MANY and not getattr(sys, "frozen", False):
        return _by_processes(reader, chunks, workers)
    return _by_threads(reader, chunks, workers)


def count_cores() -> int:
    """The number of cores this process may use."""
    known = getattr(os, "sched_getaffinity", None)
    return len(known(0)) if known else os.cpu_count() or 1


def _split(entries: list[Entry], size: int) -> Chunks:
    """Pictures in their order, as many at a time as are read at a time."""
    most = max(1, min(CHUNK, CHUNK_FACES // (3 * size * size)))
    chunk: list[Entry] = []
    for entry in entries:
        if len(chunk) == most or sum(each.bytes for each in [*chunk, entry]) > CHUNK_FILES:
            yield chunk
            chunk = []
        chunk.append(entry)
    if chunk:
        yield chunk


def _by_threads(reader: Reader, chunks: Chunks, workers: int) -> Generator[Face | str, None, None]:
    with closing(reader), ExitStack() as stack:
        pool = ThreadPoolExecutor(workers)
        stack.callback(pool.shutdown, cancel_futures=True)
        waiting: deque[Future[list[Face | str]]] = deque()
        for chunk in chunks:
            waiting.append(pool.submit(reader.read_chunk, chunk))
            if len(waiting) > AHEAD * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _by_processes(
    reader: Reader, chunks: Chunks, workers: int
) -> Generator[Face | str, None, None]:
    """Chunks go to the processes in turn. Answers wait in their pipes."""
    with ExitStack() as stack:
        processes = [stack.enter_context(closing(ReadingProcess(reader))) for _ in range(workers)]
        waiting: deque[ReadingProcess] = deque()
        for number, chunk in enumerate(chunks):
            if len(waiting) == AHEAD * workers:
                yield from waiting.popleft().receive()
            waiting.append(processes[number % workers])
            waiting[-1].request(chunk)
        while waiting:
            yield from waiting.popleft().receive()
