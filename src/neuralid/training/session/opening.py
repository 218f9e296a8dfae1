"""The folder of a run at its start: found or created, locked, its options written."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...core.errors import OutputError
from ...core.files import check_folder
from ...core.version import __version__
from ...data.dataset import Dataset
from ..distributed.launch import launch_name, launch_time, was_launched
from ..options import TrainOptions
from ..runs.folder import Run
from ..runs.plan import Plan, new_plan
from ..runs.records import Skipped
from .choice import CHOSEN, Choice


def find_run(options: TrainOptions) -> Run | None:
    """The run to resume: the one asked for, or this torchrun's own, after a restart."""
    out = Path(options.out)
    if options.resume is not None:
        return Run.find(out, options.resume)
    if not was_launched():
        return None
    return Run.launched_by(out, launch_name(), launch_time(), new_plan(options).to_dict())


def lock_run(resumed: Run | None, out: Path, held: ExitStack) -> None:
    """Keep other processes out of a resumed run; for a new one, check that ``out`` is writable."""
    if resumed is None:
        check_folder(out)
    else:
        held.enter_context(resumed.locked())


def open_run(
    resumed: Run | None,
    out: Path,
    plan: Plan,
    faces: Dataset,
    choice: Choice,
    held: ExitStack,
    say: Callable[[str], None],
) -> Run:
    """Create the run's folder, locked, unless it is ``resumed``; write its options."""
    run = resumed or _create_run(out, plan, faces, held)
    facts = {
        "version": __version__,
        "pictures": _identify_pictures(resumed, faces, say),
        CHOSEN: asdict(choice),
    }
    if was_launched():
        facts["launch"] = {"name": launch_name(), "time": time.time()}
    with hint_at_resume(run):
        run.write_options({**plan.to_dict(), **facts})
    return run


@contextmanager
def hint_at_resume(run: Run) -> Iterator[None]:
    """If a file cannot be written, add to the hint how to resume the run: nothing is lost."""
    try:
        yield
    except OutputError as error:
        hint = error.hint or "make sure that the folder can be written to"
        error.hint = f"{hint}; go on with `resume` {run.folder}"
        raise


def _create_run(out: Path, plan: Plan, faces: Dataset, held: ExitStack) -> Run:
    run = Run.create(out, plan.name)
    held.enter_context(run.locked())
    for name, why in faces.skipped.items():
        run.log(Skipped(name, why))
    return run


def _identify_pictures(
    resumed: Run | None, faces: Dataset, say: Callable[[str], None]
) -> dict[str, Any]:
    """What tells one set of pictures from another; warns if the run began with others."""
    names = "\0".join(faces.names).encode("utf-8", "surrogateescape")
    now = {"count": len(faces.names), "names": hashlib.sha256(names).hexdigest()[:16]}
    before = resumed.read_options().get("pictures", now) if resumed else now
    if before != now:
        count = before.get("count") if isinstance(before, dict) else None
        many = f"{count} " if isinstance(count, int) else ""
        say(f"these are not the {many}pictures the run began with")
    return now
