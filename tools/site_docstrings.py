"""Docstrings on the documentation's site: examples as code, shapes as they are laid out."""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"(?m)^>>> .*\n?(?:^(?!$).*\n?)*")  # up to the next empty line


class Examples(griffe.Extension):  # type: ignore[misc]
    """Puts doctests into code blocks; as Markdown they would be quotations."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = _EXAMPLE.sub(_fence, obj.docstring.value)


def _fence(match: re.Match[str]) -> str:
    return f"```pycon\n{match[0].rstrip()}\n```\n"
