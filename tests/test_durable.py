"""Whatever happens to a run or its disk: one line, nothing lost, and the run can go on."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import QUICK, QUICK_FLAGS, fails, run
from PIL import Image
from test_resume import Killed, small_snapshots, train

import neuralid
from neuralid import weights, weights_cache
from neuralid.core import locks
from neuralid.core.errors import OutputError, TrainingError
from neuralid.core.files import write_atomically
from neuralid.training.loop import Step
from neuralid.training.runs import checkpoint
from neuralid.training.runs.checkpoint import checkpoints, load_checkpoint, save_checkpoint
from neuralid.training.runs.folder import Run
from neuralid.training.runs.history import History
from neuralid.training.runs.records import RESUMED, Event, Measured, Tick
from neuralid.training.runs.tensorboard import EventFiles, event_files

__all__ = ["small_snapshots"]  # a fixture of this module too


def loaded(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """What is taken from a folder's checkpoints, and the names of those that were damaged."""
    states: list[dict[str, Any]] = []
    heard: list[str] = []
    load_checkpoint(folder, states.append, lambda path: heard.append(path.name))
    return states, heard


def test_one_flipped_bit_anywhere_in_a_checkpoint_is_noticed(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 100, {"x": torch.arange(1000.0)})
    path = save_checkpoint(tmp_path, 200, {"x": torch.arange(1000.0)})
    whole = path.read_bytes()
    assert torch.load(path, weights_only=True)["x"].equal(
        torch.arange(1000.0)
    )  # torch's own format
    for place in (*range(0, len(whole), 211), len(whole) - 1):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        assert loaded(tmp_path)[1] == [path.name], place
    path.write_bytes(whole[:-1])
    assert loaded(tmp_path)[1] == [path.name]


def test_the_last_three_checkpoints_are_kept_and_none_of_a_stretch_that_was_left(
    tmp_path: Path,
) -> None:
    mine = tmp_path / "checkpoint-mine.pt"
    mine.touch()
    for images in (10, 20, 30, 999_999_999, 1_000_000_000):
        save_checkpoint(tmp_path, images, {"images": images})
    names = [int(path.stem[11:]) for path in checkpoints(tmp_path)]
    assert names == [30, 999_999_999, 1_000_000_000] and mine.exists()
    checkpoints(tmp_path)[-1].write_bytes(b"damaged")
    save_checkpoint(tmp_path, 40, {"images": 40})
    assert [int(path.stem[11:]) for path in checkpoints(tmp_path)] == [30, 40]


def tick(kimg: float) -> Tick:
    return Tick(kimg, loss_d=1.0, loss_g=1.0, images_per_second=10.0)


