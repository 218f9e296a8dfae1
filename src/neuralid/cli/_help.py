"""Help in groups, with examples, that is readable on 60 columns."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperCommand

from .. import console

ROOMY = 80  # from as many columns on, an option's help stands beside it
BESIDE = 30  # the column at which it then begins
WIDEST = 100  # longer lines are hard to read

_TALK = ("json_", "quiet", "verbose", "help")
_MODEL = ("model", "device")
_PHOTOS = ("face", "faces", "show_crop", "align", "face_size", "delta_i", "delta_j", "rotation")
_SEARCH = ("fidelity", "steps", "prior", "save_weights")
_PLACES = ("output", "outdir", "overwrite")
# For each command its groups, and in them the parameters in the order in which they are shown.
GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "train": {
        "Pictures": (
            *("data", "max_images", "align", "face_size", "delta_i", "delta_j", "rotation"),
            *("mirror", "attributes", "licence"),
        ),
        "Networks": ("architecture", "size", "latent_size", "from_weights"),
        "Training": ("kimg", "batch", "micro_batch", "recipe", "seed", "precision", "compile"),
        "Run": ("out", "name", "resume", "dry_run", "snapshot", "tensorboard", "workers", "device"),
        "Messages": _TALK,
    },
    "sample": {
        "Faces": ("n", "seed", "seeds", "latents", "trunc", "scale", "precision"),
        "Files": _PLACES,
        "Weights and device": _MODEL,
        "Messages": _TALK,
    },
    "invert": {
        "Search": _SEARCH,
        "Face in the photo": _PHOTOS,
        "Files": _PLACES,
        "Weights and device": _MODEL,
        "Messages": _TALK,
    },
    "mix": {
        "Who gives what": ("weights", "blend", "style", "attributes"),
        "What is drawn": ("scale", "strip", "matrix", "frames", "html", "keep"),
        "Face in the photo": _PHOTOS,
        "Search": _SEARCH,
        "Files": _PLACES,
        "Weights and device": _MODEL,
        "Messages": _TALK,
    },
    "upscale": {
        "Size": ("scale", "size"),
        "Way": ("method", "filters", "consistent", "compare", "device"),
        "Files": (*_PLACES, "skip_existing"),
        "Messages": _TALK,
    },
}
EXAMPLES = {
    "train": ("train --data photos --align --dry-run", "train --resume latest --kimg 500"),
    "sample": ("sample -n 16 -o faces.png", "sample --seeds 0,4-6 --outdir faces"),
    "invert": ("invert me.jpg", "invert team --outdir latents --json"),
    "mix": ("mix a.jpg b.jpg -w 30% -o out.png", "mix me.jpg dad.jpg --keep me.jpg"),
    "upscale": ("upscale shots --outdir big", "cat a.jpg | neuralid upscale - -o - > b.jpg"),
}


class Command(TyperCommand):
    """A command whose help is in groups."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write("\n".join(_page(self, ctx, GROUPS[self.name or ""])) + "\n")


class Group(console.OneLineErrors):
    """The program, whose help is in the same manner."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        names = tuple(param.name for param in self.get_params(ctx))
        lines = [*_page(self, ctx, {"Options": names}), *_head("Commands")]
        for name in self.list_commands(ctx):
            found = self.get_command(ctx, name)
            lines += _entry(name, ((found and found.help) or "").splitlines()[0])
        formatter.write("\n".join(lines) + "\n")


def _page(command: Any, ctx: Any, groups: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """The lines of a command's help."""
    params = {param.name: param for param in command.get_params(ctx)}
    words = " ".join(command.collect_usage_pieces(ctx))
    yield f"Usage: {ctx.command_path} {words}"
    for paragraph in (command.help or "").split("\n\n"):
        yield ""
        yield from textwrap.wrap(" ".join(paragraph.split()), _width())
    arguments = [param for param in params.values() if param.param_type_name == "argument"]
    for param in arguments:
        yield from ["", *_entry(param.metavar or param.name, param.help or "")]
    if command.name in EXAMPLES:
        yield from _head("Examples")
        yield from (f"  {_with_name(line)}" for line in EXAMPLES[command.name])
    for title, names in groups.items():
        yield from _head(title)
        for param in (params[name] for name in names if name in params):
            yield from _entry(_spelling(param), _with_default(param))


def _with_name(line: str) -> str:
    return line if "neuralid" in line else f"neuralid {line}"


def _head(title: str) -> list[str]:
    return ["", typer.style(f"{title}:", bold=True)]


def _width() -> int:
    return min(WIDEST, shutil.get_terminal_size().columns)


def _entry(name: str, text: str) -> list[str]:
    """An option and what it does: beside it where there is room, else below."""
    plain = re.sub(r"\*\*", "", " ".join(text.split()))
    if _width() < ROOMY:
        return [f"  {name}", *textwrap.wrap(plain, _width(), **_indented(6))]
    lines = textwrap.wrap(plain, _width(), **_indented(BESIDE))
    if lines and len(name) + 4 <= BESIDE:
        lines[0] = f"  {name}".ljust(BESIDE) + lines[0].lstrip()
        return lines
    return [f"  {name}", *lines]


def _indented(by: int) -> dict[str, Any]:
    return {"initial_indent": " " * by, "subsequent_indent": " " * by, "break_on_hyphens": False}


def _spelling(param: Any) -> str:
    """``-o, --output FILE``; ``--align/--no-align``."""
    flags = ", ".join(sorted(param.opts, key=len))
    both = "/".join([flags, *param.secondary_opts])
    return both if param.is_flag else f"{both} {param.metavar or ''}".rstrip()


def _with_default(param: Any) -> str:
    """The help, with the default if there is one to tell."""
    value = param.default
    if value is None or value is False or not getattr(param, "show_default", True):
        return param.help or ""
    shown = param.name if value is True else f"{value:g}" if isinstance(value, float) else value
    return f"{param.help} [default: {shown}]"
