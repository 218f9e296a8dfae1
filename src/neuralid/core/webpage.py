"""Pages that need no network: a template of ``assets/report/`` with everything put into it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files as package_files
from typing import Any


def fill_page(template: str, **parts: str) -> str:
    """The template with its ``{{names}}`` replaced, ``{{head}}`` by what all pages begin with.

    The head has the ``title`` and the common style, and lets scripts run if the page has a
    ``script``. What is put in has to be HTML already.
    """
    scripts = "'unsafe-inline'" if "script" in parts else "'none'"
    everything = {"style": read_asset("style.css"), "scripts": scripts, **parts}
    everything["head"] = _fill(read_asset("head.html"), everything)
    return _fill(read_asset(template), everything)


def _fill(text: str, parts: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], text)


def read_asset(name: str) -> str:
    """The text of a file of ``assets/report/``."""
    return (package_files("neuralid") / "assets" / "report" / name).read_text(encoding="utf-8")


def as_json(data: Any) -> str:
    """JSON for a page's ``<script>`` element, which it cannot end."""
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c")
