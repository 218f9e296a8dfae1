"""Where `mix --style` best parts a latent's layers: the evidence for `Architecture.shape_layers`.

    python benchmarks/style_split.py --weights W [PHOTO ...] [--pairs 48] [--steps 80]
        [--sheet split.png]

W is weights of the style architecture. Pairs of drawn faces are mixed half and half, or every pair
of the photos, each inverted in ``--steps`` steps. For each number of layers that the mix keeps, the
rest being one person's, it prints how far that person's colours still are (the plain mix is at 1),
and how alike the shapes of this mix and the plain one are (1: equal). With no layer kept it is the
person. ``--sheet`` shows for eight pairs the person, the plain mix, and the mix with 2 layers kept,
with 3, and so on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

import neuralid
from neuralid.latents.mixing import mix_latents, with_style
from neuralid.pictures import images

ROWS = 8


def colour(face: np.ndarray) -> np.ndarray:
    """The mean colour of the middle of a face: uint8 ``(S, S, 3) -> (3,)``, 0 to 255."""
    edge = len(face) // 4
    return face[edge:-edge, edge:-edge].mean((0, 1))


def shape(face: np.ndarray) -> np.ndarray:
    """Brightness without what is smooth: edges, of size 1 everywhere; ``(S, S, 3) -> (K,)``.

    Light and skin colour cancel out; what is left is where eyes, mouth and contours are.
    """
    wide, edge = len(face) / 14, len(face) // 8
    grey = cv2.GaussianBlur(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1)
    detail = grey - cv2.GaussianBlur(grey, (0, 0), wide)
    detail /= cv2.GaussianBlur(detail**2, (0, 0), wide) ** 0.5 + 2  # so that flat skin stays flat
    inner = detail[edge:-edge, edge:-edge].ravel()
    return (inner - inner.mean()) / inner.std()


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(
        np.mean([np.linalg.norm(colour(x) - colour(y)) for x, y in zip(a, b, strict=True)])
    )


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean([(shape(x) * shape(y)).mean() for x, y in zip(a, b, strict=True)]))


def find_pairs(studio: neuralid.Studio, photos: list[Path], pairs: int, steps: int) -> Tensor:
    """The pairs' latents, the first one's being the style: ``(P, 2, L, Z)``."""
    if not photos:
        return studio.sample(seeds=range(1000, 1000 + 2 * pairs)).latents.unflatten(0, (-1, 2))
    found = studio.invert(photos, fidelity="fast", steps=steps)
    z = torch.stack([each.latent for each in found])
    return torch.stack([torch.stack([a, b]) for a in z for b in z if a is not b])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, nargs="*")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--pairs", type=int, default=48)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()

    studio = neuralid.open(options.weights)
    pairs = find_pairs(studio, options.photos, options.pairs, options.steps)
    mixed, style = torch.stack([mix_latents(pair, None, "rescaled") for pair in pairs]), pairs[:, 0]
    person, plain = studio.draw(style), studio.draw(mixed)
    sheet = [person, plain]
    for kept in range(mixed.shape[1]):
        rows = zip(mixed, style, strict=True)
        faces = studio.draw(torch.stack([with_style(m, s, kept) for m, s in rows]))
        left = distance(faces, person) / distance(plain, person)
        print(f"{kept:2} layers: colours {left:.2f}, shape {likeness(faces, plain):.2f}")
        if kept >= 2:
            sheet.append(faces)
    if options.sheet is not None:
        rows_shown = np.stack(sheet, 1)[:: max(1, len(person) // ROWS)][:ROWS]
        cells = rows_shown.reshape(-1, *person.shape[1:])
        images.save_picture(options.sheet, images.grid(cells, columns=len(sheet)))


if __name__ == "__main__":
    main()
