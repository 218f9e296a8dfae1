"""A small network trained on faces: the row of the paper's list that it had no time for.

The network enlarges the light, two or four times; colours and alpha follow by OpenCV's cubic
interpolation, and other factors by Lanczos resampling. Letters in shapes: H W the picture's sides,
F the factor.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache, partial
from importlib.resources import files as package_files

import cv2
import numpy as np
import torch
from safetensors.torch import load

from ..core.device import pick_precision
from ..models.building import empty, fill
from ..models.upscaler import REACH, FaceUpscaler
from .opencv import cubic, nearest
from .picture import join, luma, split
from .resample import lanczos

TURN = 2 * math.sqrt(2)  # the factor above which the network enlarges four times, not two
TILE = 192  # side of what the network enlarges at a time, pixels of the small picture
AROUND = 5  # side of the window of small pixels that bounds a large one
BEYOND = 0.5  # how far a pixel may leave the range in its window, in sizes of the range


def face(
    planes: np.ndarray,
    height: int,
    width: int,
    *,
    device: str | torch.device = "cpu",
    sharp: bool = False,
) -> np.ndarray:
    """Enlarge float32 ``(H, W, C)`` -> ``(height, width, C)`` on a device.

    Where a picture is transparent, the network sees the colours around. ``sharp`` takes the network
    that was taught to look like a photograph.
    """
    colours, alpha = split(planes)
    factor = 2 if max(height / planes.shape[0], width / planes.shape[1]) < TURN else 4
    light = lanczos(enlarged(luma(colours), factor, device, sharp=sharp), height, width)
    large = cubic(colours, height, width)
    large += (light - luma(large))[..., None]
    np.clip(large, 0, 1, out=large)
    return join(large, None if alpha is None else cubic(alpha, height, width).clip(0, 1))


face_sharp = partial(face, sharp=True)


@torch.inference_mode()
def enlarged(
    light: np.ndarray,
    factor: int,
    device: str | torch.device = "cpu",
    tile: int = TILE,
    *,
    sharp: bool = False,
) -> np.ndarray:
    """Light through the network, tile by tile: float32 ``(H, W)`` -> ``(F * H, F * W)``.

    Each tile is enlarged with as much around it as its pixels can depend on, so that the result
    is that of the picture as a whole, in little memory.
    """
    network = _network(str(device), sharp)
    height, width = light.shape
    large = np.empty((factor * height, factor * width), np.float32)
    for rows, seen_rows in _tiles(height, tile):
        for columns, seen_columns in _tiles(width, tile):
            seen = np.ascontiguousarray(light[seen_rows, seen_columns])
            found = network(torch.from_numpy(seen).to(device)[None, None], factor)
            part = _bounded(found[0, 0].float().cpu().numpy(), seen)
            inner = _scaled(rows, factor, seen_rows), _scaled(columns, factor, seen_columns)
            large[_scaled(rows, factor), _scaled(columns, factor)] = part[inner]
    return large


@lru_cache(maxsize=2)
def _network(device: str, sharp: bool = False) -> FaceUpscaler:
    """The trained network on a device, in the precision that is fast there.

    bfloat16 costs 0.002 dB on faces kept out of training.
    """
    tensors = _tensors("upscaler")
    if sharp:
        tensors |= _tensors("upscaler-sharp")  # has only what differs
    precision = pick_precision("auto", torch.device(device))
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    network = fill(empty(FaceUpscaler), tensors)
    network.to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _tensors(name: str) -> dict[str, torch.Tensor]:
    return load(package_files("neuralid").joinpath("assets", f"{name}.safetensors").read_bytes())


def _tiles(length: int, tile: int) -> Iterator[tuple[slice, slice]]:
    """Pieces of a side, and what each must see of it."""
    for start in range(0, length, tile):
        stop = min(start + tile, length)
        yield slice(start, stop), slice(max(0, start - REACH), min(length, stop + REACH))


def _scaled(piece: slice, factor: int, inside: slice = slice(0, 0)) -> slice:
    """A piece of the small side as one of the large side, counted from the start of another."""
    return slice(factor * (piece.start - inside.start), factor * (piece.stop - inside.start))


def _bounded(large: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Hold the large light to what the small one has around: a flat surface stays flat, exactly.

    The bound is wide: on faces kept out of training it costs 0.001 dB.
    """
    kernel = np.ones((AROUND, AROUND), np.uint8)
    low, high = cv2.erode(light, kernel), cv2.dilate(light, kernel)
    room = BEYOND * (high - low)
    bounds = (nearest(bound, *large.shape)[..., 0] for bound in (low - room, high + room))
    return np.clip(large, *bounds)
