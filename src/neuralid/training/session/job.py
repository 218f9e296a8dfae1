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
from .choice import Choice


@dataclass(frozen=True)
class Job:
    """One process's part in one stretch of training; only the first process writes."""

    plan: Plan
    run: Run
    faces: Dataset
    attributes: Attributes | None  # of all faces
    device: torch.device
    choice: Choice
    callbacks: Callbacks
    world: World

    @property
    def precision(self) -> str:
        """``fp32`` or ``bf16``."""
        return self.choice.precision

    def say(self, message: str) -> None:
        self.callbacks.on_message(message)
