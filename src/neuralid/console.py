"""Messages on stderr; errors a user can fix in one line, without a traceback."""

from __future__ import annotations

import os
import re
import signal
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from typer.core import TyperGroup

from . import streams
from .core.errors import NeuralidError
from .core.explain import explain
from .streams import visible

_traceback_wanted = ContextVar("traceback_wanted", default=False)
# Flags of the running command by parameter name; the names are the library's.
_flags: ContextVar[dict[str, tuple[str, str]]] = ContextVar("flags", default={})  # noqa: B039

stderr = Console(
    stderr=True,
    highlight=False,
    soft_wrap=True,
    emoji=False,  # a file may be called :100:.png
    _environ={k: v for k, v in os.environ.items() if k not in streams.sizes_of_none()},
)
live: list[Progress] = []  # bars that are shown


def is_first_process() -> bool:
    """Whether this is the first of the processes that torchrun starts; silences all the others.

    Errors in the others are reported by the first.
    """
    first = "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK", "0") == "0"
    stderr.quiet = not first
    return first


def show_error(error: NeuralidError) -> None:
    stderr.print(f"[bold red]error:[/] {escape(visible(with_flags(str(error))))}")
    if error.hint:
        stderr.print(f"[cyan]hint:[/] {escape(visible(with_flags(error.hint)))}")


def with_flags(text: str) -> str:
    """Replace a message's parameters, such as `` `scale` ``, by the running command's flags."""
    flags = _flags.get()

    def flag(match: re.Match[str]) -> str:
        name, value = match[1], match[2]
        if name not in flags:
            return match[0]
        on, off = flags[name]
        if value in (None, "True"):
            return on
        return off if value == "False" and off else f"{on} {value.strip(chr(39))}"

    return re.sub(r"`(\w+)(?:=([^`]*))?`", flag, text)


def _flags_of(command: Any) -> dict[str, tuple[str, str]]:
    """For each parameter its longest flag, and the flag that turns it off, if there is one."""
    named = [p for p in command.params if p.param_type_name == "option"]
    return {
        p.name: (max(p.opts, key=len), max(p.secondary_opts, key=len, default="")) for p in named
    }


def say(text: str) -> None:
    """Print a message. A terminal wraps long lines between words; a pipe never does."""
    if streams.is_quiet():
        return
    text = visible(with_flags(text))
    if stderr.is_terminal and len(text) > stderr.width:
        text = textwrap.fill(
            text,
            stderr.width,
            subsequent_indent="  ",
            break_long_words=False,  # a path stays whole
            break_on_hyphens=False,
        )
    stderr.print(escape(text))


def print_line(text: str | os.PathLike[str]) -> None:
    """Print a path or another result on stdout, at once; see `streams.write_line`.

    If that fails, say so and print no more: the work goes on, since its results are files, and the
    command ends with exit code 1.
    """
    bars = [bar for bar in live if not bar.disable and streams.is_stdout_terminal()]
    for bar in bars:  # a line of its own, not one that a bar is on
        bar.stop()
    streams.write_line(os.fspath(text), show_error)
    for bar in bars:
        bar.start()


class OneLineErrors(TyperGroup):
    """Turn what a user can mend, from any command, into one line on stderr and its exit code.

    That is a NeuralidError, and what ails the machine: no memory, no room on stdout, packages that
    do not fit together.
    """

    def main(self, *args: Any, **kwargs: Any) -> Any:
        streams.begin()
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            if error.filename is not None:
                raise
            streams.give_up_stdout(error, show_error)  # the help or the version, not a file
            sys.exit(1)

    def invoke(self, ctx: Any) -> Any:
        _traceback_wanted.set(bool(ctx.params.get("traceback")))
        if _traceback_wanted.get():
            result = super().invoke(ctx)
        else:
            with streams.quiet_libraries() as own:
                if own is not None:
                    stderr.file = own
                result = self._invoke_in_lines(ctx)
        if streams.stdout_failed():
            raise typer.Exit(1)
        return result

    def _invoke_in_lines(self, ctx: Any) -> Any:
        """Invoke the command; what a user can mend is shown in a line."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            shown = explain(error)
            if shown is None:
                raise
            show_error(shown)
            raise typer.Exit(shown.exit_code) from error

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        found = super().resolve_command(ctx, args)
        if found[1] is not None:
            _flags.set(_flags_of(found[1]))
        return found


class Failures:
    """Show the error of each file that failed, and exit with code 1 if there were any."""

    def __init__(self) -> None:
        self.count = 0
        self._bugs: list[Exception] = []

    def attempt(self, name: str, do: Callable[[], None]) -> None:
        """Do something with one file; if it fails, show the error, so that others can go on."""
        try:
            do()
        except Exception as error:
            self(name, error)

    def __call__(self, name: str, error: Exception) -> None:
        """Show what went wrong with one file. A bug waits for `exit_if_any`."""
        if isinstance(error, typer.Exit) or _traceback_wanted.get():
            raise error
        self.count += 1
        shown = explain(error)
        if shown is None:
            self._bugs.append(error)
            shown = NeuralidError(f"{name}: {type(error).__name__}: {error}")
        elif shown is not error:
            shown = NeuralidError(f"{name}: {shown}", hint=shown.hint)
        show_error(shown)

    def exit_if_any(self, total: int) -> None:
        """Call this when all files are done. A bug keeps its traceback, which is raised here."""
        if not self.count:
            return
        if total > 1:
            say(f"{self.count} of {total} failed")
        if self._bugs:
            raise self._bugs[0]
        raise typer.Exit(1)


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Make the first Ctrl-C or SIGTERM ask for a clean stop; the second acts as usual.

    So does SIGHUP, when the terminal is closed or a connection lost, unless `nohup` has it ignored.
    It may come twice, and then there is nobody to talk to. Yields ``should_stop()``.
    """
    asked = threading.Event()
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    numbers = [n for n in (signal.SIGINT, signal.SIGTERM, hangup) if n is not None]
    before = {number: signal.getsignal(number) for number in numbers}
    if hangup is not None and before[hangup] == signal.SIG_IGN:
        del before[hangup]

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        for each, handler in before.items():
            signal.signal(each, signal.SIG_IGN if each == hangup else handler)
        if number == hangup:
            stderr.quiet = True  # each message would be an error now
        say("stopping after this step; the run is being saved")

    for number in before:
        signal.signal(number, ask)
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
