"""Whether the faces of a data set are framed alike, which a generator needs."""

from __future__ import annotations

from collections.abc import Callable

from ...faces.align import Eyes
from ..runs.plan import Plan


def tell_framing(plan: Plan, eyes: Eyes, say: Callable[[str], None]) -> None:
    """Warn if the faces are not framed alike, unless they were framed by their eyes."""
    if plan.align or eyes.are_alike:
        return
    if eyes.frame is None:
        why = f"eyes are where a face has them in only {eyes.found:.0%} of the pictures"
    else:
        why = f"the places of their eyes spread by {eyes.spread:.1%} of a side"
    say(
        f"the faces are not framed alike: {why}; train with `align`, which finds each face and "
        "frames it by its eyes"
    )
