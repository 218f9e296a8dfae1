"""``neuralid --list-weights``."""

from __future__ import annotations

import json
from typing import Any

from .. import console
from ..core.errors import WeightsError

_COLUMNS = {
    "name": "name",
    "architecture": "architecture",
    "size": "size",
    "images": "pictures seen",
    "date": "date",
    "path": "path",
}


def list_weights(as_json: bool) -> None:
    """Print a line for each set of weights that has a name: a table, or JSON."""
    from ..api._known import list_weights

    found = list(list_weights())
    for error in found:
        if isinstance(error, WeightsError):
            console.show_error(error)
    facts = [each for each in found if not isinstance(each, WeightsError)]
    lines = [json.dumps(each) for each in facts] if as_json else _align(facts)
    for line in lines:
        console.print_line(line)


def _align(facts: list[dict[str, Any]]) -> list[str]:
    """A table's lines, with a head."""
    cells = [list(_COLUMNS.values())]
    for each in facts:
        shown = {**each, "size": f"{each['size']} px", "images": f"{each['images']:,}"}
        cells.append([shown[column] for column in _COLUMNS])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = ([word.ljust(w) for word, w in zip(row, widths, strict=True)] for row in cells)
    return ["  ".join(row).rstrip() for row in padded]
