"""Teach part of the network that enlarges faces to look sharp (`neuralid.models.upscaler`).

    python tools/sharpen_upscaler.py --faces celeba --faces utkface \
        -o src/neuralid/assets/upscaler-sharp.safetensors

It starts from the network of `train_upscaler.py`, which gives the mean of all that may have been
there, and so looks soft. The last blocks are trained further with two more losses. One wants edges
as steep as in the original; the other, a light one, comes from a discriminator that compares
enlarged and real patches (relativistic, Jolicoeur-Martineau 2018, arXiv:1807.00734). The network
this gives leaves a faint grid on skin; half way between both networks (Wang et al. 2018,
arXiv:1809.00219, section 3.4) there is none. The file holds only what differs from the first
network's. Every third picture is used.
"""

from __future__ import annotations

import argparse
import time
from importlib.resources import files as package_files
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm
from train_upscaler import BATCH, CPU, Pairs, held_out_gain, kept_out

from neuralid.core.device import autocast, pick_precision
from neuralid.models.upscaler import FACTORS, FaceUpscaler

BATCH.update({2: 12, 4: 16})
EDGES, ADVERSARY = 0.3, 0.004  # weights of the losses beside the mean absolute difference's 1
RATE, RATE_D = 1e-4, 4e-4
OWN = ("tails", "join", "trunk.4", "trunk.5")  # what goes on learning
EVERY = 3
SHARE = 0.5  # of the way from the first network to what is learned


class Patches(nn.Module):
    """Whether patches are real: luma ``(N, 1, H, W)`` -> logits ``(N, 1, H / 4, W / 4)``."""

    def __init__(self) -> None:
        super().__init__()
        maps = [(1, 32, 1), (32, 48, 2), (48, 64, 1), (64, 96, 2), (96, 96, 1)]
        layers: list[nn.Module] = []
        for before, after, stride in maps:
            kernel = 4 if stride == 2 else 3
            convolution = nn.Conv2d(before, after, kernel, stride, padding=1)
            layers += [spectral_norm(convolution), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(96, 1, 3, padding=1)))

    def forward(self, light: Tensor) -> Tensor:
        with autocast(CPU, pick_precision("auto", CPU)):
            logits: Tensor = self.layers(4 * (light - 0.5))
        return logits.float()


def steepness(light: Tensor) -> Tensor:
    """The gradient's length at each pixel."""
    down = light[..., 1:, :-1] - light[..., :-1, :-1]
    right = light[..., :-1, 1:] - light[..., :-1, :-1]
    return torch.sqrt(down.square() + right.square() + 1e-6)


def step(
    network: FaceUpscaler, judge: Patches, optimizer: torch.optim.Adam, pairs: Pairs, factor: int
) -> None:
    """Add the network's gradients for one batch; one step of the discriminator."""
    small, large = pairs.batch(factor)
    with autocast(CPU, pick_precision("auto", CPU)):
        found = network(small.to(memory_format=torch.channels_last), factor).float()
    fake, real = judge(found), judge(large)
    loss = F.l1_loss(found, large) + EDGES * F.l1_loss(steepness(found), steepness(large))
    (loss + ADVERSARY * F.softplus(real.mean().detach() - fake).mean()).backward()
    optimizer.zero_grad()
    fake, real = judge(found.detach()), judge(large)
    loss = F.softplus(fake.mean() - real).mean() + F.softplus(fake - real.mean()).mean()
    loss.backward()
    optimizer.step()


def train(
    network: FaceUpscaler, pairs: Pairs, checked: list[list[Path]], steps: int, output: Path
) -> None:
    judges = {f: Patches().to(memory_format=torch.channels_last) for f in FACTORS}  # type: ignore[call-overload]
    judged = {f: torch.optim.Adam(judges[f].parameters(), RATE_D, (0.5, 0.99)) for f in FACTORS}
    own = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(own, RATE, betas=(0.5, 0.99))
    started = time.time()
    for done in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = RATE if done < 0.6 * steps else 0.3 * RATE
        optimizer.zero_grad()
        for factor in FACTORS:
            step(network, judges[factor], judged[factor], pairs, factor)
        nn.utils.clip_grad_norm_(own, 0.1)
        optimizer.step()
        if done % 200 == 0 or done == steps:
            gains = [held_out_gain(network, paths[:12], f) for paths in checked for f in FACTORS]
            shown = " ".join(f"{gain:.2f}" for gain in gains)
            print(f"{done} {shown} {time.time() - started:.0f} s", flush=True)
            save(network, output)


def save(network: FaceUpscaler, path: Path) -> None:
    learned, before = network.state_dict(), shipped()
    own = {k: before[k].lerp(v, SHARE) for k, v in learned.items() if k.startswith(OWN)}
    save_file({k: v.half().contiguous() for k, v in own.items()}, path)


def shipped() -> dict[str, Tensor]:
    """The first network."""
    tensors = load_file(str(package_files("neuralid") / "assets" / "upscaler.safetensors"))
    return {name: tensor.float() for name, tensor in tensors.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, action="append", required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()

    torch.manual_seed(0)
    network = FaceUpscaler()
    network.load_state_dict(shipped())
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.startswith(OWN))
    split = [kept_out(folder) for folder in options.faces]
    pairs = Pairs([path for _, rest in split for path in rest][::EVERY], 1)
    print(f"{len(pairs.large)} pictures", flush=True)
    train(network, pairs, [out for out, _ in split], options.steps, options.output)


if __name__ == "__main__":
    main()
