"""A small network trained on faces: the learned upscaler the paper lists but did not build.

The network enlarges the light two or four times; Lanczos resampling gives the other factors.
Colours and alpha are enlarged by OpenCV's cubic interpolation.

Letters in shapes: H W the picture's sides, F the factor.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import lru_cache, partial
from importlib.resources import files as package_files
from threading import Lock

import cv2
import numpy as np
import torch
from safetensors.torch import load

from ..core.device import PrecisionTrial, pick_precision
from ..models.building import empty, fill
from ..models.upscaler import FACTORS, REACH, FaceUpscaler
from .blocks import in_tiles
from .opencv import cubic, nearest
from .picture import join, luma, split
from .resample import lanczos

TURN = 2 * math.sqrt(2)  # from this factor on the network enlarges four times, not two
TILE = 192  # side of the piece that the network enlarges at a time, small pixels
AROUND = 5  # side of the window of small pixels whose range bounds a large pixel
BEYOND = 0.5  # how far a pixel may leave the range of its window, as a share of that range

_one_at_a_time = Lock()  # reads a network


def face(
    planes: np.ndarray,
    height: int,
    width: int,
    *,
    device: str | torch.device = "cpu",
    sharp: bool = False,
    on_part: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Enlarge float32 ``(H, W, C)`` -> ``(height, width, C)`` on a device.

    Where a picture is transparent, the network sees the surrounding colours. ``sharp`` uses the
    network that was trained to look like a photograph.
    """
    colours, alpha = split(planes)
    factor = 2 if max(height / planes.shape[0], width / planes.shape[1]) < TURN else 4
    found = enlarge_light(luma(colours), factor, device, sharp=sharp, on_part=on_part)
    light = lanczos(found, height, width)
    large = cubic(colours, height, width)
    large += (light - luma(large))[..., None]
    np.clip(large, 0, 1, out=large)
    return join(large, None if alpha is None else cubic(alpha, height, width).clip(0, 1))


face_sharp = partial(face, sharp=True)


@torch.inference_mode()
def enlarge_light(
    light: np.ndarray,
    factor: int,
    device: str | torch.device = "cpu",
    tile: int = TILE,
    *,
    sharp: bool = False,
    on_part: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Light through the network, tile by tile: float32 ``(H, W)`` -> ``(F * H, F * W)``.

    Each tile is enlarged together with all the surroundings its pixels depend on, so the result is
    that of the whole picture, in little memory. ``on_part(done, total)`` is called after each.
    """
    network = _network(str(device), sharp)

    def enlarge(seen: np.ndarray) -> np.ndarray:
        found = network(torch.from_numpy(seen).to(device)[None, None], factor)
        return _limit(found[0, 0].float().cpu().numpy(), seen)

    return in_tiles(light, factor, tile, REACH, enlarge, on_part)


def _network(device: str, sharp: bool = False) -> FaceUpscaler:
    """The trained network on a device, in the precision that is fast there; read once."""
    with _one_at_a_time:  # else each of several threads would read its own
        return _read_network(device, sharp)


@lru_cache(maxsize=2)
def _read_network(device: str, sharp: bool) -> FaceUpscaler:
    """bfloat16 costs 0.002 dB on faces kept out of training."""
    tensors = _tensors("upscaler")
    if sharp:
        tensors |= _tensors("upscaler-sharp")  # has only what differs
    network = fill(empty(FaceUpscaler), tensors)
    precision = pick_precision("auto", torch.device(device), _trial(network))
    return _placed(network, device, precision)


def _placed(network: FaceUpscaler, device: str, precision: str) -> FaceUpscaler:
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    network.to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _trial(network: FaceUpscaler) -> PrecisionTrial:
    """A small tile, enlarged."""

    def ready(precision: str) -> Callable[[], object]:
        own = _placed(copy.deepcopy(network), "cpu", precision)

        def work() -> None:
            with torch.no_grad():
                own(torch.zeros(1, 1, 48, 48), FACTORS[0])

        return work

    return PrecisionTrial("enlarging by the face network", ready)


def _tensors(name: str) -> dict[str, torch.Tensor]:
    return load(package_files("neuralid").joinpath("assets", f"{name}.safetensors").read_bytes())


def _limit(large: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Keep the large light near the range of the small one around: flat areas stay exactly flat.

    The bound is wide: on faces kept out of training it costs 0.001 dB.
    """
    kernel = np.ones((AROUND, AROUND), np.uint8)
    low, high = cv2.erode(light, kernel), cv2.dilate(light, kernel)
    room = BEYOND * (high - low)
    bounds = (nearest(bound, *large.shape)[..., 0] for bound in (low - room, high + room))
    return np.clip(large, *bounds)
