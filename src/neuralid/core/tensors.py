"""Files of tensors with a description: safetensors, with a checksum of all that they say.

The header is looked at first. What it promises costs nothing until the tensors are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .files import write_atomically

SEAL = "neuralid-seal"  # of the checksum in the metadata; files of earlier versions have none
MOST_TEXT = 4_000_000  # characters of metadata; ours has thousands
# What safetensors and torch raise for files that are damaged, or of types they do not know.
_BROKEN = (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RuntimeError)


@dataclass(frozen=True)
class TensorFile:
    """An open file of tensors. `open_tensors` makes one."""

    texts: dict[str, str]  # the metadata, without the checksum
    shapes: dict[str, tuple[int, ...]]  # of each tensor, by name
    _seal: str | None
    _file: Any

    @property
    def is_sealed(self) -> bool:
        """Whether it has a checksum, which `read` compares."""
        return self._seal is not None

    def read(self) -> dict[str, Tensor]:
        """All tensors. Raises `ValueError` if the checksum is not theirs and the texts'."""
        with _as_value_errors():
            tensors = {name: self._file.get_tensor(name) for name in self.shapes}
        if self._seal not in (None, _checksum(tensors, self.texts)):
            raise ValueError("its checksum does not match")
        return tensors


@contextmanager
def open_tensors(path: Path) -> Iterator[TensorFile]:
    """Open a file that `save_tensors` wrote, or any safetensors file, and read its header.

    Raises `OSError`, and `ValueError` for a file that is damaged or another program's.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError("it is not a plain file")
    with _as_value_errors():
        opened = safe_open(path, framework="pt")
    with opened as file:
        with _as_value_errors():
            texts = dict(file.metadata() or {})
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        if sum(map(len, texts.values())) > MOST_TEXT:
            raise ValueError(f"its description is longer than {MOST_TEXT / 1e6:g} MB")
        yield TensorFile(texts, shapes, texts.pop(SEAL, None), file)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], texts: dict[str, str]) -> None:
    """Write tensors and texts, with a checksum of both. Raises `OutputError`."""
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    sealed = {**texts, SEAL: _checksum(stored, texts)}
    write_atomically(path, save(stored, metadata=sealed))


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors, in hex: of their names and numbers."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(tensors[name].contiguous().view(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _checksum(tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> str:
    """SHA-256 of tensors, their types and shapes, and texts."""
    found = hashlib.sha256(digest(tensors).encode())
    for name in sorted(tensors):
        found.update(f"\0{tensors[name].dtype}{tuple(tensors[name].shape)}".encode())
    for name in sorted(texts):
        found.update(f"\0{name}\0{texts[name]}".encode("utf-8", "surrogatepass"))
    return found.hexdigest()


@contextmanager
def _as_value_errors() -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise ValueError(str(error)) from error
