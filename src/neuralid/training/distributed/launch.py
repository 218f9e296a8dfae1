"""What ``torchrun`` tells a process it starts, and how its processes find one another."""

from __future__ import annotations

import itertools
import os
import socket
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

_meetings = itertools.count()  # of this process so far; the others have had as many


def was_launched() -> bool:
    """Whether torchrun started this process."""
    return dist.is_available() and dist.is_torchelastic_launched()


def launch_name() -> str | None:
    """The name of this launch of torchrun, the same after restarts; None without torchrun."""
    if not was_launched():
        return None
    name = os.environ["TORCHELASTIC_RUN_ID"]
    # Without --rdzv-id launches may all be called "none"; the parent process is torchrun itself.
    return f"{socket.gethostname()}-{os.getppid()}" if name == "none" else name


def launch_time() -> float:
    """When torchrun was launched, in seconds since 1970; a run created later may be its own.

    This tells a restart from a new launch of the same name: torchrun counts restarts only per
    machine. Where the system does not tell the time, that count has to do.
    """
    try:
        facts = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()
        started = int(facts[19]) / os.sysconf("SC_CLK_TCK")  # since boot
        return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - started)
    except (OSError, AttributeError):
        first = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
        return time.time() if first else 0.0


def meet(patience: timedelta) -> None:
    """Form the process group, on GPUs too if there are any."""
    with_gpus = torch.cuda.is_available() and dist.is_nccl_available()
    backend = "cpu:gloo,cuda:nccl" if with_gpus else "gloo"
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        dist.init_process_group(backend, timeout=patience)
        return
    # torchrun's store outlives a restart and still holds the addresses of processes that died. A
    # restarted group would wait for them forever (pytorch issue 135712). So each start gets its own
    # store, and torchrun's only tells where that is.
    key = f"neuralid/port/{next(_meetings)}"
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store_at: Any = dist.TCPStore  # type: ignore[attr-defined]
    torchruns = store_at(host, port, is_master=False)
    if rank == 0:
        store = store_at(host, 0, size, is_master=True, wait_for_workers=False)
        torchruns.set(key, str(store.port))
    else:
        port = _wait_for_port(host, torchruns, key)
        store = store_at(host, port, size, is_master=False)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=patience)


def _wait_for_port(host: str, torchruns: Any, key: str) -> int:
    """The port the first process listens on; before that, the key may hold an earlier, dead one."""
    while True:
        port = int(torchruns.get(key))
        try:
            socket.create_connection((host, port), timeout=5).close()
            return port
        except OSError:
            time.sleep(0.2)
