"""Train the network that finds eyes (`neuralid.models.eyes`), on framed faces moved at random.

    python tools/train_aligner.py --faces utkface --eyes 0.295,0.301,0.695,0.301 \
        --faces celeba --eyes 0.393,0.516,0.610,0.516 -o src/neuralid/assets/eyes.safetensors

Each folder holds pictures whose eyes all lie at the given places (fractions of width and height).
Every sample is one of them turned, shifted and scaled at random as a detector would frame it, on a
background of another picture or noise, with its light, sharpness and noise changed. A twentieth of
the pictures, by hash of the file name, is never used.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from neuralid.align import similarity, standardise, viewed
from neuralid.dataset import is_held_out, list_pictures
from neuralid.models.eyes import PATCH, EyeLocator

LONGEST = 128  # pictures are kept at most so large, pixels
LOOSE = (25.0, 0.13, 0.18)  # spread of turns (degrees), shifts (sides) and log scales: a detector's
TIGHT = (4.0, 0.03, 0.05)  # and those after a first correction


@dataclass(frozen=True)
class Source:
    """Pictures and where their eyes are."""

    pictures: list[np.ndarray]  # grey
    eyes: np.ndarray  # (2, 2), fractions of width and height


def load(folder: Path, eyes: str) -> Source:
    places = np.array([float(part) for part in eyes.split(",")]).reshape(2, 2)
    names = [e.name for e in list_pictures(folder) if not is_held_out(e.name)]
    pictures = []
    for name in names:
        grey = cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE)
        assert grey is not None, name
        if max(grey.shape) > LONGEST:
            ratio = LONGEST / max(grey.shape)
            grey = cv2.resize(grey, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
        pictures.append(grey)
    return Source(pictures, places)


class Sampler:
    """Draws patches with the places of their eyes."""

    def __init__(self, sources: list[Source], seed: int) -> None:
        self.sources, self.rng = sources, np.random.default_rng(seed)

    def batch(self, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Patches ``(N, 1, P, P)``, eyes ``(N, 2, 2)``, and 1 for a face, 0 for none ``(N,)``."""
        samples = [self.sample() for _ in range(count)]
        patches = standardise(np.stack([sample[0] for sample in samples]))
        eyes = torch.tensor(np.stack([sample[1] for sample in samples]), dtype=torch.float32)
        return patches, eyes, torch.tensor([sample[2] for sample in samples])

    def sample(self) -> tuple[np.ndarray, np.ndarray, float]:
        source = self.sources[self.rng.integers(len(self.sources))]
        picture = self._any(source)
        kind = self.rng.random()
        if kind < 0.12:
            return self._finish(self._background()), np.zeros((2, 2)), 0.0
        matrix = self._away(source, picture) if kind < 0.2 else self._near(source, picture)
        patch = cv2.warpAffine(
            picture,
            matrix[:2],
            (PATCH, PATCH),
            dst=self._background(),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_TRANSPARENT if self.rng.random() < 0.7 else cv2.BORDER_REPLICATE,
        )
        eyes = (matrix[:2, :2] @ self._eyes(source, picture).T).T + matrix[:2, 2]
        if self.rng.random() < 0.5:
            patch, eyes = patch[:, ::-1], (eyes * [-1, 1] + [PATCH - 1, 0])[::-1]
        return self._finish(patch), (eyes + 0.5) / PATCH, float(kind >= 0.2)

    def _near(self, source: Source, picture: np.ndarray) -> np.ndarray:
        turn, shift, scale = LOOSE if self.rng.random() < 0.5 else TIGHT
        draw = self.rng.normal(size=4)
        return self._matrix(
            source, picture, turn * draw[0], shift * draw[1:3], np.exp(scale * draw[3])
        )

    def _away(self, source: Source, picture: np.ndarray) -> np.ndarray:
        """A part of a face, or one far too small or upside down: no face."""
        turn = self.rng.uniform(-180, 180)
        angle, far = self.rng.uniform(0, 2 * np.pi), self.rng.uniform(0.6, 1)
        scale = np.exp(self.rng.normal() * 0.7)
        return self._matrix(
            source, picture, turn, far * np.array([np.cos(angle), np.sin(angle)]), scale
        )

    def _matrix(
        self, source: Source, picture: np.ndarray, turn: float, shift: np.ndarray, scale: float
    ) -> np.ndarray:
        """From the picture's pixels to the patch's: its frame, moved."""
        here = self._eyes(source, picture)
        there = viewed() * PATCH - 0.5
        fitted = np.vstack([similarity(here, there), [0, 0, 1]])
        c, s = scale * np.cos(np.radians(turn)), scale * np.sin(np.radians(turn))
        middle = (PATCH - 1) / 2
        moved = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
        to, back = np.eye(3), np.eye(3)
        to[:2, 2], back[:2, 2] = -middle, middle + shift * PATCH
        return back @ moved @ to @ fitted

    def _background(self) -> np.ndarray:
        """A patch of a picture at any scale and turn, or of noise of any grain."""
        if self.rng.random() < 0.6:
            picture = self._any(self.sources[self.rng.integers(len(self.sources))])
            size = int(self.rng.integers(8, 60))
            y, x = (self.rng.integers(0, side - size + 1) for side in picture.shape)
            part = np.rot90(picture[y : y + size, x : x + size], int(self.rng.integers(1, 4)))
        else:
            size = int(self.rng.integers(1, PATCH))
            part = self.rng.integers(0, 256, (size, size), dtype=np.uint8)
        return cv2.resize(np.ascontiguousarray(part), (PATCH, PATCH))

    def _finish(self, patch: np.ndarray) -> np.ndarray:
        """Change sharpness, light and noise."""
        if self.rng.random() < 0.3:
            side = int(self.rng.integers(16, PATCH))
            patch = cv2.resize(patch, (side, side), interpolation=cv2.INTER_AREA)
            patch = cv2.resize(patch, (PATCH, PATCH))
        shade = self.rng.normal(size=2) * 0.6 if self.rng.random() < 0.5 else np.zeros(2)
        ramp = np.linspace(-0.5, 0.5, PATCH)
        light = np.exp(shade[0] * ramp[:, None] + shade[1] * ramp[None, :])
        gamma = np.exp(self.rng.normal() * 0.25)
        noise = self.rng.normal(size=patch.shape) * abs(self.rng.normal()) * 4
        return ((patch / 255.0) ** gamma * light * 255 + noise).astype(np.float32)

    def _any(self, source: Source) -> np.ndarray:
        return source.pictures[self.rng.integers(len(source.pictures))]

    @staticmethod
    def _eyes(source: Source, picture: np.ndarray) -> np.ndarray:
        return source.eyes * picture.shape[::-1] - 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, action="append", required=True)
    parser.add_argument("--eyes", action="append", required=True)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    sources = [load(*pair) for pair in zip(options.faces, options.eyes, strict=True)]
    sampler = Sampler(sources, options.seed)
    network = EyeLocator()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, options.steps)
    started, errors = time.time(), []
    for step in range(1, options.steps + 1):
        patches, eyes, is_face = sampler.batch(options.batch)
        found, logits = network(patches)
        distance = (found - eyes).norm(dim=2).mean(1)
        loss = (distance * is_face).sum() / is_face.sum()
        errors.append(loss.item())
        loss = loss * 10 + F.binary_cross_entropy_with_logits(logits, is_face)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 200 == 0:
            print(f"{step} {np.mean(errors[-200:]):.4f} {time.time() - started:.0f} s", flush=True)
    tensors = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    save_file(tensors, options.output)


if __name__ == "__main__":
    main()
