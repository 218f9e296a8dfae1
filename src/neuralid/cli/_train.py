"""``neuralid train``."""

from __future__ import annotations

import inspect
import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import console
from ..training.options import OPTIONS, Option, TrainOptions
from . import _progress as progress
from ._common import command, detail
from ._options import AsJson
from ._show import print_result
from ._torch import import_torch

if TYPE_CHECKING:
    from ..api._train import Trained


def train(ctx: typer.Context, json_: bool, **values: Any) -> None:
    """Train a generator on a folder or zip of faces.

    Prints the path of the weights. Ctrl-C saves and stops; --resume goes on.
    """
    import_torch()
    from ..api._train import train as start
    from ..core.device import use_threads_of_others

    options = TrainOptions(**{k: v for k, v in values.items() if _was_given(ctx, k)})
    first = console.is_first_process()
    with (
        console.stop_signals() as should_stop,
        progress.training() as (on_load, on_step, on_encoder),
    ):
        result = start(
            options=options,
            on_load=on_load,
            on_step=on_step,
            on_encoder=on_encoder,
            on_message=console.say,
            on_alone=use_threads_of_others,
            should_stop=should_stop,
        )
    if first and (json_ or result.weights is not None):
        print_result([result.weights] if result.weights else [], _facts(result) if json_ else None)
    _tell_end(result)
    if not result.finished:
        raise typer.Exit(130)


def _tell_end(result: Trained) -> None:
    """Say where to look, who was left out and why, and what to type next."""
    for name, why in result.skipped.items():
        detail(f"skipped {name}: {why}")
    for line in result.explain_skipped() if result.run is not None else []:
        console.say(f"skipped: {line}; {result.run}/log.jsonl has all")
    if result.report is not None:
        console.say(f"report: {result.report}")
    if not result.finished:
        console.say(f"stopped; go on with: neuralid train --resume {shlex.quote(str(result.run))}")
    elif result.weights is not None:
        name = shlex.quote(result.weights.name.removesuffix(".safetensors"))
        console.say(f"next: neuralid sample --weights {name}")


def _facts(result: Trained) -> dict[str, Any]:
    """What JSON says of a run."""
    run, report = (None if path is None else str(path) for path in (result.run, result.report))
    done = {"images": result.images, "finished": result.finished}
    facts = {"run": run, "report": report, **done, "skipped": result.skipped}
    if result.estimate is not None:
        facts["estimate"] = vars(result.estimate)
    return facts


def _was_given(ctx: typer.Context, name: str) -> bool:
    """Whether an option was written by the user; the help shows defaults that are not passed on."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _parameter(option: Option) -> inspect.Parameter:
    """The option as Typer reads it."""
    default = False if option.kind is bool and option.default is None else option.default
    # The flags are written out: with Typer 0.27.0 to 0.27.3 an option whose metavar is its name
    # in capitals has no flag else.
    told = typer.Option(
        *option.flags,
        metavar=option.metavar,
        help=option.full_help,
        show_default=not option.unsaid,
        readable=False,
    )
    kind = option.kind if default is not None else option.kind | None
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, told],
    )


train.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [
        inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
        *map(_parameter, OPTIONS.values()),
        inspect.Parameter(
            "json_", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=AsJson
        ),
    ]
)
train = command(train)
