"""Pick the device and the precision, once; say where a network is."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor, nn

from .errors import ConfigError, DeviceError
from .memory import peak_of_process_mb
from .trying import Trial, Work, fastest


def pick_device(name: str = "auto") -> torch.device:
    """The device called ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    ``auto`` takes an accelerator if there is one. Raises `DeviceError` if the device is missing.
    """
    if name == "auto":
        return torch.device("cuda" if _cuda_count() else "mps" if _has_mps() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda", "mps"):
        raise ConfigError(f"no device is called '{name}'", hint="auto, cpu, cuda, cuda:N or mps")
    if not _is_there(device):
        raise DeviceError(
            f"device '{name}' is not available", hint=f"this machine has {available()}"
        )
    return device


def available() -> str:
    """The devices of this machine, as `pick_device` takes them."""
    cuda = [f"cuda:{i}" for i in range(_cuda_count())]
    return ", ".join(["cpu", *cuda, *(["mps"] if _has_mps() else [])])


def describe(device: torch.device) -> str:
    """The device in words: ``cpu (2 threads)``, ``cuda:0 (NVIDIA ...)``."""
    if device.type == "cpu":
        return f"cpu ({torch.get_num_threads()} threads)"
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)


def pick_precision(name: str, device: torch.device, trial: PrecisionTrial | None = None) -> str:
    """``fp32`` or ``bf16``; ``auto`` is bf16 where the device is faster in it.

    On a CPU that is found by trying, if ``trial`` says what, or else taken from its flags: with AMX
    bf16 is the faster one.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    usual = "bf16" if device.type == "cpu" and has_matrix_units() else "fp32"
    if trial is None or device.type != "cpu" or not can_bfloat16():
        return usual
    ways = {name: partial(trial.ready, name) for name in ("fp32", "bf16")}
    return fastest(Trial(trial.question, ways, usual))[0]


@dataclass(frozen=True)
class PrecisionTrial:
    """Something to compute in both precisions, to see which is faster."""

    question: str  # what, and of what size
    ready: Callable[[str], Work]  # makes ready, by precision, what is then timed


@lru_cache(maxsize=1)
def has_matrix_units() -> bool:
    """Whether this CPU multiplies matrices in bfloat16 by units of their own (AMX)."""
    return "amx_bf16" in _cpu_flags()


def can_bfloat16() -> bool:
    """Whether this CPU has instructions for bfloat16; without them it is not worth trying."""
    return bool(_cpu_flags() & {"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"})


def autocast(device: torch.device, precision: str) -> torch.autocast | nullcontext[None]:
    """The context to run networks in: bfloat16 if asked for, else a context that does nothing."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def without_autocast(x: Tensor) -> torch.autocast | nullcontext[None]:
    """The context for what is computed in float32 even in a network that runs in bfloat16."""
    return torch.autocast(x.device.type, enabled=False) if _is_autocast(x) else nullcontext()


def type_in_use(x: Tensor) -> torch.dtype:
    """The type that a convolution of a tensor would compute in here."""
    return torch.get_autocast_dtype(x.device.type) if _is_autocast(x) else x.dtype


def device_of(network: nn.Module) -> torch.device:
    """Where a network's tensors are."""
    return next(chain(network.parameters(), network.buffers())).device


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; nothing waits for one of the CPU to get to a CUDA device."""
    if device.type != "cuda" or tensor.is_cuda:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def use_threads_of_others() -> None:
    """Let this process use the threads of all that torchrun started on its machine, as they wait.

    It holds for the whole process, so the library leaves it to programs.
    """
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(torch.get_num_threads() * processes)


def peak_memory_mb(device: torch.device) -> int:
    """Peak memory in MiB: the device's on CUDA, else this process's; 0 where it is not known."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) >> 20
    return peak_of_process_mb()


def _is_autocast(x: Tensor) -> bool:
    kind = x.device.type
    return kind != "meta" and torch.is_autocast_enabled(kind)  # meta has none


def _cuda_count() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _has_mps() -> bool:
    return torch.backends.mps.is_available()


def _is_there(device: torch.device) -> bool:
    if device.type == "cuda":
        return (device.index or 0) < _cuda_count()
    return device.type == "cpu" or _has_mps()


def _cpu_flags() -> frozenset[str]:
    """Read from /proc/cpuinfo (Linux, x86 or Arm); torch has no public call for it."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset()
    found = re.search(r"^(flags|Features)\s*: (.*)$", text, re.MULTILINE)
    return frozenset(found[2].split()) if found else frozenset()
