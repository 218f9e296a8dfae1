"""Train the network that enlarges faces (`neuralid.models.upscaler`).

    python tools/train_upscaler.py --faces utkface --faces celeba --steps 20000 \
        -o src/neuralid/assets/upscaler.safetensors

Pictures that were enlarged before teach no detail. So it uses those whose luma OpenCV's cubic
interpolation cannot restore (below `DETAILED` dB) after they are halved by averaging. A tenth as
many of the others teach it to leave soft pictures as they are. Each picture is shrunk by 2 and 4
with four kernels, and once more with one of them after a light blur and before light JPEG
compression, so that the network also copes with pictures that are not clean. In each folder 500
pictures, the first by the hash of their names, are never used.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageFilter
from safetensors.torch import save_file
from torch import Tensor

from neuralid.core.device import autocast, pick_precision
from neuralid.data.dataset import list_pictures
from neuralid.models.upscaler import FACTORS, FaceUpscaler

CPU = torch.device("cpu")
KEPT_OUT = 500
DETAILED = 38.0  # dB
SOFT_SHARE = 0.1
KERNELS = {
    "box": Image.Resampling.BOX,
    "triangle": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
PATCH = {2: 40, 4: 22}  # side of a patch of the small picture, pixels
BATCH = {2: 16, 4: 24}


def kept_out(folder: Path) -> tuple[list[Path], list[Path]]:
    """The pictures never trained on, and the rest."""
    names = [e.name for e in list_pictures(folder)]
    names.sort(key=lambda name: hashlib.sha256(Path(name).name.encode()).digest())
    paths = [folder / name for name in names]
    return paths[:KEPT_OUT], paths[KEPT_OUT:]


def luma(path: Path) -> np.ndarray:
    """uint8 ``(H, W)``, cut to multiples of 4."""
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert grey is not None, path
    height, width = (side // 4 * 4 for side in grey.shape)
    return grey[:height, :width]


def shrunk(large: np.ndarray, factor: int, kernel: str) -> np.ndarray:
    height, width = large.shape
    size = (width // factor, height // factor)
    return np.asarray(Image.fromarray(large).resize(size, KERNELS[kernel]))


def has_detail(large: np.ndarray) -> bool:
    back = cv2.resize(shrunk(large, 2, "box"), large.shape[::-1], interpolation=cv2.INTER_CUBIC)
    error = (back.astype(np.float32) - large)[6:-6, 6:-6]
    return bool(10 * np.log10(255**2 / max(np.square(error).mean(), 1e-6)) < DETAILED)


class Pairs:
    """Large pictures, and the small ones of each by factor and way of shrinking."""

    def __init__(self, paths: list[Path], seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        soft: list[np.ndarray] = []
        self.large: list[np.ndarray] = []
        for path in paths:
            picture = luma(path)
            (self.large if has_detail(picture) else soft).append(picture)
        self.large += soft[: round(SOFT_SHARE * len(self.large))]
        self.small = {f: [self._ways(p, f) for p in self.large] for f in FACTORS}

    def batch(self, factor: int) -> tuple[Tensor, Tensor]:
        """Small ``(N, 1, P, P)`` and large ``(N, 1, F * P, F * P)`` in [0, 1]."""
        pairs = [self._pair(factor) for _ in range(BATCH[factor])]
        small, large = (
            np.stack(part).astype(np.float32) / 255 for part in zip(*pairs, strict=True)
        )
        return torch.from_numpy(small)[:, None], torch.from_numpy(large)[:, None]

    def _pair(self, factor: int) -> tuple[np.ndarray, np.ndarray]:
        which = self.rng.integers(len(self.large))
        ways = self.small[factor][which]
        small = ways[self.rng.integers(len(ways))]
        side = min(PATCH[factor], *small.shape)
        y, x = (int(self.rng.integers(edge - side + 1)) for edge in small.shape)
        here = small[y : y + side, x : x + side]
        there = self.large[which][
            factor * y : factor * (y + side), factor * x : factor * (x + side)
        ]
        turn = -1 if self.rng.random() < 0.5 else 1
        return here[:, ::turn], there[:, ::turn]

    def _ways(self, large: np.ndarray, factor: int) -> list[np.ndarray]:
        return [*(shrunk(large, factor, k) for k in KERNELS), self._worn(large, factor)]

    def _worn(self, large: np.ndarray, factor: int) -> np.ndarray:
        """Shrunk with one of the kernels, after a blur and before JPEG compression."""
        blur = ImageFilter.GaussianBlur(self.rng.uniform(0, 0.35) * factor)
        soft = np.asarray(Image.fromarray(large).filter(blur))
        small = shrunk(soft, factor, str(self.rng.choice(list(KERNELS))))
        buffer = io.BytesIO()
        Image.fromarray(small).save(buffer, "JPEG", quality=int(self.rng.integers(75, 98)))
        return np.asarray(Image.open(buffer))


def held_out_gain(network: FaceUpscaler, paths: list[Path], factor: int) -> float:
    """Mean over kernels and pictures of the PSNR gained over OpenCV's cubic, border cut, dB."""
    gains = []
    for path in paths:
        large = luma(path)
        for kernel in KERNELS:
            small = shrunk(large, factor, kernel)
            cubic = cv2.resize(small, large.shape[::-1], interpolation=cv2.INTER_CUBIC)
            with torch.no_grad():
                x = torch.from_numpy(small).float()[None, None] / 255
                own = (network(x, factor)[0, 0] * 255).round().clamp(0, 255).numpy()
            errors = [
                np.square(e.astype(np.float32) - large)[12:-12, 12:-12].mean() for e in (cubic, own)
            ]
            gains.append(10 * np.log10(errors[0] / errors[1]))
    return float(np.mean(gains))


def train(
    network: FaceUpscaler, pairs: Pairs, checked: list[list[Path]], options: argparse.Namespace
) -> None:
    optimizer = torch.optim.Adam(network.parameters(), options.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.rate, options.steps, pct_start=0.05
    )
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    started = time.time()
    for step in range(1, options.steps + 1):
        optimizer.zero_grad()
        for factor in FACTORS:
            small, large = pairs.batch(factor)
            with autocast(CPU, pick_precision("auto", CPU)):
                found = network(small.to(memory_format=torch.channels_last), factor)
            torch.nn.functional.l1_loss(found.float(), large).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.1)
        optimizer.step()
        schedule.step()
        if step % 500 == 0 or step == options.steps:
            gains = [held_out_gain(network, paths[:40], f) for paths in checked for f in FACTORS]
            shown = " ".join(f"{gain:.3f}" for gain in gains)
            print(f"{step} {shown} {time.time() - started:.0f} s", flush=True)
            save(network, options.output)


def save(network: FaceUpscaler, path: Path) -> None:
    save_file({k: v.half().contiguous() for k, v in network.state_dict().items()}, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, action="append", required=True)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    split = [kept_out(folder) for folder in options.faces]
    pairs = Pairs([path for _, rest in split for path in rest], options.seed)
    print(f"{len(pairs.large)} pictures", flush=True)
    train(FaceUpscaler(), pairs, [out for out, _ in split], options)


if __name__ == "__main__":
    main()
