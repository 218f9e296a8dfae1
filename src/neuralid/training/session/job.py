"""What all parts of one stretch of training share."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...data.dataset import Dataset
from ...latents.attributes import Attributes
from ..distributed.world import World
from ..runs.folder import Run
from ..runs.plan import Plan
from .callbacks import Callbacks


@dataclass(frozen=True)
class Job:
    """One process's part in one stretch of training; only the first process writes."""

    plan: Plan
    run: Run
    faces: Dataset
    attributes: Attributes | None  # of all faces
    device: torch.device
    precision: str  # fp32 or bf16
    callbacks: Callbacks
    world: World

    def say(self, message: str) -> None:
        self.callbacks.on_message(message)
