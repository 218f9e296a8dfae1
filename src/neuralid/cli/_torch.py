"""Import torch fast, so that it shares the processor with other programs."""

from __future__ import annotations

import gc
import os
import sys

# How often a thread of torch's looks for its next piece of work before it sleeps. GNU OpenMP has
# 300,000, which hardly helps on an idle processor; on a busy one a thread that looks takes the time
# of the one it waits for, and two programs slow each other up tenfold.
SPINS = "10000"


def import_torch() -> None:
    """Import torch without looking for garbage among its half a million objects, then or later.

    Python would look through them several times, a tenth of a second each; they stay anyway. It
    concerns the whole process, so only the program does it.
    """
    if "torch" in sys.modules:
        return
    if "OMP_WAIT_POLICY" not in os.environ:  # which says it too
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    was_on = gc.isenabled()
    gc.disable()
    try:
        import torch  # noqa: F401
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
