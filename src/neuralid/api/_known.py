"""The facts about every set of weights that has a name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ..core.errors import WeightsError
from ..training.runs.known import Known, list_known


def list_weights() -> Iterator[dict[str, Any] | WeightsError]:
    """Facts ready for JSON, weights by weights; the error for a file that cannot be read."""
    for each in list_known():
        yield each if isinstance(each, WeightsError) else _facts(each)


def _facts(known: Known) -> dict[str, Any]:
    about = known.about
    written = datetime.fromtimestamp(known.path.stat().st_mtime)
    return {
        "name": known.name,
        "architecture": about.model.architecture,
        "size": about.model.size,
        "images": about.images_seen,
        "date": written.date().isoformat(),
        "path": str(known.path),
    }
