"""Train the networks that find faces (`neuralid.models.finders`), on framed faces moved at random.

    python tools/train_aligner.py --faces utkface --eyes 0.295,0.301,0.695,0.301 \
        --faces celeba --eyes 0.393,0.516,0.610,0.516 -o src/neuralid/assets/finders.safetensors

Each folder holds pictures whose eyes all lie at the given places (fractions of width and height);
the order of the folders is that of the eye locator's frames.
A twentieth of the pictures, by hash of the file name, is never used. With ``--only`` one network is
trained, and the others in the file stay.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from moved_faces import Canvases, Eyes, Patches, Sampler, load
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from neuralid.core.device import autocast, pick_precision
from neuralid.models.finders import EyeCentre, EyeLocator, FaceProposer

CPU = torch.device("cpu")


def patch_loss(
    found: Tensor, logits: Tensor, places: Tensor, kinds: Tensor
) -> tuple[Tensor, Tensor]:
    """For `EyeLocator` and `EyeCentre`: the mean distance where there is a face, and the loss.

    Places are NaN where there is no face, or its place is unknown.
    """
    known = places.isfinite().all(-1)
    distance = (found[known] - places[known]).norm(dim=-1)
    error = distance.mean()
    return error, 10 * error + F.binary_cross_entropy_with_logits(logits, kinds)


def canvas_loss(
    logits: Tensor, found: Tensor, eyes: Tensor, kinds: Tensor
) -> tuple[Tensor, Tensor]:
    """For `FaceProposer`: the mean distance, and the loss, which takes the hardest non-faces."""
    yes, no = kinds == 1, kinds == 0
    error = (found - eyes).norm(dim=-1).mean(-1)[yes].mean()
    wrong = F.softplus(logits[no])
    hardest = wrong.topk(min(len(wrong), 3 * int(yes.sum()))).values
    return error, 2 * error + F.softplus(-logits[yes]).mean() + hardest.mean()


def train(network: nn.Module, sampler: Sampler, steps: int, batch: int) -> None:
    """Train for ``steps`` steps; the errors printed are in the network's own units."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-3)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    started, errors, losses = time.time(), [], []
    for step in range(1, steps + 1):
        x, places, kinds = sampler.batch(batch)  # type: ignore[attr-defined]
        with autocast(CPU, pick_precision("auto", CPU)):
            first, second = (y.float() for y in network(x.to(memory_format=torch.channels_last)))
        kind = canvas_loss if isinstance(network, FaceProposer) else patch_loss
        error, loss = kind(first, second, places, kinds)
        errors.append(error.item())
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 200 == 0:
            recent = f"{np.mean(errors[-200:]):.4f} {np.mean(losses[-200:]):.4f}"
            print(f"{step} {recent} {time.time() - started:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, action="append", required=True)
    parser.add_argument("--eyes", action="append", required=True)
    parser.add_argument("--only", choices=["proposer", "locator", "centre"])
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    pairs = zip(options.faces, options.eyes, strict=True)
    sources = [load(*pair, frame) for frame, pair in enumerate(pairs)]
    kinds = {
        "proposer": (FaceProposer, Canvases, 32),
        "locator": (lambda: EyeLocator(len(sources)), Patches, 128),
        "centre": (EyeCentre, Eyes, 128),
    }
    tensors = load_file(options.output) if options.output.is_file() else {}
    for name in [options.only] if options.only else kinds:
        network, sampler, batch = kinds[name]
        trained = network()
        train(trained, sampler(sources, options.seed), options.steps, batch)
        tensors = {k: t for k, t in tensors.items() if not k.startswith(f"{name}.")}
        for key, value in trained.state_dict().items():
            tensors[f"{name}.{key}"] = (
                value.half() if value.is_floating_point() else value
            ).contiguous()
        save_file(tensors, options.output)


if __name__ == "__main__":
    main()
