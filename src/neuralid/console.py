"""What the terminal shows: messages and progress on stderr, never a traceback for the user."""

from __future__ import annotations

import os
import re
import signal
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
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from typer.core import TyperGroup

from .core.errors import NeuralidError

_traceback_wanted = ContextVar("traceback_wanted", default=False)
# Of the command that runs: its flags by the names of its parameters, which are the library's.
_flags: ContextVar[dict[str, tuple[str, str]]] = ContextVar("flags", default={})  # noqa: B039
stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def is_first_process() -> bool:
    """Whether this process talks: of those torchrun starts the first does, the others fall silent.

    What goes wrong in another one is told by the first.
    """
    first = "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK", "0") == "0"
    stderr.quiet = not first
    return first


def show_error(error: NeuralidError) -> None:
    stderr.print(f"[bold red]error:[/] {escape(with_flags(str(error)))}")
    if error.hint:
        stderr.print(f"[cyan]hint:[/] {escape(with_flags(error.hint))}")


def with_flags(text: str) -> str:
    """What the library says of parameters, `` `scale` ``, in the flags of the running command."""
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
    """By parameter: the longest of its flags, and the one that turns it off, if there is one."""
    named = [p for p in command.params if p.param_type_name == "option"]
    return {
        p.name: (max(p.opts, key=len), max(p.secondary_opts, key=len, default="")) for p in named
    }


def say(text: str) -> None:
    """A line of talk. In a terminal a long one is broken between words; in a pipe it never is."""
    text = with_flags(text)
    if stderr.is_terminal and len(text) > stderr.width:
        text = textwrap.fill(
            text,
            stderr.width,
            subsequent_indent="  ",
            break_long_words=False,  # a path stays whole
            break_on_hyphens=False,
        )
    stderr.print(escape(text))


class OneLineErrors(TyperGroup):
    """Turn a NeuralidError from any command into one line on stderr and its exit code."""

    def invoke(self, ctx: Any) -> Any:
        _traceback_wanted.set(bool(ctx.params.get("traceback")))
        try:
            return super().invoke(ctx)
        except NeuralidError as error:
            if _traceback_wanted.get():
                raise
            show_error(error)
            raise typer.Exit(error.exit_code) from error

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        found = super().resolve_command(ctx, args)
        if found[1] is not None:
            _flags.set(_flags_of(found[1]))
        return found


class Failures:
    """Shows the error of each file that failed, and ends with exit code 1 if there were any."""

    def __init__(self) -> None:
        self.count = 0

    def during(self, name: str, do: Callable[[], None]) -> None:
        """Do something with one file; its failure is shown, and others go on."""
        try:
            do()
        except NeuralidError as error:
            self(name, error)

    def __call__(self, name: str, error: Exception) -> None:
        if not isinstance(error, NeuralidError) or _traceback_wanted.get():
            raise error
        self.count += 1
        show_error(error)

    def exit_if_any(self, total: int) -> None:
        if self.count:
            if total > 1:
                say(f"{self.count} of {total} failed")
            raise typer.Exit(1)


class RateColumn(ProgressColumn):
    """Things done a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if speed is None:
            return Text("")
        return Text(f"{speed:.0f}/s" if speed >= 100 else f"{speed:.1f}/s")


@contextmanager
def counting(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that counts things done; hands out ``on_step(done, total)``. Silent in a pipe."""
    with _bar() as bar:
        yield _counter(bar, label)


@contextmanager
def training() -> Iterator[
    tuple[Callable[[int, int], None], Callable[..., None], Callable[[int, int], None]]
]:
    """The bars of a training run.

    Hands out ``on_load(done, total)``, ``on_step(Step)`` and ``on_encoder(done, total)``.
    """
    with _bar() as bar:
        yield _counter(bar, "reading"), _trainer(bar), _counter(bar, "finishing")


def _counter(bar: Progress, label: str) -> Callable[[int, int], None]:
    tasks: list[TaskID] = []

    def on_step(done: int, total: int) -> None:
        if not tasks:
            tasks.append(bar.add_task(label, total=total))
        bar.update(tasks[0], completed=done, total=total, visible=done < total)

    return on_step


def _trainer(bar: Progress) -> Callable[..., None]:
    tasks: list[TaskID] = []

    def on_step(step) -> None:  # type: ignore[no-untyped-def]  # a training.loop.Step
        if not tasks:
            # What a resumed run had done before says nothing of how fast it goes now.
            tasks.append(bar.add_task("training", total=step.total, completed=step.images))
        text = (
            f"{step.images / 1000:.1f}/{step.total / 1000:g} kimg "
            f"D {step.loss_d:.2f} G {step.loss_g:.2f}"
        )
        bar.update(tasks[0], completed=step.images, description=text)

    return on_step


def _bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        RateColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    moves = stderr.is_terminal and not stderr.is_dumb_terminal  # the cursor can go back
    return Progress(*columns, console=stderr, transient=True, expand=True, disable=not moves)


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Make the first Ctrl-C or SIGTERM ask for a clean stop; the second acts as ever.

    Hands out ``should_stop()``.
    """
    asked = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        for each, handler in before.items():
            signal.signal(each, handler)
        say("stopping after this step; the run is being saved")

    for number in before:
        signal.signal(number, ask)
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
