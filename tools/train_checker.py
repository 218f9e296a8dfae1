"""Train the network that checks faces (`neuralid.models.finders.FaceChecker`).

    python tools/train_checker.py --faces utkface --faces celeba \
        -o src/neuralid/assets/finders.safetensors

Each folder holds pictures of one face each, framed so that it is found without a search. Their eyes
are found by the other networks in the file, which stay as they are. The checker learns to tell
those pairs of eyes, moved a little, from what they are mistaken for: nostrils, corners of the
mouth, an eye each of two people, other parts of faces and pictures, eyes without a nose and a mouth
below them, drawn heads of animals. A twentieth of the pictures, by
hash of the file name, is never trained on; the errors on them are printed at the end.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from moved_faces import Sampler, Source
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from neuralid.data.dataset import is_held_out, list_pictures
from neuralid.faces import eyes
from neuralid.faces.detect import find_eyes
from neuralid.models.finders import CHECK_PATCH, FaceChecker

LONGEST = 160  # longer side to which larger pictures are shrunk, pixels
NEAR = 0.25  # eyes that lie less than this beside their place, in eye distances, are still a pair
FAR = 0.4  # eyes that lie further from theirs, the worse of the two, are not


@dataclass(frozen=True)
class Known:
    """A grey picture of one face, and its eyes ``(2, 2)`` in pixels from its upper left corner."""

    picture: np.ndarray
    eyes: np.ndarray


def load(folder: Path, held_out: bool, limit: int) -> list[Known]:
    """The faces of a folder whose eyes are found."""
    names = [e.name for e in list_pictures(folder) if is_held_out(e.name) == held_out]
    names = [str(name) for name in np.random.default_rng(0).permutation(names)[:limit]]
    found = []
    for name in names:
        picture = cv2.imread(str(folder / name))
        assert picture is not None, name
        if max(picture.shape) > LONGEST:
            ratio = LONGEST / max(picture.shape)
            picture = cv2.resize(picture, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
        places = find_eyes(np.ascontiguousarray(picture[:, :, ::-1]))
        if places is not None:
            found.append(Known(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), places))
    return found


class Checks(Sampler):
    """Patches ``(N, 1, P, P)`` framed by pairs of eyes, and 1 where they are ``(N,)``."""

    def __init__(self, faces: list[Known], seed: int) -> None:
        super().__init__([Source([face.picture for face in faces], np.zeros((2, 2)))], seed)
        self.faces = faces

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        samples = [self._sample() for _ in range(count)]
        patches = np.stack([patch for patch, _ in samples])
        return eyes.standardise(patches), torch.tensor([kind for _, kind in samples])

    def _sample(self) -> tuple[np.ndarray, float]:
        kind = self.rng.random()
        if kind < 0.05:
            return self.finish(self.background(CHECK_PATCH), 14), 0.0
        if kind < 0.1:
            return self.finish(self._animal(), 14), 0.0
        face = self._face()
        if kind < 0.54:
            pair = self._moved(face.eyes, self.rng.normal(0, 0.06, (2, 2)).clip(-NEAR, NEAR))
        elif kind < 0.62:
            face, pair = self._two_people(face)
        else:
            pair = self._wrong(face.eyes)
        patch = self._cut(face.picture, pair)
        if 0.5 <= kind < 0.54:
            patch = self._without_mouth(patch, face)
        patch = patch[:, ::-1] if self.rng.random() < 0.5 else patch
        return self.finish(patch, 14), float(0.1 <= kind < 0.5)

    def _face(self) -> Known:
        return self.faces[self.rng.integers(len(self.faces))]

    def _cut(self, picture: np.ndarray, pair: np.ndarray) -> np.ndarray:
        """The patch framed by a pair of eyes; beyond the picture its edge or another picture."""
        matrix = eyes.similarity(pair, eyes.eyes_in_check())
        shrink = 1 / np.hypot(matrix[0, 0], matrix[0, 1])
        if shrink > 1.3:
            picture = cv2.GaussianBlur(picture, (0, 0), 0.45 * shrink)
        size = (CHECK_PATCH, CHECK_PATCH)
        if self.rng.random() < 0.6:
            return cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        beyond = self.background(CHECK_PATCH)
        return cv2.warpAffine(picture, matrix, size, dst=beyond, borderMode=cv2.BORDER_TRANSPARENT)

    def _without_mouth(self, patch: np.ndarray, face: Known) -> np.ndarray:
        """The patch of a face with something else from the nose down, fading in."""
        turned = self._moved(face.eyes, self.rng.uniform(-2, 2, (2, 2)))
        other = self.background(CHECK_PATCH) if self.rng.random() < 0.5 else None
        below = self._cut(self._face().picture, turned) if other is None else other
        below = below + (patch.mean() - below.mean()) * self.rng.uniform(0, 1)
        start, soft = self.rng.uniform(0.4, 0.55), self.rng.uniform(0.02, 0.15)
        height = (np.arange(CHECK_PATCH)[:, None] + 0.5) / CHECK_PATCH
        share = ((height - start) / soft).clip(0, 1)
        return (patch * (1 - share) + below * share).clip(0, 255).astype(np.uint8)

    def _animal(self) -> np.ndarray:
        """A drawing of an animal's head: dark eyes, a muzzle and a dark nose, ears, no lips."""
        rng, zoom = self.rng, 4
        side = CHECK_PATCH * zoom
        picture = cv2.resize(self.background(CHECK_PATCH), (side, side))
        coat = rng.uniform(50, 230)
        left, right = eyes.eyes_in_check() * zoom
        unit, middle = float(right[0] - left[0]), (left + right) / 2

        def oval(x: float, y: float, across: float, up: float, shade: float) -> None:
            """Places and half axes in eye distances, from the middle between the eyes."""
            centre = middle + unit * np.array([x, y])
            axes = tuple(max(1, round(unit * axis)) for axis in (across, up))
            where = tuple(int(value) for value in centre)
            cv2.ellipse(picture, where, axes, 0, 0, 360, float(np.clip(shade, 0, 255)), -1)

        ear, ear_shade = rng.uniform([0.6, -1.2], [1.4, 0.7]), coat * rng.uniform(0.4, 1.2)
        oval(0, rng.uniform(0.2, 0.5), rng.uniform(0.8, 1.4), rng.uniform(0.9, 1.6), coat)
        for sign in (-1, 1):
            oval(sign * ear[0], ear[1], rng.uniform(0.2, 0.5), rng.uniform(0.3, 0.8), ear_shade)
        muzzle = rng.uniform(0.5, 1.1)
        oval(0, muzzle, rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7), coat + rng.uniform(-60, 90))
        nose, height = rng.uniform(0.1, 0.3, 2), muzzle - rng.uniform(0, 0.25)
        oval(0, height, float(nose[0]), float(nose[1]), rng.uniform(0, 60))
        if rng.random() < 0.6:
            oval(0, muzzle + 0.35, rng.uniform(0.02, 0.05), 0.25, coat * 0.4)
            oval(0, muzzle + 0.5, rng.uniform(0.1, 0.4), 0.04, coat * 0.4)
        large, shine = rng.uniform(0.08, 0.25), rng.random() < 0.5
        for sign in (-1, 1):
            x, y = sign * 0.5 + rng.normal() * 0.03, rng.normal() * 0.03
            oval(x, y, large, large * rng.uniform(0.6, 1), rng.uniform(0, 70))
            if shine:
                oval(x - 0.05, y - 0.05, 0.04, 0.04, 230)
        fur = rng.normal(0, rng.uniform(0, 25), (side, side))
        picture = (picture + fur).clip(0, 255).astype(np.uint8)
        return cv2.resize(picture, (CHECK_PATCH, CHECK_PATCH), interpolation=cv2.INTER_AREA)

    def _moved(self, pair: np.ndarray, by: np.ndarray) -> np.ndarray:
        """Move each eye by so many eye distances along the pair and down."""
        along = pair[1] - pair[0]
        down = np.array([-along[1], along[0]])
        return pair + by @ np.stack([along, down])

    def _wrong(self, pair: np.ndarray) -> np.ndarray:
        """A pair of places in a face that are not its eyes."""
        while True:
            by = self._mistake()
            if np.linalg.norm(by, axis=1).max() > FAR:
                return self._moved(pair, by)

    def _mistake(self) -> np.ndarray:
        """How far, in eye distances, each eye of a wrong pair lies from its place."""
        rng, kind = self.rng, self.rng.random()
        ends = np.array([[-0.5, 0.0], [0.5, 0.0]])
        if kind < 0.35:  # nostrils, corners of the mouth, brows: the same height, somewhere below
            apart, height = np.exp(rng.uniform(np.log(0.2), np.log(1.2))), rng.uniform(-0.4, 1.5)
            pair = apart * ends + [rng.normal() * 0.1, height]
            return pair + rng.normal(0, 0.05, (2, 2)) - ends
        if kind < 0.65:  # one eye, and something else
            by = rng.normal(0, 0.05, (2, 2))
            by[rng.integers(2)] = rng.uniform(0.4, 1.4) * _unit(rng.uniform(0, 2 * np.pi))
            return by
        turn = rng.uniform(-np.pi, np.pi) if rng.random() < 0.5 else rng.normal() * 0.2
        c, s, scale = np.cos(turn), np.sin(turn), np.exp(rng.normal() * 0.6)
        middle = rng.uniform([-1, -0.7], [1, 1.3])
        return scale * ends @ np.array([[c, s], [-s, c]]) + middle - ends

    def _two_people(self, left: Known) -> tuple[Known, np.ndarray]:
        """Two people side by side, cheek to cheek or one before the other; an eye of each."""
        rng, right = self.rng, self._face()
        height = 120
        scale = [height / 2.4 / np.linalg.norm(p.eyes[1] - p.eyes[0]) for p in (left, right)]
        gap = rng.uniform(0.5, 1.7) * height / 2.4
        places = [(height, height * 0.45), (height + gap, height * (0.45 + rng.normal() * 0.05))]
        seam = height + gap * rng.uniform(0.3, 0.7)
        halves = []
        for person, eye, zoom, place in zip((left, right), (1, 0), scale, places, strict=True):
            zoom *= np.exp(rng.normal() * 0.1)
            shift = np.array(place) - zoom * person.eyes[eye]
            matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
            size = (round(2 * height + gap), height)
            halves.append(
                cv2.warpAffine(person.picture, matrix, size, borderMode=cv2.BORDER_REPLICATE)
            )
        both = np.where(np.arange(halves[0].shape[1]) < seam, halves[0], halves[1])
        return Known(both, np.array(places)), np.array(places)


