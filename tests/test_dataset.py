"""A folder or zip becomes one array, whatever lies in it; and is cached."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from neuralid import dataset
from neuralid.config import CropConfig
from neuralid.crop import crop_face
from neuralid.dataset import list_pictures, load_dataset
from neuralid.errors import DataError, OutputError
from neuralid.images import load_rgb


@pytest.fixture
def archive(face_folder: Path, tmp_path: Path) -> Path:
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w") as file:
        for picture in face_folder.rglob("*.png"):
            file.write(picture, str(picture.relative_to(face_folder)))
        file.writestr("__MACOSX/face000.png", b"junk")
        file.writestr("readme.txt", b"hello")
    return path


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

    monkeypatch.setattr(dataset, "load_rgb", fail)
    again = load_dataset(face_folder, 28, CropConfig(), cache_folder)
    assert np.array_equal(first.images, again.images)
    with pytest.raises(AssertionError):
        load_dataset(face_folder, 28, CropConfig(rotation=5), cache_folder)


def test_a_damaged_cache_entry_is_made_again(face_folder: Path, cache_folder: Path) -> None:
    wanted = load_dataset(face_folder, 28, CropConfig(), cache_folder).images.copy()
    (entry,) = cache_folder.iterdir()
    for name, content in (("index.json", b"{"), ("images.u8", b"short")):
        (entry / name).write_bytes(content)
        again = load_dataset(face_folder, 28, CropConfig(), cache_folder)
        assert np.array_equal(again.images, wanted)


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
