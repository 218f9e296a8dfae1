"""Import torch fast: what takes longest before a command can begin."""

from __future__ import annotations

import gc
import sys


def import_torch() -> None:
    """Import torch without looking for garbage among its half a million objects, then or later.

    Python would look through them several times, a tenth of a second each; they stay anyway. It
    concerns the whole process, so only the program does it.
    """
    if "torch" in sys.modules:
        return
    was_on = gc.isenabled()
    gc.disable()
    try:
        import torch  # noqa: F401
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
