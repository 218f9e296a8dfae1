"""A folder or zip becomes one array, whatever lies in it; and is cached."""

from __future__ import annotations

import gc
import json
import os
import shutil
import threading
import time
import zipfile
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import fails, run
from PIL import Image

from neuralid.core import locks
from neuralid.core.errors import DataError, OutputError
from neuralid.data import ahead, cache, processes, reading
from neuralid.data.dataset import list_pictures, load_dataset
from neuralid.data.listing import Entry
from neuralid.data.reading import Cutter
from neuralid.faces.config import CropConfig
from neuralid.faces.crop import crop_face
from neuralid.pictures.images import load_rgb


@pytest.fixture
def archive(face_folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w") as file:
        for picture in face_folder.rglob("*.png"):
            file.write(picture, str(picture.relative_to(face_folder)))
        file.writestr("__MACOSX/face000.png", b"junk")
        file.writestr("readme.txt", b"hello")
    return path


def entries(cache_folder: Path) -> list[Path]:
    return [path for path in cache_folder.iterdir() if path.is_dir()]


def test_every_level_of_a_folder_is_read_in_order(face_folder: Path, cache_folder: Path) -> None:
    faces = load_dataset(face_folder, 28, CropConfig(), cache_folder)
    assert faces.images.shape == (96, 28, 28, 3)
    assert faces.names == sorted(faces.names)
    assert sum(name.startswith("more") for name in faces.names) == 48
    for i in (0, 50, 95):
        wanted = crop_face(load_rgb(face_folder / faces.names[i]), 28, CropConfig())
        assert np.array_equal(faces.images[i], wanted)


def test_a_zip_gives_what_its_folder_gives(
    face_folder: Path, archive: Path, cache_folder: Path
) -> None:
    folder = load_dataset(face_folder, 28, CropConfig(), cache_folder)
    zipped = load_dataset(archive, 28, CropConfig(), cache_folder)
    assert zipped.names == folder.names
    assert np.array_equal(zipped.images, folder.images)


def test_the_second_time_nothing_is_read(
    face_folder: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_dataset(face_folder, 28, CropConfig(), cache_folder)

    def fail(*_: object) -> None:
        raise AssertionError("a picture was read again")

    monkeypatch.setattr(reading, "load_rgb", fail)
    again = load_dataset(face_folder, 28, CropConfig(), cache_folder)
    assert np.array_equal(first.images, again.images)
    with pytest.raises(DataError, match="0 usable") as error:
        load_dataset(face_folder, 28, CropConfig(rotation=5), cache_folder)
    assert "a picture was read again" in str(error.value.hint)


def test_a_damaged_cache_entry_is_made_again(face_folder: Path, cache_folder: Path) -> None:
    wanted = load_dataset(face_folder, 28, CropConfig(), cache_folder).images.copy()
    (entry,) = entries(cache_folder)
    flipped = bytearray((entry / "images.u8").read_bytes())
    flipped[len(flipped) // 2] ^= 1
    for name, content in (("index.json", b"{"), ("images.u8", b"short"), ("images.u8", flipped)):
        (entry / name).write_bytes(content)
        again = load_dataset(face_folder, 28, CropConfig(), cache_folder)
        assert np.array_equal(again.images, wanted)


@pytest.mark.parametrize("block", [0, 1, 4])
def test_every_block_of_an_entry_has_a_checksum_of_its_own(
    face_folder: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(cache, "BLOCK", 50_000)
    load_dataset(face_folder, 28, CropConfig(), cache_folder)
    (entry,) = entries(cache_folder)
    content = (entry / "images.u8").read_bytes()
    assert len(content) == 96 * 28 * 28 * 3 and len(content) // 50_000 == 4
    found = cache.open_entry(entry)
    assert found is not None
    blocks = [content[start : start + 50_000] for start in range(0, len(content), 50_000)]
    assert found[1]["checksums"] == [zlib.crc32(each) for each in blocks]
    flipped = bytearray(content)
    flipped[50_000 * block + 7] ^= 1
    (entry / "images.u8").write_bytes(flipped)
    assert cache.open_entry(entry) is None


def test_of_a_large_entry_some_blocks_are_checked(
    face_folder: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of five here: damage to all is always noticed, to a fifth in one opening of five."""
    monkeypatch.setattr(cache, "BLOCK", 50_000)
    monkeypatch.setattr(cache, "CHECKED", 1)
    load_dataset(face_folder, 28, CropConfig(), cache_folder)
    (entry,) = entries(cache_folder)
    content = (entry / "images.u8").read_bytes()
    assert all(cache.open_entry(entry) for _ in range(20))
    (entry / "images.u8").write_bytes(bytes(len(content)))
    assert not any(cache.open_entry(entry) for _ in range(20))
    (entry / "images.u8").write_bytes(bytes(50_000) + content[50_000:])
    noticed = sum(cache.open_entry(entry) is None for _ in range(200))
    assert 10 < noticed < 80


def test_files_of_others_in_the_cache_stay(
    face_folder: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_folder.mkdir()
    strange = cache_folder / ("a" * 24)
    strange.write_text("a file with an entry's name")
    monkeypatch.setenv("NEURALID_CACHE_LIMIT", "1")
    assert len(load_dataset(face_folder, 28, CropConfig(), cache_folder).images) == 96
    assert strange.read_text() == "a file with an entry's name"


def test_a_damaged_zip_is_one_line(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    place = content.rindex(b"PK\x01\x02")
    content[place : place + 4] = b"XXXX"
    archive.write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        list_pictures(archive)


def test_progress_counts_every_file(face_folder: Path, cache_folder: Path) -> None:
    heard: list[tuple[int, int]] = []
    load_dataset(
        face_folder,
        28,
        CropConfig(),
        cache_folder,
        max_images=70,
        workers=3,
        on_step=lambda done, total: heard.append((done, total)),
    )
    assert heard == [(i, 70) for i in range(1, 71)]


def test_suffixes_count_whatever_their_case(tmp_path: Path) -> None:
    for name in ("a.JPG", "b.jpeg", "c.Png", "d.webp", "e.BMP", "f.txt", ".hidden.png"):
        (tmp_path / name).touch()
    assert [e.name for e in list_pictures(tmp_path)] == [
        "a.JPG",
        "b.jpeg",
        "c.Png",
        "d.webp",
        "e.BMP",
    ]


def test_places_without_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    for path, words in [
        (tmp_path / "empty", "has no pictures"),
        (tmp_path / "note.txt", "neither a folder nor a zip"),
        (tmp_path / "missing", "does not exist"),
    ]:
        with pytest.raises(DataError, match=words):
            list_pictures(path)


def test_a_full_disk_leaves_no_half_entry(
    face_folder: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OutputError, match="No space left"):
            load_dataset(face_folder, 28, CropConfig(), cache_folder)
    assert load_dataset(face_folder, 28, CropConfig(), cache_folder).images.shape[0] == 96


def test_a_link_that_leads_back_adds_nothing(face_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    shutil.copytree(face_folder, folder)
    before = len(list_pictures(folder))
    (folder / "loop").symlink_to(folder)
    assert len(list_pictures(folder)) == before


def test_processes_read_what_threads_read(
    face_folder: Path, archive: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = cache_folder.parent / "data"
    shutil.copytree(face_folder, data)
    (data / "bad.png").write_text("no picture")
    wanted = load_dataset(data, 28, CropConfig(rotation=3), cache_folder / "a", workers=1)
    monkeypatch.setattr(ahead, "MANY", 1)
    found = load_dataset(data, 28, CropConfig(rotation=3), cache_folder / "b", workers=2)
    assert found.names == wanted.names and found.skipped == wanted.skipped != {}
    assert np.array_equal(found.images, wanted.images)
    zipped = load_dataset(archive, 28, CropConfig(rotation=3), cache_folder / "b", workers=2)
    assert np.array_equal(zipped.images, wanted.images)


def pixels(read: Iterable[reading.Face | str]) -> list[np.ndarray]:
    return [face.pixels for face in read if isinstance(face, reading.Face)]


def test_full_pipes_do_not_make_reading_stop(
    face_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = list_pictures(face_folder)
    cutter = reading.Cutter(28, CropConfig(), None)
    wanted = pixels(ahead.read_all(face_folder, few, cutter, workers=1))
    monkeypatch.setattr(ahead, "MANY", 1)
    monkeypatch.setattr(ahead, "CHUNK", 1)
    monkeypatch.setattr(ahead, "AHEAD", 10_000)  # all requests, before any answer is taken
    found = pixels(ahead.read_all(face_folder, few * 25, cutter, workers=2))
    assert np.array_equal(found, wanted * 25)


def test_jpeg_files_read_by_processes_are_bit_for_bit_what_pillow_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for i in range(20):
        noise = rng.integers(0, 256, (40 + i, 50 - i, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i:02}.jpg", subsampling=i % 3, quality=50 + 2 * i)
    damaged = bytearray((tmp_path / "00.jpg").read_bytes())
    damaged[-300:-200] = bytes(100)
    (tmp_path / "00.jpg").write_bytes(damaged)
    (tmp_path / "01.jpg").write_bytes((tmp_path / "01.jpg").read_bytes()[:900])
    entries = list_pictures(tmp_path)
    for crop in (CropConfig(), CropConfig(20, 3, -2), CropConfig(rotation=7)):
        cutter = reading.Cutter(28, crop, None)
        wanted = list(ahead.read_all(tmp_path, entries, cutter, workers=1))
        with monkeypatch.context() as patch:
            patch.setattr(ahead, "MANY", 1)
            found = list(ahead.read_all(tmp_path, entries, cutter, workers=2))
        assert isinstance(found[1], str) and found.pop(1) == wanted.pop(1)
        for one, other in zip(found, wanted, strict=True):
            assert isinstance(one, reading.Face) and isinstance(other, reading.Face)
            assert np.array_equal(one.pixels, other.pixels) and one.face_size == other.face_size
    assert capfd.readouterr() == ("", "")  # libjpeg says nothing of the damage


def test_a_reading_process_that_dies_is_one_line(
    face_folder: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "MANY", 1)
    monkeypatch.setattr(processes, "_START", "import sys; sys.stdin.buffer.read(100)")
    with pytest.raises(DataError, match="has ended"):
        load_dataset(face_folder, 28, CropConfig(), cache_folder, workers=2)


@pytest.mark.parametrize("workers", [1, 3])
def test_reading_ahead_waits_for_the_consumer(
    face_folder: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(ahead, "CHUNK", 2)
    read: list[str] = []

    def listen(self: reading.Reader, entry: Entry) -> str:
        read.append(entry.name)
        return entry.name

    monkeypatch.setattr(reading.Reader, "read", listen)
    listed = list_pictures(face_folder)
    faces = ahead.read_all(face_folder, listed, Cutter(28, CropConfig(), None), workers)
    first = next(faces)
    before = -1
    while before != len(read):  # until nothing more is read
        before = len(read)
        time.sleep(0.05)
    assert 2 <= len(read) <= 2 * (ahead.AHEAD * workers + 1) < len(listed)
    assert [first, *faces] == [entry.name for entry in listed]


@pytest.mark.skipif(not hasattr(os, "getsid"), reason="a system without sessions")
def test_a_stop_by_the_keyboard_does_not_reach_the_processes_that_read(face_folder: Path) -> None:
    reader = reading.Reader(face_folder, Cutter(28, CropConfig(), None))
    process = processes.ReadingProcess(reader)
    try:
        assert os.getsid(process._process.pid) == process._process.pid != os.getsid(0)
    finally:
        process.close()


@pytest.mark.parametrize("many", [1, 1000])  # read by processes, by threads
def test_pictures_that_vanish_while_they_are_read_are_an_error_and_not_skipped(
    face_folder: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    data, away = cache_folder.parent / "data", cache_folder.parent / "away"
    shutil.copytree(face_folder, data)
    monkeypatch.setattr(ahead, "MANY", many)
    monkeypatch.setattr(ahead, "CHUNK", 1)

    def vanish(done: int, total: int) -> None:
        if data.exists() and done:
            data.rename(away)

    with pytest.raises(DataError, match=f"{data} vanished while it was read"):
        load_dataset(data, 28, CropConfig(), cache_folder, workers=2, on_step=vanish)
    away.rename(data)
    assert load_dataset(data, 28, CropConfig(), cache_folder).images.shape[0] == 96


def test_two_who_want_the_same_read_it_once(
    face_folder: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, read = threading.Event(), threading.Event()
    count: list[object] = []

    def slow(*arguments: Any) -> Any:
        began.set()
        read.wait(10)
        count.append(arguments)
        return load_rgb(*arguments)

    monkeypatch.setattr(reading, "load_rgb", slow)
    waited: list[int] = []

    def hear(done: int, total: int) -> None:
        waited.append(done)
        read.set()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(load_dataset, face_folder, 28, CropConfig(), cache_folder)
        began.wait(10)
        second = pool.submit(
            load_dataset, face_folder, 28, CropConfig(), cache_folder, on_step=hear
        )
        assert np.array_equal(first.result().images, second.result().images)
    assert len(count) == 96 and set(waited) == {0}


def test_what_a_killed_preparation_left_is_removed(face_folder: Path, cache_folder: Path) -> None:
    for key in ("a" * 24, "b" * 24):
        (cache_folder / key).mkdir(parents=True)
        (cache_folder / key / ".images.u8.x.neuralid-tmp").write_bytes(b"half")
    mine = cache_folder / "mine"
    mine.mkdir()
    with locks.locked(cache_folder / ("b" * 24 + ".lock")):  # this one is at work
        load_dataset(face_folder, 28, CropConfig(), cache_folder)
        assert not (cache_folder / ("a" * 24)).exists()
        assert (cache_folder / ("b" * 24)).exists() and mine.exists()
    load_dataset(face_folder, 28, CropConfig(), cache_folder)
    assert not (cache_folder / ("b" * 24)).exists() and mine.exists()


def test_the_longest_unused_entries_make_room(
    face_folder: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(rotation: float) -> tuple[np.ndarray, Path]:
        before = set(entries(cache_folder)) if cache_folder.exists() else set()
        images = load_dataset(face_folder, 28, CropConfig(rotation=rotation), cache_folder).images
        return images, next(iter(set(entries(cache_folder)) - before), Path())

    in_use, first = load(1)
    gone = [load(rotation)[1] for rotation in (2, 3)]
    for seconds, entry in enumerate([first, *gone]):
        os.utime(entry / "index.json", (1000 + seconds, 1000 + seconds))
    load(2)  # used again: now the third is older
    monkeypatch.setenv("NEURALID_CACHE_LIMIT", "750KB")  # three of 228 KB
    _, newest = load(4)
    assert set(entries(cache_folder)) == {first, gone[0], newest}
    assert np.array_equal(load(1)[0], in_use)
    del in_use
    gc.collect()
    monkeypatch.setenv("NEURALID_CACHE_LIMIT", "1")
    load(4)
    assert entries(cache_folder) == [newest]
    assert [path.stem for path in cache_folder.glob("*.lock")] == [newest.name]


@pytest.mark.parametrize(
    ("text", "size"),
    [("20GB", 20e9), ("1.5 tb", 1.5e12), ("300M", 3e8), ("7", 7), ("", 20e9), ("0", 0)],
)
def test_limits_are_sizes(text: str, size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURALID_CACHE_LIMIT", text)
    assert cache.limit_bytes() == size


@pytest.mark.parametrize("text", ["much", "-1GB", "20XB", "1e9"])
def test_a_limit_that_is_no_size_is_named(
    text: str, face_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURALID_CACHE_LIMIT", text)
    fails(run("train", "--data", face_folder, "--size", 28), 2, "NEURALID_CACHE_LIMIT", "20GB")


def test_a_cache_that_may_only_be_read_is_read(
    face_folder: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = load_dataset(face_folder, 28, CropConfig(), cache_folder).images

    def refused(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    for name in ("os.utime", "os.mkdir", "tempfile.mkstemp"):
        monkeypatch.setattr(name, refused)
    found = load_dataset(face_folder, 28, CropConfig(), cache_folder)
    assert np.array_equal(found.images, wanted)


def test_a_disk_that_fails_while_pictures_are_listed_is_one_line(
    face_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.scandir", fail)
    with pytest.raises(DataError, match="cannot be listed"):
        list_pictures(face_folder)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"shape": [28, 28, 4]}, "no faces"),
        ({"shape": [28, 14, 3]}, "no faces"),
        ({"shape": [0, 0, 3]}, "no faces"),
        ({"checksums": [1, 2]}, "one checksum for each block"),
        ({"checksums": []}, "one checksum for each block"),
        ({"names": "ab"}, "names"),
        ({"shape": [28, 28]}, "shape"),
    ],
)
def test_an_index_that_cannot_be_is_refused(
    wrong: dict[str, object], words: str, tmp_path: Path
) -> None:
    """Without a seal, as of earlier versions, which is not compared."""
    right = {"names": ["a", "b"], "skipped": {}, "shape": [28, 28, 3], "face_sizes": {"28": 2}}
    place = tmp_path / "index.json"
    place.write_text(json.dumps({**right, "checksums": [7]}))
    assert cache._read_index(place)["names"] == ["a", "b"]
    place.write_text(json.dumps({**right, "checksums": [7], **wrong}))
    with pytest.raises(ValueError, match=words):
        cache._read_index(place)
