"""How a run computes: in which precision, and each layer in which of its exact forms.

On a CPU both are found by trying, unless the user says the precision. They decide a run's rounding,
so they are kept in its options, and resuming it on the same kind of device keeps to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch

from ...core.device import can_bfloat16, pick_precision
from ...core.jsontext import build
from ...core.trying import Trial, fastest
from ...models.building import empty_discriminator, empty_generator
from ...models.forms import fastest_forms, set_forms
from ..batches import Batches
from ..config import TrainConfig
from ..distributed.world import World
from ..runs.folder import Run
from ..runs.plan import Plan
from ..state import TrainState
from ..step import Engine, passes, rehearse

MOST = 32  # pictures in a pass that forms are tried with; it is long enough to tell
FEW = 8  # and precisions, with whole networks
CHOSEN = "chosen"  # in a run's options


@dataclass(frozen=True)
class Choice:
    """The precision, ``fp32`` or ``bf16``, and the form of each layer that was tried, by name.

    Names begin with the network's, as in ``generator.ups.0``; layers that are not named go by the
    device and the batch.
    """

    device: str  # cpu, cuda or mps: where it holds
    precision: str
    forms: dict[str, str] = field(default_factory=dict)

    def of(self, network: str) -> dict[str, str]:
        """The forms of one network's layers."""
        parts = ((name.partition("."), form) for name, form in self.forms.items())
        return {layer: form for (owner, _, layer), form in parts if owner == network}


def choose(
    plan: Plan, resumed: Run | None, device: torch.device, say: Callable[[str], None]
) -> Choice:
    """What the resumed run was trained with, or what is fastest here."""
    wanted = plan.train.precision
    before = _read(plan, resumed)
    if before is not None and before.device == device.type and wanted in ("auto", before.precision):
        return before
    if device.type != "cpu":
        return Choice(device.type, pick_precision(wanted, device))
    names = [wanted] if wanted != "auto" else ["fp32", "bf16"] if can_bfloat16() else ["fp32"]
    choices = {name: Choice("cpu", name, _forms(plan, name)) for name in names}
    state = lru_cache(maxsize=1)(partial(_fresh, plan))  # made once, if anything is tried
    ways = {name: partial(_ready, state, plan, choice) for name, choice in choices.items()}
    usual = pick_precision(wanted, device)
    own = plan.model
    question = f"training {own.architecture} {own.size} {own.latent_size}"
    best, seconds = fastest(Trial(question, ways, usual))
    if len(seconds) > 1:
        told = ", ".join(f"{name} {1000 * value:.0f} ms" for name, value in seconds.items())
        say(f"tried a pass of {FEW} faces: {told}")
    return choices[best]


def use_forms(state: TrainState, choice: Choice) -> None:
    """Give the networks the forms that were chosen for their layers."""
    for network in (state.generator, state.average):
        set_forms(network, choice.of("generator"))
    set_forms(state.discriminator, choice.of("discriminator"))


def _read(plan: Plan, run: Run | None) -> Choice | None:
    """What a run's options say; None if that is nothing, or nothing that fits the networks."""
    if run is None:
        return None
    try:
        told = build(Choice, run.read_options().get(CHOSEN))
        set_forms(empty_generator(plan.model), told.of("generator"))
        set_forms(empty_discriminator(plan.model), told.of("discriminator"))
    except ValueError:
        return None
    return told if told.precision in ("fp32", "bf16") else None


def _forms(plan: Plan, precision: str) -> dict[str, str]:
    """The fastest form of each layer of both networks."""
    batch = min(plan.train.micro_batch or plan.train.batch, MOST)
    noise = torch.empty(1, plan.model.latent_size, device="meta")
    faces = torch.empty(1, 3, plan.model.size, plan.model.size, device="meta")
    found: dict[str, str] = {}
    for owner, network, example, many in (
        ("generator", empty_generator(plan.model), noise, batch),
        ("discriminator", empty_discriminator(plan.model), faces, 2 * batch),
    ):
        forms = fastest_forms(network.eval(), [example], many, precision)
        found |= {f"{owner}.{layer}": form for layer, form in forms.items()}
    return found


def _fresh(plan: Plan) -> TrainState:
    config = TrainConfig(batch=FEW, recipe=plan.train.recipe)
    return TrainState.fresh(plan.model, config, torch.device("cpu"))


def _ready(make: Callable[[], TrainState], plan: Plan, choice: Choice) -> Callable[[], Any]:
    """A pass of both networks and their gradients, in the precision and forms of the choice."""
    config, state, world = TrainConfig(batch=FEW, recipe=plan.train.recipe), make(), World()
    shape = (FEW, plan.model.size, plan.model.size, 3)
    faces = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    (part,) = passes(state, Batches(faces, np.arange(FEW), 0, mirror=False), config, world)
    engine = Engine.start(state, config, choice.precision, world)

    def work() -> None:
        use_forms(state, choice)
        rehearse(state, part, engine)

    return work
