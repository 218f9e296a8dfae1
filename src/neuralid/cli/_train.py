"""``neuralid train``."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from .. import console
from ..training.options import OPTIONS, Option, TrainOptions
from ._torch import import_torch


def train(ctx: typer.Context, **values: Any) -> None:
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
        console.training() as (on_load, on_step, on_encoder),
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
    if result.weights is not None and first:
        console.print_line(result.weights)
    if not result.finished:
        console.say(f"stopped; go on with --resume {result.run}")
        raise typer.Exit(130)


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
        min=option.at_least,
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
    ]
)
