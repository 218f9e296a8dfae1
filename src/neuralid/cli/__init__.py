"""The command line: read options, call ``api``, print what was written. No maths here."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import console
from ..core.memory import keep_freed_memory
from ..core.version import __version__
from ._invert import invert
from ._mix import mix
from ._sample import sample
from ._train import train
from ._upscale import upscale

app = typer.Typer(
    cls=console.OneLineErrors,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def main(
    traceback: Annotated[bool, typer.Option("--traceback", help="Show the full error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Make face identities on your own machine."""
    keep_freed_memory()


for command in (train, sample, invert, mix, upscale):
    app.command()(command)
