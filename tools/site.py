"""What the documentation's site needs beside its pages: a hook of mkdocs.

Pages link to files of the repository that are not pages, as they should on the code's host; on the
site such links lead there.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

HOST = "https://github.com/neuralid/neuralid/blob/main/"
_LINK = re.compile(r"\]\(((?:\.\./)+)([^)\s]+)\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links that leave ``docs/`` into links to the code's host."""
    depth = len(PurePosixPath(page.file.src_uri).parts)

    def absolute(match: re.Match[str]) -> str:
        leaves = match[1].count("../") >= depth
        return f"]({HOST}{match[2]})" if leaves else match[0]

    return _LINK.sub(absolute, markdown)
