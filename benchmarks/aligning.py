"""How precisely eyes are placed: on labelled photos, and on faces placed at random.

    python benchmarks/aligning.py --portraits FOLDER --faces FOLDER [--count 200] [--photos FOLDER]

The FOLDER of portraits holds photos and eyes.csv (file, left_eye_x, left_eye_y, right_eye_x,
right_eye_y). The FOLDER of faces holds pictures framed like those of the weights that ship; the
ones kept out of training are placed on textured backgrounds of a megapixel, at random size (40 to
600 pixels), place and turn (within 30 degrees). The face that is taken is framed as the weights
ask. The error is that of the worse eye's place in the frame, in distances between the eyes. A
FOLDER of photos has no labels: those without a face, or with one in doubt, are listed.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from neuralid.core.errors import ImageError
from neuralid.data.dataset import BY_NAME, is_held_out, list_pictures
from neuralid.faces import align, detect
from neuralid.faces.choose import choose_face, choose_in_photo
from neuralid.faces.config import Frame
from neuralid.pictures import images
from neuralid.weights import load_weights

SIDE = 1000  # of a photo made here, pixels


def portraits(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photos and their eyes."""
    with (folder / "eyes.csv").open() as file:
        for row in csv.DictReader(file):
            keys = ("left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y")
            yield (
                images.load_rgb(folder / row["file"]),
                np.array([float(row[k]) for k in keys]).reshape(2, 2),
            )


def placed(folder: Path, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Framed faces on textured backgrounds, and their eyes."""
    rng = np.random.default_rng(0)
    names = [e.name for e in list_pictures(folder) if is_held_out(e.name, BY_NAME)]
    for name in rng.permutation(names)[:count]:
        face = images.load_rgb(folder / name)
        side = rng.uniform(40, 600)
        turn = np.radians(rng.uniform(-30, 30))
        reach = side * (abs(np.cos(turn)) + abs(np.sin(turn))) / 2
        centre = rng.uniform(reach, SIDE - reach, 2)
        linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        frame = wanted_frame()
        eyes = np.array([frame.left_eye, frame.right_eye]) - 0.5
        yield paste(face, texture(rng), side, linear, centre), side * eyes @ linear.T + centre


@lru_cache(maxsize=1)
def wanted_frame() -> Frame:
    return load_weights().description.frame or Frame()


def paste(
    face: np.ndarray, photo: np.ndarray, side: float, linear: np.ndarray, centre: np.ndarray
) -> np.ndarray:
    """The face, ``side`` pixels wide, turned by ``linear``, its middle at ``centre``."""
    if side < face.shape[0]:  # shrunk first, without aliasing
        face = cv2.resize(face, (round(side), round(side)), interpolation=cv2.INTER_AREA)
    scaled = linear * side / face.shape[0]
    shift = centre - 0.5 - scaled @ np.full(2, face.shape[0] / 2 - 0.5)
    matrix = np.column_stack([scaled, shift])
    return cv2.warpAffine(
        face, matrix, (SIDE, SIDE), dst=photo.copy(), borderMode=cv2.BORDER_TRANSPARENT
    )


def texture(rng: np.random.Generator) -> np.ndarray:
    """Coloured noise of several grains."""
    photo = np.zeros((SIDE, SIDE, 3), np.float32)
    for grain in rng.choice([3, 8, 20, 60, 200, 500], 3, replace=False):
        noise = rng.normal(0, 40, (grain, grain, 3)).astype(np.float32)
        photo += cv2.resize(noise, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return (photo + rng.uniform(60, 200)).clip(0, 255).astype(np.uint8)


def measure(name: str, photos: Iterator[tuple[np.ndarray, np.ndarray]]) -> None:
    errors, seconds, frame = [], [], wanted_frame()
    for photo, eyes in photos:
        started = time.perf_counter()
        faces = detect.find_faces(photo)
        seconds.append((time.perf_counter() - started) / (photo.size / 3e6))
        if not faces:
            errors.append(float("inf"))
            continue
        taken = choose_face(faces, photo.shape[1], photo.shape[0]).face
        crop = align.frame_crop(taken.eyes, photo.shape[1], photo.shape[0], frame)
        places = np.array([frame.left_eye, frame.right_eye])
        landed = align.in_photo(places, crop, photo.shape[1], photo.shape[0])
        away = np.linalg.norm(landed - eyes, axis=1).max()
        errors.append(float(away / np.linalg.norm(eyes[1] - eyes[0])))
    near = statistics.mean(error <= 0.10 for error in errors)
    missed = sum(error == float("inf") for error in errors)
    print(f"{name}: {len(errors)} photos, {missed} without a face found")
    print(f"  within 0.10: {near:.1%}, median {statistics.median(errors):.4f}")
    print(f"  {1e3 * statistics.median(seconds):.0f} ms per megapixel (median)")
    print(f"  {1e3 * statistics.mean(seconds):.0f} ms per megapixel (mean)")


def tell_doubts(folder: Path) -> None:
    """Print the photos in which no face is found, and those in which the choice is in doubt."""
    told, names = 0, sorted(path for path in folder.iterdir() if path.is_file())
    for path in names:
        try:
            photo = images.load_rgb(path)
        except ImageError:
            continue
        faces = detect.find_faces(photo)
        doubts = choose_in_photo(faces, photo).doubts if faces else ["none"]
        told += bool(doubts)
        if doubts:
            print(f"  {path.name}: {', '.join(doubts)}")
    print(f"{folder}: {told} of {len(names)} in doubt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--portraits", type=Path)
    parser.add_argument("--faces", type=Path)
    parser.add_argument("--photos", type=Path, action="append", default=[])
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    if options.portraits:
        measure("portraits", portraits(options.portraits))
    for folder in options.photos:
        tell_doubts(folder)
    if options.faces:
        measure("placed", placed(options.faces, options.count))


if __name__ == "__main__":
    main()
