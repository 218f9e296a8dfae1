"""``train``: a folder of faces -> a run folder, and weights in the cache."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..training.loop import Step
from ..training.options import OPTIONS, TrainOptions, as_parameters, as_text
from ..training.session.callbacks import Callbacks
from ..training.session.session import Trained
from ..training.session.start import start_training
from ._model import quiet

__all__ = ["Trained", "train"]


def train(
    data: str | Path | None = None,
    *,
    options: TrainOptions | None = None,
    on_load: Callable[[int, int], None] = lambda done, total: None,
    on_step: Callable[[Step], None] = lambda step: None,
    on_encoder: Callable[[int, int], None] = lambda done, total: None,
    on_message: Callable[[str], None] = quiet,
    on_alone: Callable[[], None] = lambda: None,
    should_stop: Callable[[], bool] = lambda: False,
    **given: Any,
) -> Trained:
    """Train a generator on a folder or zip of faces (paper, sections 2.1 and 3).

    Options are given as keywords, as `TrainOptions`, or both: then keywords count. Those left out
    take the defaults of `TrainConfig`, `ModelConfig` and `CropConfig`, or, with ``resume`` (a
    run's folder, its name under ``out``, or "latest"), those of the run; only some may differ
    from it, and an error names one that may not. ``batch`` is for all processes together, and
    with ``micro_batch`` goes through the networks in parts of that size. ``kimg`` and ``snapshot``
    are thousands of pictures; ``face_size`` and the deltas pixels; ``rotation`` degrees. With
    ``align`` the most prominent face of each picture is found and framed, as `Frame` says.
    ``attributes`` is a list in CelebA's format, or "utkface" for that data set's file names: the
    weights then hold a direction in latent space for each attribute. ``tensorboard`` writes event
    files into the run's folder; it needs the extra of that name.

    ``on_load(done, total)`` is called as pictures are read, ``on_step`` after training steps,
    ``on_encoder(done, total)`` during what comes after, for the encoder and then for the
    directions, ``on_message`` with anything worth a line. ``on_alone`` is called on the first of
    several processes when from then on only it works, so that it may take more threads. When
    ``should_stop()`` says so, the run saves and ends early, and nothing is published; while
    pictures are read it ends in a `KeyboardInterrupt`.

    Under ``torchrun``, or in a program that has set up ``torch.distributed``, every process calls
    this alike; the first one writes, and its callbacks are the ones that are called.

    Raises `DataError`, `TrainingError`, `ConfigError`, `DeviceError` or `OutputError`; `TypeError`
    for a keyword there is not.
    """
    callbacks = Callbacks(on_load, on_step, on_encoder, on_message, on_alone, should_stop)
    return start_training(_combine(options, data, given), callbacks)


def _combine(
    options: TrainOptions | None, data: str | Path | None, given: dict[str, Any]
) -> TrainOptions:
    """The options, with what was given by keyword in their place."""
    for name in given:
        if name not in OPTIONS:
            raise TypeError(f"train() got an unexpected keyword argument '{name}'")
    if data is not None:
        given["data"] = data
    return replace(options or TrainOptions(), **given)


def _signature() -> inspect.Signature:
    """That of `train`, with every option in the place of ``**given``."""
    own = [*inspect.signature(train, eval_str=True).parameters.values()]
    return inspect.Signature([*as_parameters(), *own[1:-1]], return_annotation=Trained)


train.__signature__ = _signature()  # type: ignore[attr-defined]
if train.__doc__:  # python -OO leaves none
    train.__doc__ = f"{inspect.cleandoc(train.__doc__)}\n\nOptions:\n\n{as_text()}\n"
