"""What a finished run gets: a latent metric, an encoder, directions; then it is published."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from ... import weights, weights_cache
from ...latents.attributes import Attributes, Direction
from ...latents.coordinates import Coordinates, latent_metric
from ...latents.whitening import Whitening
from ...models.architecture import architecture
from ...models.building import build_drawer, build_perceptual
from ...models.drawing import Drawer
from ...models.encoder import Encoder, LayerEncoder
from ...models.network import PerceptualNetwork
from ..batches import Batches
from ..finish.directions import find_directions
from ..finish.encoding import train_encoder
from ..runs.origin import save_discriminator
from ..state import TrainState
from .finished import drop_copy_of_best, note_finished
from .job import Job
from .snapshots import Snapshots


def finish_and_publish(
    job: Job, state: TrainState, batches: Batches, snapshots: Snapshots | None
) -> Path | None:
    """Measure latent space, train the encoder, find the directions, and publish the weights.

    Returns their path in the cache, or None if it was stopped; a resumed run then starts here
    again. All processes train the encoder; the first, which has the snapshots, does the rest.
    """
    found = _train_encoder(job, state, batches)
    if found is None:
        return None

    def publish() -> Path | None:
        assert snapshots is not None
        if job.world.size > 1:
            job.callbacks.on_alone()
        snapshots.quality.finish(state.images)
        directions = _find_directions(job, found)
        return None if directions is None else _publish(job, state, found, directions, snapshots)

    return job.world.first(publish)


@dataclass(frozen=True)
class _Found:
    """What belongs to a finished generator."""

    drawer: Drawer
    perceptual: PerceptualNetwork | None
    metric: Tensor | None
    coordinates: Coordinates | Whitening
    encoder: Encoder | LayerEncoder


def _train_encoder(job: Job, state: TrainState, batches: Batches) -> _Found | None:
    """The encoder and what it needs, on all processes; None if it was stopped."""
    drawer, metric = build_drawer(state.average), None
    perceptual = build_perceptual(state.discriminator)
    job.say("measuring the directions of latent space")
    coordinates: Coordinates | Whitening
    if architecture(job.plan.model.architecture).inverting.by_layer:
        coordinates = Whitening.of(state.average)
    else:
        metric = _measure(job, drawer)
        coordinates = Coordinates.of(metric)
    job.say("training the encoder")
    encoder = train_encoder(
        drawer,
        coordinates,
        batches,
        job.plan.train,
        job.precision,
        perceptual=perceptual,
        world=job.world,
        on_step=job.callbacks.on_encoder,
        should_stop=job.callbacks.should_stop,
    )
    return None if encoder is None else _Found(drawer, perceptual, metric, coordinates, encoder)


def _measure(job: Job, drawer: Drawer) -> Tensor:
    """The metric of latent space; the first process measures it, so that all have the same."""
    known = {"metric": latent_metric(drawer)} if job.world.is_first else {}
    metric: Tensor = job.world.broadcast(known)["metric"]
    return metric.to(job.device)


def _publish(
    job: Job,
    state: TrainState,
    found: _Found,
    directions: dict[str, Direction],
    snapshots: Snapshots,
) -> Path:
    """Write the weights, and say in the run where they are."""
    name = job.plan.name
    if weights_cache.is_published(name):
        job.say(f"replacing the weights '{name}' in the cache")
    described = replace(snapshots.describe(state), scores=snapshots.quality.scores)
    parts = (found.metric, found.encoder, directions, found.perceptual)

    def save(path: Path) -> None:
        weights.save_weights(path, state.average, described, *parts)
        save_discriminator(path, state.discriminator.state_dict())

    path = weights_cache.publish(name, save)
    note_finished(job.run, job.plan, state.images, path)
    if snapshots.quality.best is not None:
        drop_copy_of_best(job.run, snapshots.quality.best[1], job.plan.train.batch)
    if purpose := architecture(job.plan.model.architecture).purpose:
        job.say(purpose)
    return path


def _find_directions(job: Job, found: _Found) -> dict[str, Direction] | None:
    """The directions of the attributes asked for; None if it was stopped."""
    if job.attributes is None:
        return {}
    job.say(f"looking for the directions of {', '.join(job.attributes.names)}")
    chosen = job.faces.training()
    known = Attributes(job.attributes.names, job.attributes.values[chosen])
    return find_directions(
        found.drawer,
        found.coordinates,
        found.encoder,
        job.faces.images[chosen],
        known,
        seed=job.plan.train.seed,
        precision=job.precision,
        on_step=job.callbacks.on_encoder,
        should_stop=job.callbacks.should_stop,
    )
