"""Run the notebooks of examples/ from top to bottom, each in an empty folder.

python tools/run_notebooks.py
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(path: Path) -> None:
    """Run a notebook's code; an error ends the program, and names the cell."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        os.environ["NEURALID_CACHE_DIR"] = str(Path(folder, "cache"))
        for number, cell in enumerate(cells, 1):
            if cell["cell_type"] == "code":
                code = compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec")
                exec(code, names)


def main() -> None:
    for path in sorted(EXAMPLES.glob("*.ipynb")):
        started = time.monotonic()
        run(path)
        print(f"{path.name}: {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