def _unit(angle: float) -> np.ndarray:
    return np.array([np.cos(angle), np.sin(angle)])


def train(network: nn.Module, sampler: Checks, steps: int, batch: int) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
    started, losses = time.time(), []
    for step in range(1, steps + 1):
        x, kinds = sampler.batch(batch)
        loss = F.binary_cross_entropy_with_logits(network(x), kinds)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 200 == 0:
            print(f"{step} {np.mean(losses[-200:]):.4f} {time.time() - started:.0f} s", flush=True)


@torch.no_grad()
def report(network: nn.Module, sampler: Checks) -> None:
    """Print how many held-out faces, and how many mistakes, lie on the wrong side of 0."""
    x, kinds = sampler.batch(4000)
    logits = network(x)
    refused, passed = (logits[kinds == 1] < 0), (logits[kinds == 0] > 0)
    print(
        f"held out: {refused.float().mean():.2%} of faces refused, "
        f"{passed.float().mean():.2%} of mistakes passed"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, action="append", required=True)
    parser.add_argument("--limit", type=int, default=2500, help="pictures of each folder")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    faces, others = (
        [face for folder in options.faces for face in load(folder, held, options.limit)]
        for held in (False, True)
    )
    print(f"{len(faces)} faces, and {len(others)} held out", flush=True)
    network = FaceChecker()
    train(network, Checks(faces, options.seed), options.steps, 128)
    report(network.eval(), Checks(others, options.seed + 1))
    tensors = load_file(options.output)
    tensors |= {
        f"checker.{key}": value.half().contiguous() for key, value in network.state_dict().items()
    }
    save_file(tensors, options.output)


if __name__ == "__main__":
    main()
