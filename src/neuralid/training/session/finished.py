"""A run that is finished: how it is known, what is kept of it, and that it is not done again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...weights_cache import file_id
from ..runs.checkpoint import keep_newest
from ..runs.folder import Run, snapshot_label
from ..runs.history import History
from ..runs.plan import Plan
from ..runs.records import FINISHED, Event, now, text
from .quality import BEST_NAME

_WEIGHTS, _ID = "weights", "weights_id"  # facts of the event
# What the end of a run makes of a plan beside the pictures shown: asked for anew, it is done anew.
_MADE_AT_THE_END = ("attributes", "licence")


def note_finished(run: Run, plan: Plan, images: int, weights: Path) -> None:
    """Log that the weights were published, and keep of the run what a continuation needs, once.

    Its newest checkpoint goes on; the ones before were for a damaged one.
    """
    asked = {name: getattr(plan, name) for name in _MADE_AT_THE_END if getattr(plan, name)}
    facts = {_WEIGHTS: str(weights.resolve()), _ID: file_id(weights), **asked}
    run.log(Event(FINISHED, images / 1000, facts, now()))
    keep_newest(run.folder)


def drop_copy_of_best(run: Run, images: int, batch: int) -> None:
    """Remove the weights of the snapshot after so many pictures, which `BEST_NAME` holds too."""
    copy = run.folder / f"weights-{snapshot_label(images, batch)}.safetensors"
    if (run.folder / BEST_NAME).is_file():
        with contextlib.suppress(OSError):
            copy.unlink(missing_ok=True)


@dataclass(frozen=True)
class Finished:
    """What a finished run gave."""

    weights: Path | None  # None: another run of that name has published since
    images: int  # real pictures shown


def find_finished(run: Run, plan: Plan, say: Callable[[str], None]) -> Finished | None:
    """What a finished run gave, if the plan asks for no more; None if there is work to do.

    There is, too, if its weights are no longer in the cache.
    """
    ends = [event for event in History.read(run.log_path).events if event.name == FINISHED]
    if not ends:
        return None
    end, path = ends[-1], Path(text(ends[-1].facts.get(_WEIGHTS)) or "")
    kimg = end.kimg or 0.0
    asks_more = any(getattr(plan, n) != end.facts.get(n, "") for n in _MADE_AT_THE_END)
    there = _id_of(path)
    if asks_more or plan.train.kimg > kimg or there is None:
        return None
    say(f"{run.folder} is finished, after {kimg:g} kimg; a larger `kimg` goes on")
    is_own = there == end.facts.get(_ID)
    if not is_own:
        say(f"{path} is another run's by now; the weights in the run's folder are its own")
    return Finished(path if is_own else None, round(kimg * 1000))


def _id_of(path: Path) -> str | None:
    """The id of weights; None if there are none, or none to be read: a log may name any file."""
    try:
        return file_id(path) if path.is_file() else None
    except (OSError, ValueError):
        return None
