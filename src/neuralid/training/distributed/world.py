"""Processes that train one run together, as ``torchrun`` starts them; without it there is one.

The first process writes and talks; the others only compute. Each takes its rows of every batch,
and gradients and batch-norm statistics are averaged, so all hold the same networks.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ...core.errors import ConfigError, NeuralidError, TrainingError
from ...models.share import Share
from ..config import TrainConfig
from .batchnorm import synchronise
from .launch import meet, was_launched

T = TypeVar("T")
# The others wait for the first while it reads pictures, measures, or trains the encoder. A process
# that dies is noticed at once, by its closed connections and by torchrun.
PATIENCE = timedelta(days=7)
STEP = timedelta(minutes=30)  # within a step nobody waits for work that one process does alone


@dataclass(frozen=True)
class World:
    """One process's place among those that train together; by default it is the only one."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # among the processes of its machine
    patient: Any = None  # the group in which the others wait for one; None: the usual one

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def share(self, rng: torch.Generator) -> Share:
        """This process's rows of a batch; ``rng`` is seeded alike in all processes."""
        return Share(self.rank, self.size, rng=rng)

    def first(self, make: Callable[[], T]) -> T:
        """What the first process makes, on all of them; the others wait.

        If it fails, every process raises its error.
        """
        if self.size == 1:
            return make()
        outcome: list[Any] = [_try(make) if self.is_first else None]
        dist.broadcast_object_list(outcome, group=self.patient)
        value, error = outcome[0]
        if error is not None:
            raise error
        made: T = value
        return made

    def alone(self, make: Callable[[], T]) -> T | None:
        """What the first process makes; None on the others, which wait for it."""
        made: list[T] = []
        self.first(lambda: made.append(make()))
        return made[0] if made else None

    def each(self, make: Callable[[], T]) -> T:
        """What this process makes; if one process fails, every process raises its error."""
        if self.size == 1:
            return make()
        value, error = _try(make)
        errors: list[Any] = [None] * self.size
        dist.all_gather_object(errors, error, group=self.patient)
        for rank, found in enumerate(errors):
            if found is not None:
                found.args = (f"{found} (process {rank})",) if rank else found.args
                raise found
        return value

    def in_turn(self, make: Callable[[], T]) -> T:
        """`each`, but one process per machine goes first, so that the others find its files."""
        made: list[T] = []
        for turn in (True, False):
            goes = turn == (self.local_rank == 0)
            self.each(lambda: made.append(make()) if goes else None)  # noqa: B023
        return made[0]

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the processes, on the CPU."""
        values = values.detach().cpu()
        if self.size > 1:
            dist.all_reduce(values)
        return values / self.size

    def mean_in_place(self, values: Tensor) -> Tensor:
        """The mean over the processes, where ``values`` are, which it replaces; nothing waits."""
        if self.size > 1:
            dist.all_reduce(values)
            values /= self.size
        return values

    def any(self, flag: bool) -> bool:
        """Whether ``flag`` is set on any process; all get the same answer."""
        return bool(self.mean(torch.tensor(float(flag))) > 0)

    def lowest(self, precision: str) -> str:
        """``bf16`` only if every process can use it."""
        return "fp32" if self.any(precision == "fp32") else precision

    def broadcast(self, values: dict[str, Any]) -> dict[str, Any]:
        """The first process's values and tensors, on all of them; tensors on the CPU."""
        if self.size == 1:
            return values

        def pack() -> bytes:
            buffer = io.BytesIO()
            torch.save(values, buffer)
            return buffer.getvalue()

        content = io.BytesIO(self.first(pack))
        return (
            values if self.is_first else torch.load(content, map_location="cpu", weights_only=True)
        )

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network with gradients and batch-norm statistics averaged over the processes."""
        if self.size == 1:
            return network
        synchronise(network)
        with warnings.catch_warnings():
            # Newer versions of torch have another name for it, and older ones know only this.
            warnings.simplefilter("ignore", FutureWarning)
            return DistributedDataParallel(network, broadcast_buffers=False)

    def device(self, name: str) -> str:
        """The device of this process; unless ``name`` says which, each process has its own GPU.

        Raises `ConfigError` for a device that several processes cannot train on.
        """
        if self.size == 1:
            return name
        if name.startswith("cuda:"):
            raise ConfigError(
                f"`device` {name} is one device for {self.size} processes",
                hint="leave `device` out: each process takes a GPU of its own",
            )
        if name == "mps":
            raise ConfigError(f"{self.size} processes can train on cpu or cuda, not on mps")
        if torch.cuda.is_available() and name in ("auto", "cuda"):
            return f"cuda:{self.local_rank}"
        return "cpu" if name == "auto" else name


@contextmanager
def join_world() -> Iterator[World]:
    """Join this process's world: torchrun's, an existing process group, or one of its own.

    Raises `TrainingError` if another process of it is lost.
    """
    theirs = dist.is_available() and dist.is_initialized()
    if not theirs and not was_launched():
        yield World()
        return
    if not theirs:
        meet(STEP)
    patient = dist.new_group(backend="gloo", timeout=PATIENCE)
    try:
        with warnings.catch_warnings():
            # Harmless: from a single row.
            warnings.filterwarnings("ignore", "Grad strides do not match")
            yield _world(patient)
    except RuntimeError as error:
        if not _is_lost(error):
            raise
        raise TrainingError(
            "another process of this run was lost",
            hint="with torchrun --max-restarts N, a run continues from its last checkpoint",
        ) from error
    finally:
        dist.destroy_process_group(patient if theirs else None)


def check_shares(config: TrainConfig, size: int, group: int = 1) -> None:
    """Raise `ConfigError` unless the pictures of a pass divide evenly, in whole groups."""
    name, pictures = "batch", config.batch
    if config.micro_batch is not None:
        name, pictures = "micro_batch", config.micro_batch
    if pictures % size:
        raise ConfigError(
            f"`{name}` {pictures} cannot be divided evenly among {size} processes",
            hint=f"it counts the pictures of all processes: use a multiple of {size * group}",
        )
    if pictures // size % min(group, pictures):
        raise ConfigError(
            f"`{name}` {pictures} gives each process {pictures // size} pictures, "
            f"which are not groups of {group}",
            hint=f"use a multiple of {size * group}",
        )


def _world(patient: Any) -> World:
    rank, size = dist.get_rank(), dist.get_world_size()
    return World(rank, size, int(os.environ.get("LOCAL_RANK", rank)), patient)


def _try(make: Callable[[], Any]) -> tuple[Any, NeuralidError | None]:
    try:
        return make(), None
    except NeuralidError as error:
        return None, error


def _is_lost(error: RuntimeError) -> bool:
    """Gloo raises plain RuntimeErrors that name its files."""
    return isinstance(error, dist.DistError) or "gloo" in str(error)
