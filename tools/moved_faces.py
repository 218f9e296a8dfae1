"""Framed faces moved at random over other pictures: the networks that find faces learn from them.

Every picture of a `Source` has its eyes at the same places. Samples are grey, and vary in
light, sharpness and noise. Each sampler gives tensors ready for its network.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from neuralid.data.dataset import BY_NAME, is_held_out, list_pictures
from neuralid.faces.detect import even_light
from neuralid.faces.eyes import (
    SPAN,
    eyes_in_patch,
    similarity,
    standardise,
)
from neuralid.models.finders import (
    EYE_PATCH,
    PATCH,
    STRIDE,
    WINDOW,
)

LONGEST = 128  # longer side to which larger pictures are shrunk, pixels
LOOSE = (12.0, 0.08, 0.14)  # spread of turns (degrees), shifts (sides), log scales, of proposals
TIGHT = (4.0, 0.03, 0.05)  # and of those corrected once
CANVAS = 96  # side of the pictures for `FaceProposer`, pixels


@dataclass(frozen=True)
class Source:
    """Pictures and where their eyes are."""

    pictures: list[np.ndarray]  # grey
    eyes: np.ndarray  # (2, 2), fractions of width and height
    frame: int = 0  # number of its way to frame a face

    def eyes_in(self, picture: np.ndarray) -> np.ndarray:
        """The eyes in the picture's pixels, counted from the centre of the first one."""
        return self.eyes * picture.shape[::-1] - 0.5


