"""The weights there are: those that ship, in the cache, and in runs; each found by its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...core.checks import nearest
from ...core.errors import ConfigError, WeightsError
from ...core.tensors import open_tensors
from ...weights import Description, describe
from ...weights_cache import SHIPPED, file_id, find_weights, weights_folder
from .folder import Run, labelled_kimg, numbered
from .history import History
from .records import FINISHED, text

OUT = Path("runs")  # where runs are, unless another folder is named
TRAINING_SUFFIX = ".training.safetensors"  # of the file beside weights that is for training alone
_BEST = "weights-best.safetensors"


@dataclass(frozen=True)
class Known:
    """Weights that can be used by a name."""

    name: str
    path: Path
    about: Description


def find_named(name: str | Path | None = None, out: Path = OUT) -> Path:
    """The path of weights: a file, a name in the cache, one that ships (None: the default), a run.

    A run is named by its folder, that folder's name under ``out``, or its own name. Its weights are
    those it published; while it isn't finished, its best, else its newest. Raises `WeightsError`.
    """
    if name is not None and (run := Run.at(out, name)) is not None:
        return weights_of(run)
    try:
        return find_weights(name)
    except WeightsError as error:
        if name is None or Path(name).exists():
            raise
        if (run := Run.named(out, str(name))) is not None:
            return weights_of(run)
        error.hint = f"{nearest(str(name), _names(out))}`neuralid --list-weights` shows all"
        raise


def weights_of(run: Run) -> Path:
    """The best weights that a run has. Raises `WeightsError` if it has none yet."""
    published = _published(run)
    if published is not None:
        return published
    snapshots = sorted(run.folder.glob("weights-*.safetensors"), key=_kimg)
    found = [path for path in (run.folder / _BEST, *reversed(snapshots)) if path.is_file()]
    if not found:
        raise WeightsError(f"{run.folder} has no weights yet", hint="wait for its first snapshot")
    return found[0]


def list_known(out: Path = OUT) -> Iterator[Known | WeightsError]:
    """All weights that have a name, or why one cannot be read: shipped, published, of runs."""
    for name, path in _named_paths(out):
        try:
            yield Known(name, path, read_description(path))
        except WeightsError as error:
            yield error


def read_description(path: Path) -> Description:
    """What a weights file says of itself, without its networks. Raises `WeightsError`."""
    try:
        with open_tensors(path) as file:
            return describe(file.texts, path)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read: {error}", hint="remove it") from error


def _named_paths(out: Path) -> Iterator[tuple[str, Path]]:
    for name in SHIPPED:
        with suppress(WeightsError):
            yield name, find_weights(name)
    published = _published_paths()
    yield from ((path.name.removesuffix(".safetensors"), path) for path in published)
    for _, folder in sorted(numbered(out)):
        with suppress(WeightsError):
            if (path := weights_of(Run(folder)).resolve()) not in published:
                yield folder.name, path


def _published_paths() -> list[Path]:
    """The weights in the cache; none if there is no cache."""
    with suppress(ConfigError, OSError):
        found = weights_folder().resolve().glob("*.safetensors")
        return sorted(path for path in found if not path.name.endswith(TRAINING_SUFFIX))
    return []


def _names(out: Path) -> list[str]:
    """Every name that weights have, those of runs with and without their numbers."""
    folders = [folder.name for _, folder in numbered(out)]
    published = [path.name.removesuffix(".safetensors") for path in _published_paths()]
    return [*SHIPPED, *published, *folders, *(re.sub(r"^\d+-", "", name) for name in folders)]


def _published(run: Run) -> Path | None:
    """The weights a run published, unless another run of that name has replaced them."""
    ends = [event for event in History.read(run.log_path).events if event.name == FINISHED]
    path = Path(text(ends[-1].facts.get("weights")) or "") if ends else Path()
    with suppress(OSError, ValueError):  # a log may name any file
        if path.is_file() and file_id(path) == ends[-1].facts.get("weights_id"):
            return path
    return None


def _kimg(path: Path) -> float:
    """Thousands of pictures behind a snapshot's weights, by its name; the best ones have none."""
    label = path.name.removeprefix("weights-").removesuffix(".safetensors")
    return labelled_kimg(label) or 0.0
