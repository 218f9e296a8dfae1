"""What of a folder or zip is looked at, what is passed over, and what is said of it."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import QUICK_FLAGS, fails, run

from neuralid.core.errors import DataError
from neuralid.data.dataset import Dataset, load_dataset
from neuralid.data.listing import list_all, list_pictures
from neuralid.faces.config import CropConfig
from neuralid.training.options import TrainOptions
from neuralid.training.runs.plan import Plan, fit_name, new_plan

HIDDEN = (
    ".Trash-1000/files/a.png",
    ".ipynb_checkpoints/a.png",
    ".thumbnails/a.png",
    "deep/@eaDir/a.png/SYNOPHOTO.jpg",
    "__MACOSX/deep/a.png",
    "#recycle/a.png",
    "$RECYCLE.BIN/a.png",
    ".hidden.png",
)
SHOWN = ("@anna/a.png", "deep/..b/a.png", "deep/er/a.png", "x.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*HIDDEN, *SHOWN):
        path = tmp_path / "faces" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "faces"


def test_what_is_not_the_users_is_passed_over(folder: Path, tmp_path: Path) -> None:
    wanted = ["@anna/a.png", "deep/er/a.png", "x.png"]
    assert [entry.name for entry in list_pictures(folder)] == wanted
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        for name in (*HIDDEN, *SHOWN, "./y.png"):
            archive.writestr(name, b"")
    assert [e.name for e in list_pictures(tmp_path / "faces.zip")] == ["./y.png", *wanted]
    inside = folder.rename(tmp_path / ".faces")  # a hidden folder that was asked for
    assert [entry.name for entry in list_pictures(inside)] == wanted


def test_what_cannot_be_looked_at_is_counted_and_costs_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "itself.png").symlink_to("itself.png")
    (folder / "nowhere.png").symlink_to("missing.png")
    (folder / "loop").symlink_to("loop")
    real: Callable[..., Any] = os.scandir

    def scandir(path: Path) -> Any:
        if Path(path).name == "er":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr("os.scandir", scandir)
    found = list_all(folder)
    assert [entry.name for entry in found.pictures] == ["@anna/a.png", "x.png"]
    assert set(found.unreadable) == {"itself.png", "nowhere.png", "loop", "deep/er/"}
    assert "Permission denied" in found.unreadable["deep/er/"]


@pytest.mark.parametrize("number", [5, 116])  # a disk that fails, a network that does
def test_a_disk_that_fails_is_not_one_entrys_fault(
    folder: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., Any] = os.scandir

    def scandir(path: Path) -> Any:
        if Path(path).name == "er":
            raise OSError(number, os.strerror(number))
        return real(path)

    monkeypatch.setattr("os.scandir", scandir)
    with pytest.raises(DataError, match="cannot be listed"):
        list_pictures(folder)

    def refused(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refused)  # the folder itself is somebody else's
    with pytest.raises(DataError, match="cannot be listed: Permission denied") as error:
        list_pictures(folder)
    assert error.value.hint == "check who may read it"


def test_two_reasons_are_two_counts_with_the_first_names(
    face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    shutil.copytree(face_folder, data)
    for index in range(4):
        (data / f"bad{index}.png").write_text("no picture")
    (data / "itself.png").symlink_to("itself.png")
    result = run("train", "--data", data, *QUICK_FLAGS, "-N")
    assert result.exit_code == 0, result.output
    assert "data: 96 faces, " in result.stderr
    assert "skipped: 5 cannot be read: itself.png, bad0.png, bad1.png, ..." in result.stderr
    skipped = {"a.png": "a.png: no face found", "b.png": "b.png cannot be read: truncated"}
    told = Dataset(load_dataset(data, 28, CropConfig(), tmp_path).images, [], skipped, {})
    assert told.explain_skipped() == ["1 cannot be read: b.png", "1 show no face: a.png"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("archive (1)", "archive-1"),
        ("faces", "faces"),
        ("Ana's pictures & more!", "Ana-s pictures-more"),
        (".hidden", "hidden"),
        ("été", "été"),
        ("-x-", "x"),
        ("///", "faces"),
        ("", "faces"),
        ("h\udcf6he", "h-he"),
        ("脸" * 200, "脸" * 33),
        ("a" * 99 + " b", "a" * 99),
    ],
)
def test_a_name_is_made_to_fit(text: str, name: str) -> None:
    assert fit_name(text) == name
    plan = new_plan(TrainOptions(data="faces", size=28))
    assert Plan.from_dict({**plan.to_dict(), "name": name}).name == name


def test_a_name_nobody_gave_is_no_error(face_folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "archive (1)"
    data.symlink_to(face_folder)
    shown = tmp_path / "faces (2)"
    shutil.copytree(face_folder, shown)
    result = run("train", "--data", shown, *QUICK_FLAGS, "-N")
    assert result.exit_code == 0, result.output
    fails(run("train", "--data", shown, "--name", "a (1)", "-N"), 2, "'a (1)' is not a name")


@pytest.mark.parametrize("home", ["refuses", "is not absolute"])
def test_a_user_without_a_home_is_told_where_to_set_the_cache(
    home: str, face_folder: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object, **__: object) -> Path:
        if home == "refuses":
            raise RuntimeError("Could not determine home directory.")
        return Path("~/.cache/neuralid")

    monkeypatch.delenv("NEURALID_CACHE_DIR")
    monkeypatch.setattr("platformdirs.user_cache_path", lost)
    train = ("train", "--data", face_folder, "--size", 28)
    fails(run(*train), 2, "no home folder", "NEURALID_CACHE_DIR")
    assert not Path("runs").exists()
    fails(run("sample", "-n", 1, "--weights", "nobody"), 3, "no weights 'nobody'")
    assert run("sample", "-n", 1, "-o", "x.png", "--weights", tiny).exit_code == 0


def test_a_home_that_takes_nothing_and_folders_are_named_as_they_were_typed(
    face_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NEURALID_CACHE_DIR", str(tmp_path / "file" / "cache"))
    train = ("train", "--data", face_folder, *QUICK_FLAGS)
    fails(run(*train), 1, f"cannot write {tmp_path}/file/cache", "set NEURALID_CACHE_DIR")

    real = tempfile.TemporaryFile

    def refused(*more: Any, dir: Path, **named: Any) -> Any:
        if Path(dir).absolute().is_relative_to(Path.cwd()):
            raise OSError(30, "Read-only file system")
        return real(*more, dir=dir, **named)

    monkeypatch.setenv("NEURALID_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    fails(run(*train), 1, "cannot write runs: Read-only")
    fails(run("sample", "-n", 1, "--outdir", "drawn"), 1, "cannot write drawn: Read-only")


def test_a_zip_that_may_not_be_read_is_not_called_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.zip").touch()

    def refused(self: Path, *_: object) -> Any:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(DataError, match="cannot be listed: Permission denied"):
        list_pictures(tmp_path / "a.zip")
