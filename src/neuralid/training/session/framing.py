"""Whether the faces of a data set are framed alike, which a generator needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...faces.align import Eyes
from ...faces.config import Frame
from ..runs.known import read_description
from ..runs.plan import Plan

OTHERWISE = 0.05  # of a side: an eye that is so far from where the weights have it


def tell_framing(plan: Plan, eyes: Eyes, say: Callable[[str], None]) -> None:
    """Warn if the faces are not framed alike, unless they were framed by their eyes.

    Or if they are framed otherwise than those of the weights that the run starts from.
    """
    if plan.align:
        return
    if eyes.are_alike:
        _compare(plan.from_weights, eyes.frame, say)
        return
    if eyes.frame is None:
        why = f"eyes are where a face has them in only {eyes.found:.0%} of the pictures"
    else:
        why = f"the places of their eyes spread by {eyes.spread:.1%} of a side"
    say(
        f"the faces are not framed alike: {why}; train with `align`, which finds each face and "
        "frames it by its eyes"
    )


def _compare(origin: str, own: Frame | None, say: Callable[[str], None]) -> None:
    theirs = read_description(Path(origin)).frame if _is_file(origin) else None
    if own is None or theirs is None:
        return
    pairs = zip((*own.left_eye, *own.right_eye), (*theirs.left_eye, *theirs.right_eye), strict=True)
    if max(abs(a - b) for a, b in pairs) > OTHERWISE:
        say(
            f"the faces are framed otherwise than those of {Path(origin).stem}: their eyes are at "
            f"{_shown(own)} of a side, not {_shown(theirs)}; train with `align`"
        )


def _is_file(origin: str) -> bool:
    return bool(origin) and Path(origin).is_file()


def _shown(frame: Frame) -> str:
    return " and ".join(f"({x:.2f}, {y:.2f})" for x, y in (frame.left_eye, frame.right_eye))
