"""Train the encoder of a finished generator: on faces the generator drew, then on real ones.

Letters in shapes: N batch, D numbers in a latent, S side of a face.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...core.device import autocast, device_of
from ...latents.config import InvertConfig
from ...latents.coordinates import Coordinates
from ...latents.distance import Distance
from ...latents.latent import draw_noise_batch
from ...latents.whitening import Whitening
from ...models.architecture import architecture
from ...models.building import empty_encoder, initialise
from ...models.drawing import Drawer
from ...models.encoder import Encoder, LayerEncoder
from ...models.network import PerceptualNetwork
from ..batches import Batches
from ..config import TrainConfig
from ..distributed.world import World

SHARE = 0.25  # of the number of pictures the generator was trained on
DRAWN = 0.5  # share of the steps on drawn faces; the rest are on real ones
RATE = 1e-3
WARMUP = 100  # steps


def train_encoder(
    drawer: Drawer,
    coordinates: Coordinates | Whitening,
    batches: Batches,
    config: TrainConfig,
    precision: str,
    *,
    perceptual: PerceptualNetwork | None = None,
    world: World | None = None,
    on_step: Callable[[int, int], None] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Encoder | LayerEncoder | None:
    """An encoder for ``drawer``, or None if ``should_stop()`` became true before its end.

    First it learns to find the latents of drawn faces; every direction counts by how much it moves
    the pixels (the ``coordinates``). Then it learns from real faces, which the drawer should draw
    again from the encoder's guess; the objective is inversion's. It is shown `SHARE` times as many
    pictures as the generator was. The result is a function of the seed. The processes of a
    ``world`` train it together: each takes its rows of every batch.

    With `Whitening` as ``coordinates`` it is a `LayerEncoder`, which needs a ``perceptual`` network
    on the drawer's device. Directions then count by how far drawn latents spread along them.
    """
    steps = max(1, round(config.kimg * 1000 * SHARE / config.batch))
    lessons = _make_lessons(drawer, coordinates, config.seed, precision, perceptual)
    world, device, encoder = world or World(), device_of(drawer), lessons.encoder
    mine = config.batch // world.size
    rows = slice(world.rank * mine, (world.rank + 1) * mine)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=RATE, betas=(0.9, 0.99))

    for step in range(steps):
        if world.any(should_stop()):
            return None
        for group in optimizer.param_groups:
            group["lr"] = _rate(step, steps)
        if step < DRAWN * steps:
            loss = lessons.on_drawn(_draw(drawer, config, step, rows))
        else:
            real = batches.after(step * config.batch + rows.start, mine)
            loss = lessons.on_real(real.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for parameter in encoder.parameters():
            assert parameter.grad is not None
            world.mean_in_place(parameter.grad)
        optimizer.step()
        on_step(step + 1, steps)

    lessons.finish()  # from now on it guesses latents, not coordinates
    encoder.eval().requires_grad_(False)
    return encoder


class Lessons(Protocol):
    """How an encoder is taught. It guesses coordinates until it is finished."""

    @property
    def encoder(self) -> Encoder | LayerEncoder: ...

    def on_drawn(self, latents: Tensor) -> Tensor:
        """The loss on drawn faces of latents ``(N, *L)``: a number."""
        ...

    def on_real(self, real: Tensor) -> Tensor:
        """The loss on real faces ``(N, 3, S, S)``: a number."""
        ...

    def finish(self) -> None:
        """Let the encoder guess latents."""
        ...


@dataclass
class EvenLessons:
    """For an encoder of whole latents, where every direction moves the pixels about as much."""

    encoder: Encoder
    drawer: Drawer
    way: Coordinates
    precision: str

    def on_drawn(self, latents: Tensor) -> Tensor:
        with torch.no_grad(), autocast(latents.device, self.precision):
            faces = self.drawer(latents).float()
        with autocast(latents.device, self.precision):
            found = self.encoder(faces).float()
        wanted = latents.flatten(1) @ self.way.to_even
        return (found.flatten(1) - wanted).square().sum(1).mean()

    def on_real(self, real: Tensor) -> Tensor:
        with autocast(real.device, self.precision):
            found = self.encoder(real).float()
            z = (found.flatten(1) @ self.way.to_latent).view_as(found)
            drawn = self.drawer(z).float()
        error = (drawn - real).square().flatten(1).sum(1)
        far = (z - self.drawer.truncate(z, 0.0)).square().flatten(1).sum(1)  # from the mean
        return (error + InvertConfig.prior * far).mean()

    def finish(self) -> None:
        self.encoder.append(self.way.to_latent)


@dataclass
class LayerLessons:
    """For an encoder of layers, where drawn latents are about standard normal."""

    encoder: LayerEncoder
    drawer: Drawer
    way: Whitening
    precision: str
    perceptual: PerceptualNetwork

    def on_drawn(self, latents: Tensor) -> Tensor:
        with torch.no_grad(), autocast(latents.device, self.precision):
            faces = self.drawer(latents).float().clamp(-0.5, 0.5)
        found = self.way.latents(self._guess(faces))
        return (found - latents).square().mean(1).sum(1).mean()

    def on_real(self, real: Tensor) -> Tensor:
        recipe = architecture(self.drawer.config.architecture).inverting
        distance = Distance(real, recipe, self.perceptual, precision=self.precision)
        found = self._guess(real, distance.maps[-1])
        with autocast(real.device, self.precision):
            drawn = self.drawer(self.way.latents(found)).float()
        apart = (found - found.mean(1, keepdim=True)).square().sum((1, 2))
        far = InvertConfig.prior * found.square().sum((1, 2)) + recipe.deviation * apart
        return (distance(drawn) + far).mean()

    def finish(self) -> None:
        self.encoder.append(self.way.to_latent, self.way.mean)

    def _guess(self, faces: Tensor, features: Tensor | None = None) -> Tensor:
        with autocast(faces.device, self.precision):
            if features is None:
                with torch.no_grad():
                    features = self.perceptual(faces)[-1]
            return self.encoder(faces, features).float()


def _make_lessons(
    drawer: Drawer,
    coordinates: Coordinates | Whitening,
    seed: int,
    precision: str,
    perceptual: PerceptualNetwork | None,
) -> Lessons:
    rng, device = torch.Generator().manual_seed(seed), device_of(drawer)
    encoder = initialise(empty_encoder(drawer.config, drawer.latent_shape), rng).to(device)
    if isinstance(encoder, Encoder):
        assert isinstance(coordinates, Coordinates)
        return EvenLessons(encoder, drawer, coordinates.to(device), precision)
    assert isinstance(coordinates, Whitening) and perceptual is not None
    return LayerLessons(encoder, drawer, coordinates.to(device), precision, perceptual.ready())


@torch.no_grad()
def _draw(drawer: Drawer, config: TrainConfig, step: int, rows: slice) -> Tensor:
    """Draw latents, some rows of a batch; the generator was trained on other ones."""
    noise = draw_noise_batch(config.batch, drawer.config, config.seed, (1 << 40) + step)
    return drawer.latents(noise[rows].to(device_of(drawer)))


def _rate(step: int, steps: int) -> float:
    """The rate of a step: it rises over the first ones, then falls along a cosine."""
    rise = min(1.0, (step + 1) / min(WARMUP, steps))
    return RATE * rise * (0.5 + 0.5 * math.cos(math.pi * step / steps))
