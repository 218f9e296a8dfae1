"""The command line: read options, call ``api``, print what was written. No maths here."""

from __future__ import annotations

from typing import Annotated

import typer

from ..core.errors import ConfigError
from ..core.memory import keep_freed_memory
from ..core.version import __version__
from ._help import Command, Group
from ._invert import invert
from ._list import list_weights as show_weights
from ._mix import mix
from ._sample import sample
from ._train import train
from ._upscale import upscale

app = typer.Typer(
    cls=Group,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    ctx: typer.Context,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show the full error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
    list_weights: Annotated[
        bool, typer.Option("--list-weights", help="List the weights that have a name, and exit.")
    ] = False,
    json_: Annotated[
        bool, typer.Option("--json", help="With --list-weights: a line of JSON for each.")
    ] = False,
) -> None:
    """Make face identities on your own machine."""
    keep_freed_memory()
    if list_weights:
        show_weights(json_)
        raise typer.Exit
    if json_:
        raise ConfigError("--json belongs behind the command", hint="or goes with --list-weights")
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


for command in (train, sample, invert, mix, upscale):
    app.command(cls=Command)(command)
