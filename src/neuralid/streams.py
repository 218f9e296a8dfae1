"""The standard streams of a program: what is shown there, results on stdout, libraries kept off."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TextIO

from .core.errors import NeuralidError

LONGEST = 1500  # characters of a message
# Controls, marks that turn the direction of text, line separators, and bytes that are no text.
_UNSEEN = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_failed = ContextVar("stdout_failed", default=False)
_quiet = ContextVar("quiet", default=False)
_verbose = ContextVar("verbose", default=False)


def begin() -> None:
    """Start over, for a new command; a terminal without a size counts as one that has not said."""
    _failed.set(False)
    set_loudness()
    for name in sizes_of_none():
        del os.environ[name]


def set_loudness(quiet: bool = False, verbose: bool = False) -> None:
    """How much is said on stderr: with ``quiet`` only errors, with ``verbose`` details too."""
    _quiet.set(quiet)
    _verbose.set(verbose)


def is_quiet() -> bool:
    """Whether only errors are said."""
    return _quiet.get()


def is_verbose() -> bool:
    """Whether details are said too."""
    return _verbose.get()


def sizes_of_none() -> list[str]:
    """Variables that give a terminal no columns or rows, as some programs set them."""
    given = {name: os.environ.get(name, "1") for name in ("COLUMNS", "LINES")}
    return [n for n, value in given.items() if not (value.isdecimal() and int(value) > 0)]


def visible(text: str) -> str:
    r"""A message in one line that does to a terminal nothing but show: files and names are in it.

    Control characters are written out, and a very long text loses its middle.

    >>> visible("\x1b[2Jgone\n")
    '\\x1b[2Jgone\\n'
    """
    if len(text) > LONGEST:
        cut = len(text) - LONGEST
        text = f"{text[: LONGEST - 300]}... ({cut} more characters) ...{text[-300:]}"
    return _write_out(text)


def _write_out(text: str) -> str:
    return _UNSEEN.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def is_stdout_terminal() -> bool:
    """Whether results are read by a person, not by a program."""
    return sys.stdout is not None and sys.stdout.isatty()


def write_line(text: str, show: Callable[[NeuralidError], None]) -> None:
    """Write a line to stdout at once: byte for byte, for programs; visibly on a terminal.

    If that fails, ``show`` is called with the error, and nothing more is written.
    """
    if sys.stdout is None or _failed.get():
        return
    try:
        text = _write_out(text) if is_stdout_terminal() else text
        buffer = getattr(sys.stdout, "buffer", None)
        if buffer is None or os.name == "nt":
            encoding = sys.stdout.encoding or "utf-8"
            sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        else:  # a name may be any bytes, whatever the locale
            sys.stdout.flush()
            buffer.write(os.fsencode(text) + b"\n")
        sys.stdout.flush()
    except OSError as error:
        give_up_stdout(error, show)


def write_bytes(content: bytes, show: Callable[[NeuralidError], None]) -> None:
    """Write a picture to stdout. If that fails, ``show`` is called with the error."""
    if sys.stdout is None or _failed.get():
        return
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except OSError as error:
        give_up_stdout(error, show)


def stdout_failed() -> bool:
    """Whether something could not be written to stdout."""
    return _failed.get()


def give_up_stdout(error: OSError, show: Callable[[NeuralidError], None]) -> None:
    """Report that stdout takes nothing more; a reader that has left, such as head, goes unsaid."""
    _failed.set(True)
    if error.errno != errno.EPIPE:
        why = f"cannot print to stdout: {error.strerror or error}"
        show(NeuralidError(why, hint="files that were written are there"))
    with contextlib.suppress(OSError, ValueError):  # what is still buffered must not fail again
        _send_nowhere(sys.stdout.fileno())


@contextlib.contextmanager
def quiet_libraries() -> Iterator[TextIO | None]:
    """Keep off stderr what libraries write there: warnings, logs, lines, Python's or C's.

    Yields the stream for the program's own messages; None if they are to go where they did. At the
    end Python's stderr is that stream, for the traceback of a bug. For a whole process, so for
    programs. A process started by torchrun keeps all but warnings and logs.
    """
    warnings.showwarning = lambda *_, **__: None
    logging.lastResort = logging.NullHandler()
    if os.name == "nt" or "TORCHELASTIC_RUN_ID" in os.environ or not _is_stderr_own():
        yield None
        return
    sys.stderr.flush()
    own = os.fdopen(os.dup(2), "w", 1, sys.stderr.encoding, "backslashreplace")
    _send_nowhere(2)
    with open(os.devnull, "w") as sys.stderr:
        try:
            yield own
        finally:
            sys.stderr = own


def _is_stderr_own() -> bool:
    """Whether Python's stderr is the process's, and not a test's."""
    try:
        return sys.stderr is not None and sys.stderr.fileno() == 2
    except (OSError, ValueError):
        return False


def _send_nowhere(number: int) -> None:
    """Discard what is written to an open file from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
