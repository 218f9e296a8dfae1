"""Write docs/reference/api.md from the docstrings of what ``neuralid`` exports.

python tools/write_api.py            # write it
python tools/write_api.py --check    # exit 1 if it is not what the docstrings say
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import neuralid

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "api.md"
PARTS = {
    "Open": ("open", "Studio"),
    "One call": ("sample", "invert", "mix", "upscale", "find_faces", "train"),
    "Results": ("Face", "Sampled", "Inverted", "Mixed", "Upscaled", "Found", "Trained"),
    "Settings and pictures": ("TrainOptions", "Recipe", "CropConfig", "Photo"),
    "Errors": (
        *("NeuralidError", "ConfigError", "DataError", "DeviceError", "ImageError"),
        *("LatentError", "OutputError", "TrainingError", "WeightsError"),
    ),
}
INHERITED = ("tune", "save", "draw", "enlarge")  # by `Studio`, and useful there
INTRODUCTION = """# The Python interface

Generated from the docstrings by `python tools/write_api.py`; a test compares it with them, and the
examples run with the tests.

Errors a caller can fix are `neuralid.NeuralidError`: a message, a `hint`, and the `exit_code` of
the command line. They name parameters in backticks. Anything else is a bug.
"""
FIELD = re.compile(r"^    (\w+): ([^#=]+?)(?:\s*=\s*[^#]*)?(?:\s+#\s*(.*))?$")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    page = write_page()
    if options.check:
        return 0 if PAGE.exists() and PAGE.read_text() == page else 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page)
    return 0


def write_page() -> str:
    named = [name for names in PARTS.values() for name in names]
    missing = {*neuralid.__all__} - {*named, "__version__"}
    if missing:
        raise SystemExit(f"not in PARTS: {sorted(missing)}")
    parts = [INTRODUCTION]
    for title, names in PARTS.items():
        parts.append(f"## {title}\n")
        parts += [part for name in names for part in describe(name)]
    return "\n".join(parts)


def describe(name: str) -> Iterator[str]:
    """The Markdown of one exported name."""
    found = getattr(neuralid, name)
    if not inspect.isclass(found):
        yield f"### `neuralid.{name}{signature(found)}`\n"
        yield prose(found)
    elif issubclass(found, neuralid.NeuralidError):
        yield f"- `neuralid.{name}` (exit code {found.exit_code}): {inspect.getdoc(found)}\n"
    else:
        yield f"### `neuralid.{name}`\n"
        yield prose(found)
        yield from fields(found)
        for method in methods(found):
            yield f"#### `{name}.{method.__name__}{signature(method)}`\n"
            yield prose(method)


def methods(kind: type) -> Iterator[Any]:
    for name, member in vars(kind).items():
        function = member.__func__ if isinstance(member, classmethod) else member
        if inspect.isfunction(function) and name[0] != "_" and function.__doc__:
            yield function
    if kind is neuralid.Studio:
        yield from (getattr(kind, name) for name in INHERITED)


def fields(kind: type) -> Iterator[str]:
    """The fields and properties of a class, with what their comments and docstrings say."""
    rows = []
    if dataclasses.is_dataclass(kind) and kind is not neuralid.Studio:
        known = {f.name for f in dataclasses.fields(kind)}
        for line in inspect.getsource(kind).splitlines():
            match = FIELD.match(line)
            # `train` lists the options, which describe themselves.
            if match and match[1] in known and not match[2].startswith("Annotated["):
                rows.append((match[1], match[2].strip(), match[3] or ""))
    for name, member in vars(kind).items():
        getter = getattr(member, "fget", None) or getattr(member, "func", None)
        if getter is not None and name[0] != "_":
            said = (inspect.getdoc(getter) or "").split("\n\n")[0].replace("\n", " ")
            rows.append((name, str(getter.__annotations__.get("return", "")), said))
    if rows:
        yield "| field | type | |\n|---|---|---|"
        for name, kind_, said in rows:
            yield f"| `{name}` | `{escaped(kind_)}` | {escaped(marked(said))} |"
        yield ""


def signature(function: Any) -> str:
    """As written, without types: those are in the source."""
    found = inspect.signature(function)
    plain = [
        p.replace(annotation=inspect.Parameter.empty)
        for p in found.parameters.values()
        if p.name not in ("self", "cls")
    ]
    text = str(found.replace(parameters=plain, return_annotation=inspect.Signature.empty))
    return re.sub(r"<function (?:<lambda>|(\w+)) at 0x\w+>", lambda m: m[1] or "None", text)


def prose(thing: Any) -> str:
    """A docstring as Markdown: code in backticks, examples in fences."""
    blocks = (inspect.getdoc(thing) or "").split("\n\n")
    out = []
    for block in blocks:
        if block.lstrip().startswith(">>>"):
            out.append(f"```python\n{block}\n```")
        else:
            out.append(marked(block))
    return "\n\n".join(out) + "\n"


def marked(text: str) -> str:
    return re.sub(r"``([^`]+)``", r"`\1`", text)


def escaped(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
