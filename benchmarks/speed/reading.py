"""Reading 10,000 JPEG files as faces, on all cores used."""

from __future__ import annotations

import cProfile
import io
import pstats
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from neuralid.data.ahead import read_all
from neuralid.data.listing import Entry, list_pictures
from neuralid.data.reading import Cutter, Reader
from neuralid.faces.config import CropConfig
from neuralid.pictures.plain_jpeg import decode_plain

from .profiling import MOST
from .timing import Effort, Report, Way, Work, compare

COUNT, DIFFERENT, SIDE = 10_000, 500, 200
SIZE = 56  # of the faces
BATCH = 64
SEEN = 500  # pictures, in the profile


class Pictures(Dataset[torch.Tensor]):
    """The same pictures for PyTorch's `DataLoader`: decoded, cut, shrunk."""

    def __init__(self, folder: Path, entries: list[Entry]) -> None:
        self.paths = [str(folder / entry.name) for entry in entries]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(face_of(self.paths[index]))


def face_of(path: str) -> np.ndarray:
    """What a plain loop does: ``(S, S, 3)``, uint8."""
    with Image.open(path) as picture:
        face = picture.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return np.array(face)


def measure(effort: Effort) -> Report:
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_pictures(folder, COUNT)
        entries = list_pictures(folder)
        work = Work(f"reading {COUNT:,} JPEG files of {SIDE}x{SIDE}", "pictures", COUNT)
        compare(report, work, ways(folder, entries, effort.cores), effort)
        _profile(report, work.name, folder, entries[:SEEN])
    return report


def ways(folder: Path, entries: list[Entry], cores: int) -> list[Way]:
    cutter, pictures = Cutter(SIZE, CropConfig(), None), Pictures(folder, entries)

    def ours() -> None:
        for _ in read_all(folder, entries, cutter, cores):
            pass

    def decode() -> None:
        for path in pictures.paths:
            with Image.open(path) as picture:
                np.asarray(picture.convert("RGB"))

    def whole() -> None:
        for path in pictures.paths:
            face_of(path)

    def loader() -> None:
        for _ in DataLoader(pictures, BATCH, num_workers=cores):
            pass

    return [
        Way(f"neuralid, {cores} cores", ours, ours=True),
        Way("a Pillow loop that only decodes, 1 core", decode),
        Way("a Pillow loop that decodes and shrinks, 1 core", whole),
        Way(f"DataLoader of that, {cores} processes", loader),
    ]


def make_pictures(folder: Path, count: int) -> None:
    """Gradients with noise, as JPEG files of about 15 kB, some of them many times."""
    rng = np.random.default_rng(0)
    contents = [_picture(rng) for _ in range(min(DIFFERENT, count))]
    for number in range(count):
        (folder / f"{number:06d}.jpg").write_bytes(contents[number % len(contents)])


def _picture(rng: np.random.Generator) -> bytes:
    ramp = np.add.outer(*rng.uniform(0, 127, (2, SIDE)).cumsum(1) / SIDE)
    noise = rng.normal(0, 8, (SIDE, SIDE, 1))
    pixels = (ramp[..., None] * rng.uniform(0.5, 1.5, 3) + noise).clip(0, 255)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _profile(report: Report, name: str, folder: Path, entries: list[Entry]) -> None:
    """Where the time of one reading process goes, by function."""
    reader = Reader(folder, Cutter(SIZE, CropConfig(), None), decode_plain)
    seen = cProfile.Profile()
    seen.runcall(reader.read_chunk, entries)
    stats = pstats.Stats(seen).stats  # type: ignore[attr-defined]
    times = {_named(place): figures[2] for place, figures in stats.items()}
    whole = sum(times.values())
    most = sorted(times, key=lambda key: -times[key])[:MOST]
    shares = {key: round(times[key] / whole, 3) for key in most}
    report.profiles.append({"name": name, "way": "one process that reads", "shares": shares})


def _named(place: tuple[str, int, str]) -> str:
    """A function as ``file.function``, or a built-in by its name alone."""
    file, _, function = place
    return function.strip("<>") if file == "~" else f"{Path(file).stem}.{function}"
