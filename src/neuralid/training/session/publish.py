"""What a finished run gets: a latent metric, an encoder, directions; then it is published."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from ... import weights
from ...latents.attributes import Attributes, Direction
from ...latents.coordinates import Coordinates, latent_metric
from ...models.architecture import architecture
from ...models.building import build_drawer
from ...models.drawing import Drawer
from ...models.encoder import Encoder
from ..batches import Batches
from ..finish.directions import find_directions
from ..finish.encoding import train_encoder
from ..runs.origin import save_discriminator
from ..state import TrainState
from .job import Job
from .snapshots import Snapshots


def finish_and_publish(
    job: Job, state: TrainState, batches: Batches, snapshots: Snapshots
) -> Path | None:
    """Measure latent space, train the encoder, find the directions, and publish the weights.

    Architectures that can't be inverted have none of the first three.

    Returns their path in the cache, or None if it was stopped; a resumed run then starts here
    again. Only the first process does this.
    """
    if job.world.size > 1:
        job.callbacks.on_alone()
    snapshots.quality.finish(state.images)
    found: _Finish | None = _Finish()
    if architecture(job.plan.model.architecture).can_invert:
        found = _finish(job, build_drawer(state.average), batches)
    if found is None:
        return None
    name = job.plan.name
    if weights.is_published(name):
        job.say(f"replacing the weights '{name}' in the cache")
    described = replace(snapshots.describe(state), scores=snapshots.quality.scores)
    parts = (found.metric, found.encoder, found.directions)
    path = weights.publish(name, state.average, described, *parts)
    save_discriminator(path, state.discriminator.state_dict())
    return path


@dataclass(frozen=True)
class _Finish:
    """What goes into weights beside the generator."""

    metric: Tensor | None = None
    encoder: Encoder | None = None
    directions: dict[str, Direction] = field(default_factory=dict)


def _finish(job: Job, drawer: Drawer, batches: Batches) -> _Finish | None:
    """Metric, encoder and directions; None if it was stopped."""
    job.say("measuring the directions of latent space")
    metric = latent_metric(drawer)
    coordinates = Coordinates.of(metric)
    encoder = _train_encoder(job, drawer, coordinates, batches)
    if encoder is None:
        return None
    directions = _find_directions(job, drawer, coordinates, encoder)
    return None if directions is None else _Finish(metric, encoder, directions)


def _train_encoder(
    job: Job, drawer: Drawer, coordinates: Coordinates, batches: Batches
) -> Encoder | None:
    """The encoder; None if it was stopped."""
    job.say("training the encoder")
    return train_encoder(
        drawer,
        coordinates,
        batches,
        job.plan.train,
        job.precision,
        on_step=job.callbacks.on_encoder,
        should_stop=job.callbacks.should_stop,
    )


def _find_directions(
    job: Job, drawer: Drawer, coordinates: Coordinates, encoder: Encoder
) -> dict[str, Direction] | None:
    """The directions of the attributes asked for; None if it was stopped."""
    if job.attributes is None:
        return {}
    job.say(f"looking for the directions of {', '.join(job.attributes.names)}")
    chosen = job.faces.training()
    known = Attributes(job.attributes.names, job.attributes.values[chosen])
    return find_directions(
        drawer,
        coordinates,
        encoder,
        job.faces.images[chosen],
        known,
        seed=job.plan.train.seed,
        precision=job.precision,
        on_step=job.callbacks.on_encoder,
        should_stop=job.callbacks.should_stop,
    )
