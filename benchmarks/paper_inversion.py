"""The paper's own inversion against this program's, on real faces kept out of training.

    python -m benchmarks.paper_inversion FOLDER [--count 100] [--timed 2] [--weights W] [--keep F]

FOLDER holds pictures framed as the training faces were. The paper's `gan_reverse` (section 3.3): a
random start, SciPy's L-BFGS-B, 50 rounds of at most 20 evaluations each. It is timed on the plain
network, one photo at a time, for ``--timed`` photos. For its quality on all photos each has its own
search, but their evaluations are gathered into batches. The latents found are kept in F and reused
the next time. The same photos are then inverted by this program, at every fidelity.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from scipy.optimize import fmin_l_bfgs_b  # type: ignore[import-untyped]
from torch import Tensor, nn

import neuralid
from neuralid import weights
from neuralid.core.memory import keep_freed_memory
from neuralid.data.dataset import BY_NAME, is_held_out, list_pictures
from neuralid.faces.config import CropConfig
from neuralid.faces.crop import crop_face
from neuralid.latents.config import FIDELITIES
from neuralid.models.architecture import architecture
from neuralid.models.building import build_drawer
from neuralid.pictures import images
from neuralid.pictures.quality import psnr

from .speed.plain import plain_generator

ROUNDS, EVALUATIONS = 50, 20
BATCH = 16  # of the runs timed here

Function = Callable[[np.ndarray], tuple[float, np.ndarray]]


def losses(network: nn.Module, faces: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """The paper's loss of each face and its gradient: ``(N,)`` and ``(N, Z)``."""
    z = z.requires_grad_(True)
    loss = (faces - network(z)).square().flatten(1).sum(1)
    (gradient,) = torch.autograd.grad(loss.sum(), z)
    return loss.detach(), gradient


def gan_reverse(function: Function, start: np.ndarray) -> np.ndarray:
    """The paper's procedure from a start ``(Z,)``: a latent ``(Z,)``."""
    z = start
    for _ in range(ROUNDS):
        z, _, _ = fmin_l_bfgs_b(function, z, maxfun=EVALUATIONS)
    return z


def alone(network: nn.Module, face: Tensor) -> Function:
    def function(z: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = losses(network, face, torch.tensor(z[None], dtype=torch.float32))
        return loss.item(), gradient[0].double().numpy()

    return function


class Gathered:
    """Evaluates the points of many searches, each in its thread, once all of them have asked."""

    def __init__(self, network: nn.Module, faces: Tensor) -> None:
        self.network, self.faces = network, faces
        self.asked: dict[int, np.ndarray] = {}
        self.answers: dict[int, tuple[float, np.ndarray]] = {}
        self.running = set(range(len(faces)))
        self.changed = threading.Condition()

    def function(self, index: int) -> Function:
        def ask(z: np.ndarray) -> tuple[float, np.ndarray]:
            with self.changed:
                self.asked[index] = z.copy()
                self._answer_if_all_asked()
                self.changed.wait_for(lambda: index in self.answers)
                return self.answers.pop(index)

        return ask

    def leave(self, index: int) -> None:
        with self.changed:
            self.running.discard(index)
            self._answer_if_all_asked()

    def _answer_if_all_asked(self) -> None:
        if not self.asked or len(self.asked) < len(self.running):
            return
        indices = sorted(self.asked)
        z = torch.tensor(np.stack([self.asked[i] for i in indices]), dtype=torch.float32)
        found, gradients = losses(self.network, self.faces[indices], z)
        for i, loss, gradient in zip(indices, found.tolist(), gradients, strict=True):
            self.answers[i] = (loss, gradient.double().numpy())
        self.asked.clear()
        self.changed.notify_all()


def all_reversed(network: nn.Module, faces: Tensor, starts: np.ndarray) -> Tensor:
    """`gan_reverse` of every face: ``(N, Z)``."""
    gathered, found = Gathered(network, faces), starts.copy()

    def search(index: int) -> None:
        found[index] = gan_reverse(gathered.function(index), starts[index])
        gathered.leave(index)

    threads = [threading.Thread(target=search, args=[i]) for i in range(len(faces))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return torch.tensor(found, dtype=torch.float32)


def report(name: str, quality: list[float], lengths: list[float], seconds: float) -> None:
    print(
        f"{name:28} {statistics.mean(quality):6.2f} dB mean, {min(quality):6.2f} least, "
        f"latent length {statistics.mean(lengths):5.2f}, {seconds:7.3f} s a photo",
        flush=True,
    )


def the_papers(
    loaded: weights.Weights, faces: Tensor, starts: np.ndarray, timed: int, keep: Path | None
) -> None:
    fast = build_drawer(loaded.generator)
    if keep is not None and keep.is_file():
        found = load_file(keep)["latents"]
    else:
        found = all_reversed(fast, faces, starts)
        if keep is not None:
            save_file({"latents": found}, keep)
    network = plain_generator(loaded.generator).eval().requires_grad_(False)
    started = time.perf_counter()
    for face, start in zip(faces[:timed, None], starts, strict=False):
        gan_reverse(alone(network, face), start)
    seconds = (time.perf_counter() - started) / max(1, timed)
    with torch.no_grad():
        quality = torch.cat(
            [psnr(fast(z), f) for z, f in zip(found[:, None], faces[:, None], strict=True)]
        )
    report("the paper's", quality.tolist(), found.norm(dim=1).tolist(), seconds)


def ours(photos: list[Path], name: str | None) -> None:
    for fidelity in FIDELITIES:
        for batch in (1, BATCH):
            runs = [photos[i : i + batch] for i in range(0, len(photos), batch)]
            if batch == 1 or fidelity == "high":  # every photo by itself: a few tell
                runs = runs[: 10 if batch == 1 else 2]
            found = [
                item
                for run in runs
                for item in neuralid.invert(run, align=False, fidelity=fidelity, model=name)
            ]
            report(
                f"{fidelity}, batches of {batch}, {len(found)} photos",
                [item.psnr for item in found],
                [float(item.latent.norm()) for item in found],
                statistics.median(item.seconds for item in found),
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--timed", type=int, default=2)
    parser.add_argument("--weights")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()

    names = [
        entry.name for entry in list_pictures(options.folder) if is_held_out(entry.name, BY_NAME)
    ]
    chosen = np.random.default_rng(0).permutation(names)[: options.count]
    photos = [options.folder / name for name in chosen]
    loaded = weights.load_weights(options.weights)
    model = loaded.description.model
    faces = images.to_tensor(
        np.stack([crop_face(images.load_rgb(photo), model.size, CropConfig()) for photo in photos])
    )
    std = architecture(model.architecture).noise_std
    starts = np.random.default_rng(0).normal(0, std, (len(faces), model.latent_size))
    keep_freed_memory()
    ours(photos, options.weights)
    the_papers(loaded, faces, starts, options.timed, options.keep)


if __name__ == "__main__":
    main()
