"""Write many results on another core while the next ones are made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from .. import console

Show = Callable[[Path], None]


class _Saved(Protocol):
    def save(self, path: Path) -> Path: ...


class Writer:
    """Saves results in a thread, and shows the path of each, in order, once its file is written.

    At most ``most`` results wait: `save` then waits too, so that memory stays the same however many
    there are. Encoding a picture lets other threads compute. After an error in the block, or
    Ctrl-C, what has not been begun is left out.
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._pool.shutdown(cancel_futures=True)
            self._waiting = deque(each for each in self._waiting if not each[1].cancelled())
        self._tell(0)
        self._pool.shutdown()

    def _tell(self, most: int) -> None:
        """Print what is written, and wait until no more than ``most`` results are left."""
        while self._waiting and (len(self._waiting) > most or self._waiting[0][1].done()):
            path, written, show = self._waiting.popleft()
            self._failures.attempt(str(path), lambda: show(written.result()))  # noqa: B023