def test_a_checkpoint_that_cannot_be_read_is_not_the_one_that_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link to nothing, a folder, a disk that fails: what is whole stays; nothing is raised."""
    for images in (8, 16):
        save_checkpoint(tmp_path, images, {"images": images})
    older, whole = checkpoints(tmp_path)
    link, folder = (tmp_path / whole.name.replace("16", n) for n in ("24", "32"))
    link.symlink_to(tmp_path / "gone")
    folder.mkdir()
    assert [checkpoint.is_whole(path) for path in checkpoints(tmp_path)] == [True] * 2 + [False] * 2
    assert checkpoint.size_of(link) == 0 < checkpoint.size_of(whole)

    def fail(path: Path) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_is_sealed", fail)
        checkpoint.keep_newest(tmp_path)
    assert older.exists() and whole.exists()
    checkpoint.keep_newest(tmp_path)
    assert whole.exists() and not older.exists() and not link.is_symlink() and folder.is_dir()


def test_a_torn_line_of_the_log_costs_no_other(tmp_path: Path) -> None:
    log = Run(tmp_path)
    log.log(tick(1.0))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"kimg": 2.0, "lo')
    log.log(tick(3.0))
    history = History.read(tmp_path / "log.jsonl")
    assert [each.kimg for each in history.ticks] == [1.0, 3.0]


def test_what_was_logged_after_the_checkpoint_resumed_from_is_not_the_past(tmp_path: Path) -> None:
    log = Run(tmp_path)
    for kimg in (1.0, 2.0, 3.0):
        log.log(tick(kimg))
        log.log(Measured(kimg, {"swd": kimg}))
    log.log(Event(RESUMED, 2.0))
    history = History.read(tmp_path / "log.jsonl")
    assert [each.kimg for each in history.ticks] == [1.0, 2.0] and history.kimg == 2.0
    assert [each.kimg for each in history.measured] == [1.0, 2.0]
    log.log(tick(3.0))
    history = History.read(tmp_path / "log.jsonl")
    assert [each.kimg for each in history.ticks] == [1.0, 2.0, 3.0]


def holder(path: Path) -> subprocess.Popen[str]:
    """A process that holds a lock until it is killed."""
    code = (
        "import sys, time; from pathlib import Path; from neuralid.core.locks import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_second_run_in_the_folder_is_refused_until_the_first_has_ended(
    face_folder: Path, tmp_path: Path
) -> None:
    taken: list[Step] = []
    first = train(face_folder, tmp_path, on_step=taken.append, should_stop=lambda: bool(taken))
    assert first.run is not None and first.images == 8
    unfinished = first.run / ".checkpoint-000000016.pt.abc.neuralid-tmp"
    unfinished.touch()
    mine = first.run / ".mine.tmp"
    mine.touch()
    with holder(first.run / "lock") as process:
        refused = run("train", "--resume", first.run)
        fails(refused, 1, f"in use by another run (process {process.pid})", "hint:")
        assert unfinished.exists()
        process.kill()
    taken.clear()
    second = neuralid.train(
        out=tmp_path, resume="latest", on_step=taken.append, should_stop=lambda: bool(taken)
    )
    assert second.images == 16
    assert not unfinished.exists() and mine.exists()


def test_a_lock_whose_file_was_removed_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locks.locked(path):
        with pytest.raises(locks.Held, match=f"process {os.getpid()}"), locks.locked(path):
            pass
        path.unlink()
        with locks.locked(path):
            assert path.exists()


def test_a_lock_whose_file_goes_just_before_it_is_held_is_taken_on_the_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lock, seen = tmp_path / "lock", locks._lock, iter(range(100))

    def late(handle: int, shared: bool = False) -> None:
        if next(seen) == 0:
            path.unlink()  # by one who held it till now
        lock(handle, shared)

    monkeypatch.setattr(locks, "_lock", late)
    with locks.locked(path):
        assert path.read_text() == f"process {os.getpid()}"
        with pytest.raises(locks.Held), locks.locked(path):
            pass


def test_a_lock_that_nobody_can_read_is_held_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(handle: int, count: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    path = tmp_path / "lock"
    with locks.locked(path), monkeypatch.context() as patch:
        patch.setattr("neuralid.core.locks.os.read", broken)
        with pytest.raises(locks.Held, match="process unknown"), locks.locked(path):
            pass
    path.write_text("my diary")
    with locks.locked(path):
        assert path.read_text() == "my diary"


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no open files")
def test_a_file_is_in_use_until_all_who_marked_it_have_closed_it(tmp_path: Path) -> None:
    path = tmp_path / "pixels"
    path.touch()
    files = [path.open("rb") for _ in range(2)]
    for file in files:
        locks.mark_in_use(file.fileno())
    for file in files:
        assert locks.is_in_use(path)
        file.close()
    assert not locks.is_in_use(path)


def test_two_runs_that_begin_at_once_get_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = Path.mkdir

    def late(path: Path, *arguments: Any, **more: Any) -> None:
        if path.name == "00000-a":
            mkdir(path)  # the other run's
        mkdir(path, *arguments, **more)

    monkeypatch.setattr(Path, "mkdir", late)
    assert Run.create(tmp_path, "a").folder.name == "00001-a"


def write_fails(name: str, code: int, after: int = 0) -> Callable[..., Any]:
    """`os.replace`, which fails for files that are called ``name...``, after so many of them."""
    replace, seen = os.replace, iter(range(1000))

    def fail(source: Any, target: Any) -> None:
        if Path(target).name.startswith(name) and next(seen) >= after:
            raise OSError(code, os.strerror(code))
        replace(source, target)

    return fail


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("checkpoint", errno.ENOSPC, "the disk is full"),
        ("report", errno.EROFS, "read-only"),
    ],
)
def test_a_write_that_fails_ends_the_run_in_a_line_and_the_run_goes_on_later(
    face_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    code: int,
    words: str,
) -> None:
    options = (*QUICK_FLAGS, "--snapshot", 0.016)
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", write_fails(name, code, after=1))
        result = run("train", "--data", face_folder, "--out", tmp_path, "--kimg", 0.04, *options)
    folder = tmp_path / "00000-faces"
    shown = result.stderr.replace("\n", " ")
    assert result.exit_code == 1 and "cannot write" in shown and words in shown
    assert re.search("go on with .?.?resume", shown) and "Traceback" not in shown
    states, damaged = loaded(tmp_path / next(tmp_path.glob("0*")).name)
    assert states[0]["images"] >= 16 and not damaged
    assert not list(folder.glob(".*neuralid-tmp"))
    lines: list[str] = []
    neuralid.train(out=tmp_path, resume="latest", should_stop=lambda: True, on_message=lines.append)
    assert f"resumed after {states[0]['images'] / 1000:g} kimg" in lines


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Writes are cut short at so many bytes, as they are on a disk that becomes full."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_cut_short_by_a_full_disk_never_gets_its_name(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"before")
    with no_file_larger_than(100_000):
        with pytest.raises(OutputError, match="too large"):
            write_atomically(path, b"x" * 1_000_000)
        with pytest.raises(OutputError, match="too large"):
            Run(tmp_path).log(Event("x" * 1_000_000))
    assert path.read_bytes() == b"before"
    assert not list(tmp_path.glob(".*"))
    Run(tmp_path).log(Event("after"))
    last = (tmp_path / "log.jsonl").read_text().splitlines()[-1]
    assert json.loads(last) == {"event": "after"}


def test_event_files_that_cannot_be_written_are_one_line_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(EventFiles, "_writer_at", full)
    log = Run(tmp_path)
    with pytest.raises(OutputError, match="No space left"), event_files(log):
        log.log(Tick(1.0, loss_d=1.0))


def test_a_file_is_whole_on_the_disk_before_it_gets_its_name_and_the_name_is_made_to_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def listen(handle: int) -> None:
        is_folder = os.path.samestat(os.fstat(handle), tmp_path.stat())
        done.append("folder" if is_folder else f"{os.fstat(handle).st_size} bytes")
        sync(handle)

    def rename(source: Path, target: Path) -> None:
        assert source.parent == tmp_path  # on the same disk
        done.append(f"now {target.name}")
        replace(source, target)

    monkeypatch.setattr("os.fsync", listen)
    monkeypatch.setattr("os.replace", rename)
    write_atomically(tmp_path / "file", b"whole")
    wanted = ["5 bytes", "now file", "folder"]
    assert done == (wanted[:2] if os.name == "nt" else wanted)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_file_gets_the_permissions_any_new_file_gets(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_folder_that_cannot_be_synced_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int) -> None:
        if os.path.samestat(os.fstat(handle), tmp_path.stat()):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("os.fsync", refuse)
    write_atomically(tmp_path / "file", b"x")
    assert (tmp_path / "file").read_bytes() == b"x"


def test_pictures_that_vanish_during_the_run_are_not_missed_until_it_is_resumed(
    face_folder: Path, tmp_path: Path
) -> None:
    data, away = tmp_path / "data", tmp_path / "away"
    data.mkdir()
    for path in face_folder.rglob("*.png"):
        (data / path.name).write_bytes(path.read_bytes())

    def vanish(step: Step) -> None:
        if data.exists():
            data.rename(away)

    result = train(data, tmp_path, kimg=0.032, on_step=vanish)
    assert result.images == 32 and result.finished
    fails(run("train", "--resume", result.run, "--kimg", 1), 1, "data does not exist", "hint:")
    away.rename(data)
    again = neuralid.train(out=tmp_path, resume="latest", kimg=1, should_stop=lambda: True)
    assert again.images == 32


def test_all_that_lies_in_the_folder_of_a_killed_run_can_be_read(
    face_folder: Path, tmp_path: Path
) -> None:
    def kill(step: Step) -> None:
        if step.images == 40:
            raise Killed

    with pytest.raises(Killed):
        train(face_folder, tmp_path, kimg=0.1, snapshot=0.016, on_step=kill)
    (folder,) = (path for path in tmp_path.iterdir() if path.name.startswith("0"))
    assert loaded(folder)[0][0]["images"] == 32
    for path in folder.glob("*.safetensors"):
        assert weights.load_weights(path).description.model.size == QUICK["size"]
    for path in folder.glob("*.png"):
        Image.open(path).load()


def test_publishing_removes_what_a_killed_run_left_in_the_cache(
    trained: weights.Weights,
) -> None:
    folder = weights_cache.weights_folder()
    folder.mkdir(parents=True)
    left = folder / ".t.safetensors.abc.neuralid-tmp"
    left.touch()
    weights_cache.publish(
        "t", lambda path: weights.save_weights(path, trained.generator, trained.description)
    )
    assert not left.exists() and weights_cache.is_published("t")


def test_when_all_checkpoints_are_damaged_the_hint_tells_what_is_left(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 10, {}).write_bytes(b"x")
    with pytest.raises(TrainingError, match="no checkpoint that can be read") as caught:
        loaded(tmp_path)
    assert "the weights in the folder can still be used" in str(caught.value.hint)
