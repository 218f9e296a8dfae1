"""Add the frame and directions to the weights that ship, from UTKFace and CelebA together.

    python tools/default_weights.py --weights faces-112 --utkface utkface --celeba celeba -o FILE
        [--device auto] [--compact] [--most 8000]

The frame is measured on UTKFace's faces, which the generator was trained on. Directions come from
both: age and gender are in UTKFace's file names, gender and smiling in CelebA's list; CelebA's
faces are framed like UTKFace's, by the fixed places of their eyes. Pictures kept for validation, a
twentieth by hash of the file name, are left out.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuralid import weights
from neuralid.core.device import pick_device, pick_precision
from neuralid.core.memory import keep_freed_memory
from neuralid.data.dataset import BY_NAME, is_held_out, list_pictures
from neuralid.faces import align
from neuralid.faces.config import CropConfig, Frame
from neuralid.faces.crop import crop_face
from neuralid.latents.attributes import UTKFACE, Attributes, read_attributes
from neuralid.models.building import build_drawer
from neuralid.pictures import images
from neuralid.training.finish import directions

CELEBA = Frame((0.393, 0.516), (0.610, 0.516))  # its eyes, fractions of width and of height
NAMES = ["age", "gender", "smiling"]
INVERTED = 3000
MEASURED = 1024


def faces_of(
    folder: Path, size: int, most: int, eyes: Frame | None = None
) -> tuple[np.ndarray, list[str]]:
    """The pictures of a folder as uint8 ``(N, S, S, 3)`` except those held out, and their names.

    They are at most ``most``, picked at random. With ``eyes``, the places that all of them have
    their eyes at, they are framed like UTKFace's.
    """
    names = [e.name for e in list_pictures(folder) if not is_held_out(e.name, BY_NAME)]
    names = [names[i] for i in np.random.default_rng(0).permutation(len(names))[:most]]

    def face(name: str) -> np.ndarray:
        picture = images.load_rgb(folder / name)
        if eyes is None:
            return crop_face(picture, size, CropConfig())
        height, width = picture.shape[:2]
        places = np.array([eyes.left_eye, eyes.right_eye]) * [width, height]
        return crop_face(
            picture, size, align.frame_crop(places, width, height, Frame()), extend=True
        )

    with ThreadPoolExecutor(2) as pool:
        return np.stack(list(pool.map(face, names))), names


def values_of(folder: Path, names: list[str], source: str) -> np.ndarray:
    """Age in years, gender and smiling 0 or 1, NaN where unknown: ``(N, 3)``."""
    known = read_attributes(source, names)
    columns = dict(zip(known.names, known.values.T, strict=True))
    nothing = np.full(len(names), np.nan, np.float32)
    if source == UTKFACE:
        return np.stack([columns["age"], columns["gender"], nothing], 1)
    return np.stack([nothing, (1 - columns["male"]) / 2, (1 + columns["smiling"]) / 2], 1)


def both(utkface: Path, celeba: Path, size: int, most: int) -> tuple[np.ndarray, Attributes]:
    """The faces of both folders, and what is known about them."""
    faces, names = faces_of(utkface, size, most)
    others, other_names = faces_of(celeba, size, most, CELEBA)
    values = [
        values_of(utkface, names, UTKFACE),
        values_of(celeba, other_names, str(celeba / "list_attr_celeba.txt")),
    ]
    return np.concatenate([faces, others]), Attributes(NAMES, np.concatenate(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights")
    parser.add_argument("--utkface", type=Path, required=True)
    parser.add_argument("--celeba", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--most", type=int, default=8000, help="faces of each folder")
    parser.add_argument("--compact", action="store_true", help="dense layers in 8 bits a number")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()

    keep_freed_memory()
    device = pick_device(options.device)
    loaded = weights.load_weights(options.weights)
    assert loaded.coordinates is not None and loaded.encoder is not None
    for network in (loaded.generator, loaded.encoder, loaded.perceptual):
        if network is not None:
            network.to(device)
    size = loaded.description.model.size
    faces, known = both(options.utkface, options.celeba, size, options.most)
    frame = align.measure_frame(faces[:MEASURED])  # UTKFace's come first
    print(frame, flush=True)
    directions.INVERTED = INVERTED
    found = directions.find_directions(
        build_drawer(loaded.generator),
        loaded.coordinates,
        loaded.encoder,
        faces,
        known,
        perceptual=loaded.perceptual,
        precision=pick_precision("auto", device),
        on_step=lambda done, total: print(done, total, flush=True) if done % 50 == 0 else None,
    )
    assert found is not None
    for name, direction in found.items():
        print(name, direction.facts())
    weights.save_weights(
        options.output,
        loaded.generator,
        replace(loaded.description, frame=frame),
        loaded.metric,
        loaded.encoder,
        found,
        loaded.perceptual,
        compact=options.compact,
    )


if __name__ == "__main__":
    main()
