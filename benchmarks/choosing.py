"""How often the wrong face is taken, with and without a line that says so, in scenes made here.

    python benchmarks/choosing.py FOLDER [FOLDER ...] [--hard FOLDER] [--photos FOLDER ...]
        [--count 200] [--first 0]

The FOLDERs hold pictures of one face each; those kept out of training are laid on coloured noise of
640x480 pixels, a quarter to six tenths of its height wide:

- alone: one person, near the middle
- beside: another one too, of 0.3 to 0.85 of the size, anywhere
- hidden: the same, but the first one's face is not found. These people come from ``--hard``, a
  folder of pictures like the others: they are in profile, wear dark glasses, hide behind a hand.

Taking the second person is wrong. Of ``--photos``, the face that is taken is covered with its own
colours; whatever is found then is wrong. ``--first`` is the seed of the first scene: choose
thresholds on some scenes, and measure on others.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from neuralid.core.errors import ImageError
from neuralid.data.dataset import BY_NAME, is_held_out, list_pictures
from neuralid.faces.choose import choose_in_photo
from neuralid.faces.detect import find_faces
from neuralid.faces.eyes import Face
from neuralid.pictures import images

WIDTH, HEIGHT = 640, 480
Scene = tuple[np.ndarray, np.ndarray]  # a photo, and the middle and size of who is meant


def noise(rng: np.random.Generator) -> np.ndarray:
    """Coloured noise of several grains."""
    photo = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for grain in rng.choice([3, 8, 20, 60, 200], 3, replace=False):
        coarse = rng.normal(0, 25, (grain, grain, 3)).astype(np.float32)
        photo += cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return (photo + rng.uniform(60, 200)).clip(0, 255).astype(np.uint8)


def lay(photo: np.ndarray, person: np.ndarray, width: float, middle: np.ndarray) -> np.ndarray:
    """The photo with a person on it, ``width`` pixels wide, with soft borders."""
    ratio = width / person.shape[1]
    if ratio < 1:
        person = cv2.resize(person, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
        ratio = 1.0
    height, across = person.shape[:2]
    rows, columns = np.mgrid[:height, :across] + 0.5
    edge = np.minimum.reduce([columns, across - columns, rows, height - rows])
    share = (edge / (0.06 * across)).clip(0, 1).astype(np.float32)
    shift = middle - ratio * np.array([across, height]) / 2
    matrix = np.array([[ratio, 0, shift[0]], [0, ratio, shift[1]]])
    there = cv2.warpAffine(person, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(share, matrix, (WIDTH, HEIGHT))[..., None]
    return np.asarray((photo * (1 - share) + there * share).astype(np.uint8))


def make_scene(
    rng: np.random.Generator, first: np.ndarray, second: np.ndarray | None
) -> Scene | None:
    """One person near the middle, and perhaps a smaller one; None if that one finds no place."""
    photo, size = noise(rng), rng.uniform(0.25, 0.6) * HEIGHT
    middle = np.array([WIDTH, HEIGHT]) * rng.uniform([0.35, 0.35], [0.65, 0.6])
    photo = lay(photo, first, size, middle)
    meant = np.array([*middle, size])
    if second is None:
        return photo, meant
    small = size * rng.uniform(0.3, 0.85)
    for _ in range(200):
        place = rng.uniform([0.4 * small, 0.5 * small], [WIDTH - 0.4 * small, 0.8 * HEIGHT])
        if (np.abs(place - middle) > np.array([0.55, 0.62]) * (small + size)).any():
            return lay(photo, second, small, place), meant
    return None


def cover(photo: np.ndarray, face: Face) -> np.ndarray:
    """The photo with an oval of the face's own colours over it."""
    unit = face.distance
    middle = face.eyes.mean(0) + np.array([0, 0.5 * unit])
    rows, columns = np.mgrid[: photo.shape[0], : photo.shape[1]]
    away = np.hypot((columns - middle[0]) / (1.25 * unit), (rows - middle[1]) / (1.75 * unit))
    share = ((1.15 - away) / 0.3).clip(0, 1)[..., None]
    skin = np.median(photo[away < 0.8], axis=0)
    soft = cv2.GaussianBlur(photo, (0, 0), unit / 1.5)
    return np.asarray((photo * (1 - share) + (0.3 * soft + 0.7 * skin) * share).astype(np.uint8))


def judge(photo: np.ndarray, meant: np.ndarray | None) -> str:
    """What is taken in a photo, and whether a line is said; nobody may be meant."""
    faces = find_faces(photo)
    if not faces:
        return "none found"
    choice = choose_in_photo(faces, photo)
    is_right = meant is not None and bool(
        (np.abs(choice.face.eyes.mean(0) - meant[:2]) < np.array([0.5, 0.62]) * meant[2]).all()
    )
    return f"{'right' if is_right else 'wrong'}, {'in doubt' if choice.doubts else 'silently'}"


def scenes(
    kind: str, firsts: Sequence[Path], seconds: Sequence[Path], seeds: range
) -> Iterator[str]:
    for seed in seeds:
        rng = np.random.default_rng(seed)
        first, second = (images.load_rgb(p[int(rng.integers(len(p)))]) for p in (firsts, seconds))
        scene = make_scene(rng, first, None if kind == "alone" else second)
        if scene is not None:
            photo, meant = scene
            yield judge(photo, None if kind == "hidden" else meant)


def covered(folder: Path) -> Iterator[str]:
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        try:
            photo = images.load_rgb(path)
        except ImageError:
            continue
        if faces := find_faces(photo):
            yield judge(cover(photo, choose_in_photo(faces, photo).face), None)


def tell(name: str, found: Iterator[str]) -> None:
    counts = Counter(found)
    told = "; ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    print(f"{name}: {counts.total()} photos: {told}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--hard", type=Path)
    parser.add_argument("--photos", type=Path, action="append", default=[])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    people = [
        folder / entry.name
        for folder in options.folders
        for entry in list_pictures(folder)
        if is_held_out(entry.name, BY_NAME)
    ]
    seeds = range(options.first, options.first + options.count)
    for kind in ("alone", "beside"):
        tell(kind, scenes(kind, people, people, seeds))
    if options.hard is not None:
        names = [entry.name for entry in list_pictures(options.hard)]
        hard = [
            options.hard / n for n in names if not find_faces(images.load_rgb(options.hard / n))
        ]
        print(f"{len(hard)} of {len(names)} people to hide behind")
        tell("hidden", scenes("hidden", hard, people, seeds))
    for folder in options.photos:
        tell(f"{folder}, covered", covered(folder))


if __name__ == "__main__":
    main()
