"""Give weights a perceptual network and an encoder, as the end of a training run does.

    python tools/train_encoder.py --weights FILE --faces FOLDER|ZIP --images 200000 -o OUT
        [--batch 64] [--device auto] [--keep-perceptual]

The perceptual network is that of the discriminator in FILE's training file, or with
``--keep-perceptual`` the one FILE has. FACES are framed as the training faces were; pictures kept
for validation, a twentieth by hash of the file name, are left out. Half of the pictures shown are
drawn, half are real. Directions and what else FILE holds stay.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from neuralid import weights
from neuralid.core.device import pick_device, pick_precision
from neuralid.core.home import cache_folder
from neuralid.core.memory import keep_freed_memory
from neuralid.data.dataset import load_dataset
from neuralid.faces.config import CropConfig
from neuralid.models.architecture import architecture
from neuralid.models.building import build_drawer, build_perceptual, empty, fill
from neuralid.models.network import PerceptualNetwork
from neuralid.training.batches import Batches
from neuralid.training.config import TrainConfig
from neuralid.training.finish.encoding import SHARE, train_encoder
from neuralid.training.runs.origin import read_discriminator


def perceptual_of(loaded: weights.Weights, keep: bool) -> PerceptualNetwork | None:
    """The perceptual network of weights: the one they hold, or a new one."""
    if keep:
        return loaded.perceptual
    model = loaded.description.model
    tensors = read_discriminator(loaded.path, loaded.id, model)
    if tensors is None:
        raise SystemExit(f"no training file of {loaded.path} beside it")
    make = architecture(model.architecture).discriminator
    return build_perceptual(fill(empty(lambda: make(model, 0.0)), tensors))


class Reporter:
    """Prints how far training is, every 20 seconds."""

    def __init__(self, batch: int) -> None:
        self.batch, self.started, self.told = batch, time.perf_counter(), 0.0

    def __call__(self, done: int, total: int) -> None:
        seconds = time.perf_counter() - self.started
        if seconds > self.told + 20 or done == total:
            self.told = seconds
            rate = done * self.batch / seconds
            print(f"{done} of {total} steps, {seconds:.0f} s, {rate:.0f} pictures/s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights")
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--keep-perceptual", action="store_true")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()

    keep_freed_memory()
    device = pick_device(options.device)
    loaded = weights.load_weights(options.weights)
    perceptual = perceptual_of(loaded, options.keep_perceptual)
    size, cache = loaded.description.model.size, cache_folder() / "datasets"
    data = load_dataset(options.faces, size, CropConfig(), cache)
    loaded.generator.to(device)
    coordinates = loaded.coordinates
    assert coordinates is not None
    encoder = train_encoder(
        build_drawer(loaded.generator),
        coordinates,
        Batches(data.images, data.training(), seed=0, mirror=True),
        TrainConfig(kimg=options.images / 1000 / SHARE, batch=options.batch),
        pick_precision("auto", device),
        perceptual=None if perceptual is None else perceptual.to(device),
        on_step=Reporter(options.batch),
    )
    weights.save_weights(
        options.output,
        loaded.generator,
        loaded.description,
        loaded.metric,
        encoder,
        loaded.directions,
        perceptual,
    )
    print(options.output, f"{options.output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
