"""Progress bars on stderr, drawn on a terminal only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

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

from . import console, streams

SEARCH, FACES = ("inverting", "steps"), ("drawing", "faces")  # labels and units of a mix's bars


class RateColumn(ProgressColumn):
    """Things done per second."""

    def render(self, task: Task) -> Text:
        speed, unit = task.finished_speed or task.speed, task.fields.get("unit", "")
        shown = "" if speed is None else f"{speed:.0f}" if speed >= 100 else f"{speed:.1f}"
        return Text(f"{shown}{unit}/s" if shown else "")


@contextmanager
def counting(label: str, unit: str = "") -> Iterator[Callable[[int, int], None]]:
    """Show a bar of things done; yields ``on_step(done, total)``. Silent in a pipe."""
    with _bar() as bar:
        yield _counter(bar, label, unit)


@contextmanager
def mixing() -> Iterator[tuple[Callable[[int, int], None], Callable[[int, int], None]]]:
    """Show the bars of a mix; yields ``on_step(done, total)`` and ``on_face(done, total)``."""
    with _bar() as bar:
        yield _counter(bar, *SEARCH), _counter(bar, *FACES)


@contextmanager
def training() -> Iterator[
    tuple[Callable[[int, int], None], Callable[..., None], Callable[[int, int], None]]
]:
    """Show the bars of a training run.

    Yields ``on_load(done, total)``, ``on_step(Step)`` and ``on_encoder(done, total)``.
    """
    with _bar() as bar:
        yield _counter(bar, "reading"), _trainer(bar), _counter(bar, "finishing")


def _counter(bar: Progress, label: str, unit: str = "") -> Callable[[int, int], None]:
    tasks: list[TaskID] = []

    def on_step(done: int, total: int) -> None:
        if not tasks:
            tasks.append(bar.add_task(label, total=total, unit=f" {unit}".rstrip()))
        bar.update(tasks[0], completed=done, total=total, visible=done < total)

    return on_step


def _trainer(bar: Progress) -> Callable[..., None]:
    tasks: list[TaskID] = []

    def on_step(step) -> None:  # type: ignore[no-untyped-def]  # a training.loop.Step
        if not tasks:
            # Count from here: steps before a resume say nothing about the current speed.
            tasks.append(bar.add_task("training", total=step.total, completed=step.images))
        text = (
            f"{step.images / 1000:.1f}/{step.total / 1000:g} kimg "
            f"D {step.loss_d:.2f} G {step.loss_g:.2f}"
        )
        bar.update(tasks[0], completed=step.images, description=text)

    return on_step


@contextmanager
def _bar() -> Iterator[Progress]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        RateColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    can_redraw = console.stderr.is_terminal and not console.stderr.is_dumb_terminal
    bar = Progress(
        *columns,
        console=console.stderr,
        transient=True,
        expand=True,
        disable=not can_redraw or streams.is_quiet(),
        redirect_stdout=False,  # rich would send results to stderr
        redirect_stderr=False,  # and show what libraries write there
    )
    with bar:
        console.live.append(bar)
        try:
            yield bar
        finally:
            console.live.remove(bar)
