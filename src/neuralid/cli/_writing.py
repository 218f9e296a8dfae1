"""Write many results on another core while the next ones are made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, Self

from .. import console

Show = Callable[[Path], None]


class _Saved(Protocol):
    def save(self, path: Path) -> Path: ...


class Writer:
    """Saves results in a thread, and shows the path of each, in order, once its file is written.

    At most ``most`` results wait: `save` then waits too, so that memory stays the same however many
    there are. Encoding a picture lets other threads compute. After an error in the block, or
    Ctrl-C, what waits is still written; after a second one, no more than what has been begun.
    """

    def __init__(self, failures: console.Failures, most: int) -> None:
        self._failures, self._most = failures, most
        self._waiting: deque[tuple[Path, Future[Path], Show]] = deque()
        self._pool = ThreadPoolExecutor(1)

    def save(self, result: _Saved, path: Path, show: Show) -> None:
        """Have a result written, then shown; a failure is counted when its turn comes."""
        self._waiting.append((path, self._pool.submit(result.save, path), show))
        self._tell(self._most)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *of_an_error: object) -> None:
        try:
            self._tell(0)
        finally:  # there was another Ctrl-C, or nobody reads what is shown
            self._pool.shutdown(cancel_futures=True)

    def _tell(self, most: int) -> None:
        """Print what is written, and wait until no more than ``most`` results are left."""
        while self._waiting and (len(self._waiting) > most or self._waiting[0][1].done()):
            path, written, show = self._waiting.popleft()
            self._failures.attempt(str(path), lambda: show(written.result()))  # noqa: B023