def load(folder: Path, eyes: str, frame: int = 0) -> Source:
    """The pictures of a folder, except a twentieth by hash of the file name."""
    places = np.array([float(part) for part in eyes.split(",")]).reshape(2, 2)
    names = [e.name for e in list_pictures(folder) if not is_held_out(e.name, BY_NAME)]
    pictures = []
    for name in names:
        grey = cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE)
        assert grey is not None, name
        if max(grey.shape) > LONGEST:
            ratio = LONGEST / max(grey.shape)
            grey = cv2.resize(grey, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
        pictures.append(grey)
    return Source(pictures, places, frame)


class Sampler:
    """What all three samplers share: pictures, backgrounds, changes of light."""

    def __init__(self, sources: list[Source], seed: int) -> None:
        self.sources, self.rng = sources, np.random.default_rng(seed)

    def any(self) -> tuple[Source, np.ndarray]:
        source = self.sources[self.rng.integers(len(self.sources))]
        return source, source.pictures[self.rng.integers(len(source.pictures))]

    def background(self, side: int) -> np.ndarray:
        """A square of a picture at any scale, turned, or of noise of any grain."""
        rng = self.rng
        if rng.random() < 0.5:
            _, picture = self.any()
            size = int(rng.integers(8, 60))
            y, x = (rng.integers(0, edge - size + 1) for edge in picture.shape)
            part = np.rot90(picture[y : y + size, x : x + size], int(rng.integers(1, 4)))
            return cv2.resize(np.ascontiguousarray(part), (side, side))
        noise = np.full((side, side), rng.uniform(40, 210), np.float32)
        for _ in range(rng.integers(1, 4)):
            grain = int(rng.integers(1, side))
            grid = rng.normal(0, rng.uniform(5, 50), (grain, grain)).astype(np.float32)
            noise += cv2.resize(grid, (side, side), interpolation=int(rng.integers(0, 3)))
        return noise.clip(0, 255).astype(np.uint8)

    def finish(self, patch: np.ndarray, least: int) -> np.ndarray:
        """Change sharpness (no blurrier than ``least`` pixels per side), light and noise."""
        rng, side = self.rng, patch.shape[0]
        if rng.random() < 0.4:
            small = int(rng.integers(least, side))
            patch = cv2.resize(patch, (small, small), interpolation=cv2.INTER_AREA)
            patch = cv2.resize(patch, (side, side))
        shade = rng.normal(size=2) * 0.6 if rng.random() < 0.5 else np.zeros(2)
        ramp = np.linspace(-0.5, 0.5, side, dtype=np.float32)
        light = np.exp(shade[0] * ramp[:, None] + shade[1] * ramp[None, :])
        gamma = np.exp(rng.normal() * 0.25)
        noise = rng.standard_normal(patch.shape, dtype=np.float32) * abs(rng.normal()) * 4
        return ((patch / np.float32(255)) ** gamma * light * 255 + noise).astype(np.float32)


class Patches(Sampler):
    """For `EyeLocator`: ``(N, 1, P, P)``, eyes ``(N, K, 2, 2)``, 1 for a face ``(N,)``.

    Only the eyes of the source's own frame are known; the others are NaN.
    """

    def batch(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        return _stacked([self._sample() for _ in range(count)])

    def _sample(self) -> tuple[np.ndarray, np.ndarray, float]:
        source, picture = self.any()
        kind, rng = self.rng.random(), self.rng
        if kind < 0.12:
            return self.finish(self.background(PATCH), 16), self._unknown(), 0.0
        matrix = self._away(source, picture) if kind < 0.2 else self._near(source, picture)
        small = _shrunk(picture, matrix)
        if rng.random() < 0.5:
            patch = cv2.warpAffine(small, matrix, (PATCH, PATCH), borderMode=cv2.BORDER_REPLICATE)
        else:
            patch = cv2.warpAffine(
                small,
                matrix,
                (PATCH, PATCH),
                dst=self.background(PATCH),
                borderMode=cv2.BORDER_TRANSPARENT,
            )
        eyes = _moved(source.eyes_in(picture), matrix)
        if rng.random() < 0.5:
            patch, eyes = patch[:, ::-1], (eyes * [-1, 1] + [PATCH - 1, 0])[::-1]
        places = self._unknown()
        if kind >= 0.2:
            places[source.frame] = (eyes + 0.5) / PATCH
        return self.finish(patch, 16), places, float(kind >= 0.2)

    def _unknown(self) -> np.ndarray:
        return np.full((len(self.sources), 2, 2), np.nan)

    def _near(self, source: Source, picture: np.ndarray) -> np.ndarray:
        turn, shift, scale = LOOSE if self.rng.random() < 0.4 else TIGHT
        draw = self.rng.normal(size=4)
        return _frame(
            source, picture, turn * draw[0], shift * draw[1:3], float(np.exp(scale * draw[3]))
        )

    def _away(self, source: Source, picture: np.ndarray) -> np.ndarray:
        """Part of a face, or one far too small or upside down: not a face."""
        turn = self.rng.uniform(-180, 180)
        angle, far = self.rng.uniform(0, 2 * np.pi), self.rng.uniform(0.5, 1)
        scale = float(np.exp(self.rng.normal() * 0.7))
        return _frame(source, picture, turn, far * _unit(angle), scale)


class Eyes(Sampler):
    """For `EyeCentre`: ``(N, 1, P, P)``, centres ``(N, 2)``, 1 for an eye ``(N,)``."""

    def batch(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        return _stacked([self._sample() for _ in range(count)])

    def _sample(self) -> tuple[np.ndarray, np.ndarray, float]:
        source, picture = self.any()
        rng, kind = self.rng, self.rng.random()
        if kind < 0.05:
            return self.finish(self.background(EYE_PATCH), 8), np.full(2, np.nan), 0.0
        eyes = source.eyes_in(picture)
        if rng.random() < 0.5:  # the other eye, by mirroring the picture
            picture, eyes = _mirrored(picture, eyes)
        is_eye = kind > 0.3
        turn, shift, scale = self._near() if is_eye else self._away()
        apart = float(np.linalg.norm(eyes[1] - eyes[0]))
        zoom = scale * EYE_PATCH / (SPAN * apart)
        c, s = zoom * np.cos(np.radians(turn)), zoom * np.sin(np.radians(turn))
        linear = np.array([[c, -s], [s, c]])
        centre = (EYE_PATCH - 1) / 2 + shift / SPAN * EYE_PATCH
        matrix = np.column_stack([linear, centre - linear @ eyes[0]])
        patch = cv2.warpAffine(
            _shrunk(picture, matrix),
            matrix,
            (EYE_PATCH, EYE_PATCH),
            borderMode=cv2.BORDER_REPLICATE,
        )
        place = (centre + 0.5) / EYE_PATCH if is_eye else np.full(2, np.nan)
        return self.finish(patch, 8), place, float(is_eye)

    def _near(self) -> tuple[float, np.ndarray, float]:
        rng = self.rng
        reach = 0.2 if rng.random() < 0.6 else 0.06
        return rng.normal() * 7, rng.uniform(-reach, reach, 2), float(np.exp(rng.normal() * 0.1))

    def _away(self) -> tuple[float, np.ndarray, float]:
        """A brow, the nose, the temple: what could be mistaken for an eye."""
        rng = self.rng
        far = rng.uniform(0.3, 0.9) * _unit(rng.uniform(0, 2 * np.pi))
        return rng.normal() * 15, far, float(np.exp(rng.normal() * 0.4))


class Canvases(Sampler):
    """For `FaceProposer`: pictures ``(N, 1, C, C)``; for each cell the eyes from its centre in
    windows ``(N, c, c, 2, 2)``, and 1 for a face, 0 for none, -1 where it does not matter."""

    def batch(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        samples = [self._sample() for _ in range(count)]
        pictures, eyes, kinds = (np.stack(part) for part in zip(*samples, strict=True))
        return torch.from_numpy(pictures)[:, None], torch.from_numpy(eyes), torch.from_numpy(kinds)

    def _sample(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        canvas, rng = self.background(CANVAS), self.rng
        cells = CANVAS // STRIDE
        middles = np.stack(np.meshgrid(*[np.arange(cells) * STRIDE] * 2), axis=2)
        eyes = np.zeros((cells, cells, 2, 2), np.float32)
        kinds = np.zeros((cells, cells), np.float32)
        taken: list[tuple[np.ndarray, float]] = []
        for _ in range(rng.choice([0, 1, 2, 3])):
            middle, side = rng.uniform(10, CANVAS - 10, 2), self._side()
            if any(np.linalg.norm(middle - m) < 0.9 * (side + s) for m, s in taken):
                continue
            taken.append((middle, side))
            canvas, places, upright = self._with_face(canvas, middle, side)
            far = np.linalg.norm(middles - middle, axis=2) / side
            fits = upright and 14 <= side <= 38
            kinds[far < 0.5] = -1
            kinds[far < 0.2] = 1 if fits and 16 <= side <= 35 else -1 if fits else 0
            if not fits:
                kinds[far < 0.5] = -1 if upright and 10 <= side <= 50 else 0
            near = far < 0.2
            eyes[near] = (places - middles[near][:, None]) / WINDOW
        grey = self.finish(canvas, CANVAS // 2)
        return even_light(grey), eyes, kinds

    def _side(self) -> float:
        """The side of a face, mostly one that the network is meant for."""
        low, high = (16, 35) if self.rng.random() < 0.75 else (10, 80)
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def _with_face(
        self, canvas: np.ndarray, middle: np.ndarray, side: float
    ) -> tuple[np.ndarray, np.ndarray, bool]:
        """The canvas with a face laid on it, with hard edges or fading out."""
        source, picture = self.any()
        rng = self.rng
        eyes = source.eyes_in(picture)
        if rng.random() < 0.5:
            picture, eyes = _mirrored(picture, eyes)
        upright = rng.random() < 0.93
        turn = rng.normal() * 22 if upright else rng.uniform(100, 260)
        c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
        apart = float(np.linalg.norm(eyes[1] - eyes[0]))
        linear = np.array([[c, -s], [s, c]]) * 0.4 * side / apart
        # The frame's middle lies half an eye distance below the eyes.
        centre = eyes.mean(0) + np.array([0, 0.5 * apart])
        matrix = np.column_stack([linear, middle - linear @ centre])
        small = _shrunk(picture, matrix)
        mask = self._mask(picture.shape, centre, apart / 0.4)
        face = cv2.warpAffine(small, matrix, (CANVAS, CANVAS), borderMode=cv2.BORDER_REPLICATE)
        weight = cv2.warpAffine(mask, matrix, (CANVAS, CANVAS))
        mixed = face * weight + canvas * (1 - weight)
        return mixed.astype(np.uint8), _moved(eyes, matrix), upright

    def _mask(self, shape: tuple[int, ...], centre: np.ndarray, side: float) -> np.ndarray:
        """1 on the picture, or on an oval around the face with soft edges."""
        if self.rng.random() < 0.4:
            return np.ones(shape, np.float32)
        y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        across, up = self.rng.uniform(0.42, 0.7), self.rng.uniform(0.55, 0.8)
        far = np.hypot((x - centre[0]) / (across * side), (y - centre[1]) / (up * side))
        soft = self.rng.uniform(0.05, 0.4)
        return np.clip((1 - far) / soft + 0.5, 0, 1).astype(np.float32)


def _frame(
    source: Source, picture: np.ndarray, turn: float, shift: np.ndarray, scale: float
) -> np.ndarray:
    """From the picture's pixels to the patch's: its frame, moved."""
    fitted = np.vstack(
        [similarity(source.eyes_in(picture), eyes_in_patch() * PATCH - 0.5), [0, 0, 1]]
    )
    c, s = scale * np.cos(np.radians(turn)), scale * np.sin(np.radians(turn))
    middle = (PATCH - 1) / 2
    moved = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    to, back = np.eye(3), np.eye(3)
    to[:2, 2], back[:2, 2] = -middle, middle + shift * PATCH
    return (back @ moved @ to @ fitted)[:2]


def _shrunk(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The picture blurred as much as the matrix shrinks it, so that nothing aliases."""
    shrink = 1 / np.hypot(matrix[0, 0], matrix[0, 1])
    if shrink < 1.3:
        return picture
    return cv2.GaussianBlur(picture, (0, 0), 0.45 * shrink)


def _mirrored(picture: np.ndarray, eyes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flipped = (eyes * [-1, 1] + [picture.shape[1] - 1, 0])[::-1]
    return np.ascontiguousarray(picture[:, ::-1]), flipped


def _moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


def _unit(angle: float) -> np.ndarray:
    return np.array([np.cos(angle), np.sin(angle)])


def _stacked(samples: list[tuple[np.ndarray, np.ndarray, float]]) -> tuple[Tensor, Tensor, Tensor]:
    places = np.stack([sample[1] for sample in samples]).astype(np.float32)
    return (
        standardise(np.stack([sample[0] for sample in samples])),
        torch.from_numpy(places),
        torch.tensor([sample[2] for sample in samples]),
    )
