"""Pages that need no network: a template of ``assets/report/`` with everything put into it."""

from __future__ import annotations

import json
import re
from importlib.resources import files as package_files
from typing import Any


def fill_page(template: str, **parts: str) -> str:
    """The template with its ``{{names}}`` replaced, ``{{style}}`` by the pages' common style.

    What is put in has to be HTML already.
    """
    everything = {"style": read_asset("style.css"), **parts}
    return re.sub(r"\{\{(\w+)\}\}", lambda match: everything[match[1]], read_asset(template))


def read_asset(name: str) -> str:
    """The text of a file of ``assets/report/``."""
    return (package_files("neuralid") / "assets" / "report" / name).read_text(encoding="utf-8")


def as_json(data: Any) -> str:
    """JSON for a page's ``<script>`` element, which it cannot end."""
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c")
