"""Whatever a file, memory or stdout does is told in a line, and costs no other file."""

from __future__ import annotations

import importlib
import lzma
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import draw_face, fails, run
from PIL import Image
from test_cli import paths

import neuralid
from neuralid.core import memory
from neuralid.core.errors import OutputError
from neuralid.data.dataset import load_dataset
from neuralid.faces.config import CropConfig

NEAREST = ("--method", "nearest", "-s", 2)


def opencv_error(words: str, code: int = -4) -> cv2.error:
    error = cv2.error(words)
    error.code = code
    return error


# What decoders raise, and how memory runs out: in Python, NumPy, OpenCV, torch, the system.
ODD: list[Exception] = [
    NotImplementedError("Unimplemented pixel format 0"),
    lzma.LZMAError("Corrupt input data"),
    zipfile.BadZipFile("Bad CRC-32"),
    RuntimeError("File is encrypted"),
    KeyError("tag"),
    TypeError("an integer is required"),
    AttributeError("no attribute"),
    RecursionError("maximum recursion depth exceeded"),
    OverflowError("too large"),
    opencv_error("(-215:Assertion failed)", -215),
    PermissionError(13, "Permission denied", "bad.png"),
]
NO_MEMORY: list[Exception] = [
    MemoryError(),
    np._core._exceptions._ArrayMemoryError((10**6, 10**6), np.dtype("f4")),  # type: ignore[attr-defined]
    opencv_error("OpenCV(4.14.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
    OSError(12, "Cannot allocate memory"),
]


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Three pictures, the second called bad.png and of another width."""
    pictures = [tmp_path / name for name in ("a.png", "bad.png", "c.png")]
    for path, width in zip(pictures, (8, 9, 8), strict=True):
        Image.new("RGB", (width, 8), "red").save(path)
    return pictures


def refuse_bad(monkeypatch: pytest.MonkeyPatch, place: str, error: Exception) -> None:
    """Have the function at a place raise the error for what is 9 pixels wide, or bad.png."""
    module, _, name = place.rpartition(".")
    real: Callable[..., Any] = getattr(importlib.import_module(module), name)

    def sometimes(first: Any, *more: Any, **named: Any) -> Any:
        is_bad = first.shape[1] == 9 if isinstance(first, np.ndarray) else bad in first.read()
        if not isinstance(first, np.ndarray):
            first.seek(0)
        if is_bad:
            raise error
        return real(first, *more, **named)

    bad = Path("bad.png").read_bytes() if Path("bad.png").exists() else b"\0"
    monkeypatch.setattr(place, sometimes)


@pytest.mark.parametrize("error", ODD + NO_MEMORY, ids=lambda error: type(error).__name__)
def test_whatever_a_decoder_raises_is_one_files_failure(
    error: Exception, three: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(three[0].parent)
    refuse_bad(monkeypatch, "PIL.Image.open", error)
    result = run("upscale", *three, *NEAREST)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert [path.name for path in paths(result.stdout)] == ["a_x2.png", "c_x2.png"]
    told = result.stderr.splitlines()
    assert len(told) == 3 and "bad.png" in told[0] and told[1].startswith("hint:")
    assert told[2] == "1 of 3 failed"
    assert ("not enough memory" in told[0]) == (error in NO_MEMORY)


@pytest.mark.parametrize("error", NO_MEMORY, ids=lambda error: type(error).__name__)
def test_memory_that_runs_out_at_one_picture_is_its_failure(
    error: Exception, three: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_bad(monkeypatch, "neuralid.upscaling.enlarge.upscale_array", error)
    result = run("upscale", *three, *NEAREST)
    assert result.exit_code == 1
    assert [path.name for path in paths(result.stdout)] == ["a_x2.png", "c_x2.png"]
    assert "not enough memory for" in result.stderr and "bad.png enlarged 2 times" in result.stderr
    assert "it takes about" in result.stderr
    with pytest.raises(neuralid.ImageError):
        neuralid.upscale(three[1], method="nearest", scale=2)


def test_a_bug_at_one_picture_waits_until_the_others_are_done(
    three: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_bad(monkeypatch, "neuralid.upscaling.enlarge.upscale_array", ZeroDivisionError("a bug"))
    result = run("upscale", *three, *NEAREST)
    assert [path.name for path in paths(result.stdout)] == ["a_x2.png", "c_x2.png"]
    assert isinstance(result.exception, ZeroDivisionError)
    failed: list[str] = []
    found = neuralid.upscale(
        three, method="nearest", scale=2, on_failure=lambda name, _: failed.append(name)
    )
    assert len(found) == 2 and failed == [str(three[1])]


def test_what_does_not_fit_is_refused_with_what_it_would_need(
    three: list[Path], tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuralid.core.memory.free_memory", lambda: 2_000)
    big = run("upscale", three[0], *NEAREST)
    fails(big, 1, "a.png enlarged 2 times would take about", "0 MB is free", "smaller")
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save("film.gif", save_all=True, append_images=frames[1:])
    fails(run("upscale", "film.gif", *NEAREST), 1, "film.gif enlarged", "would take about")
    model = ("--weights", tiny)
    fails(run("sample", "-n", 4, "-o", "x.png", *model), 2, "4 faces", "would take", "free")
    latents = neuralid.open(tiny).latent_shape
    monkeypatch.setattr("neuralid.core.memory.free_memory", lambda: None)  # not known
    assert latents and run("sample", "-n", 2, "--outdir", "two", *model).exit_code == 0
    monkeypatch.setattr("neuralid.core.memory.free_memory", lambda: 10**9)
    faces = [Path("two") / name for name in os.listdir("two")]
    film = ("mix", *faces, "--frames", 1000, "--scale", 64, "-o", "x.gif", *model)
    fails(run(*film), 2, "1000 faces of 1792 pixels", "GB of memory", "1.0 GB is free")


def test_free_memory_is_the_least_of_all_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    if not Path("/proc/self/statm").exists():
        pytest.skip("reads /proc")
    assert (memory.free_memory() or 0) > 10**6
    group = {"max": "1000000", "current": "900000", "stat": "anon 5\ninactive_file 7\n"}
    for name, text in group.items():
        (tmp_path / f"memory.{name}").write_text(text)
    monkeypatch.setattr(memory, "_CONTROL", tmp_path)
    assert memory.free_memory() == 100_007
    (tmp_path / "memory.max").write_text("max\n")
    assert (memory.free_memory() or 0) > 10**6
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (taken + 10**7, -1))
    assert 0 <= (memory.free_memory() or 0) <= 10**7


@pytest.mark.parametrize("content", [None, "", "MemAvailable: no kB\nSwapFree: 0 kB\n", "1::\n"])
def test_where_nothing_tells_the_free_memory_none_is_asked_for(
    content: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not Linux, or a machine that shows its processes nothing."""
    resource = pytest.importorskip("resource")

    def read(path: Path) -> str:
        if content is None:
            raise PermissionError(path)
        return content

    monkeypatch.setattr(memory, "_read", read)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10**9, -1))
    assert memory.free_memory() is None
    memory.check_memory(1e18, "all the world's faces", "take fewer")


def test_memory_that_runs_out_elsewhere_is_a_line_too(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    monkeypatch.setattr("neuralid.api._model.draw_faces", short)
    fails(run("sample", "-n", 1, "-o", "x.png", "--weights", tiny), 1, "not enough memory")


def test_packages_that_do_not_fit_together_are_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ImportError("numpy.core.multiarray\nfailed to import", name="numpy.core")

    monkeypatch.setattr("neuralid.api._upscale.enlarger", refuse)
    words = "cannot be imported: numpy.core.multiarray failed to import"
    fails(run("upscale", "a.png"), 1, words, "--force-reinstall")


def run_apart(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, whose stderr is the process's."""
    return subprocess.run(
        [sys.executable, "-m", "neuralid", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_what_packages_print_when_they_do_not_fit_stays_off_stderr(tmp_path: Path) -> None:
    """As NumPy does for an OpenCV that is older than it: text of its own, then the error."""
    (tmp_path / "cv2.py").write_text(
        "import os, sys\n"
        "sys.stderr.write('A module that was compiled using NumPy 1.x cannot be run\\n')\n"
        "os.write(2, b'and a line of C\\n')\n"
        "raise ImportError('numpy.core.multiarray failed to import')\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    ended = run_apart("upscale", "a.png", PYTHONPATH=path)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [
        "error: a package cannot be imported: numpy.core.multiarray failed to import",
        "hint: `pip install --force-reinstall neuralid` gets packages that fit together",
    ]
    shown = run_apart("--traceback", "upscale", "a.png", PYTHONPATH=path).stderr
    assert "compiled using NumPy 1.x" in shown and "Traceback" in shown


def test_warnings_stay_off_stderr_whatever_python_was_told(tmp_path: Path) -> None:
    """Pillow warns of a format that it will give up; the picture is written."""
    Image.new("RGB", (8, 8)).save("in.png")
    ended = run_apart(*("upscale", "in.png", "-o", "out.im", *NEAREST), PYTHONWARNINGS="default")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "out.im\n", "")


def test_a_bug_keeps_its_traceback_though_libraries_are_silent(tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text("raise AssertionError('a bug')\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    ended = run_apart("upscale", "a.png", PYTHONPATH=path)
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr and "AssertionError: a bug" in ended.stderr


def zipped(path: Path, damage: Callable[[zipfile.ZipFile, bytearray], None], kind: int) -> Path:
    """A zip of 65 pictures, of which the first is damaged."""
    with zipfile.ZipFile(path, "w", kind) as archive:
        for index in range(65):
            place = path.with_name("face.png")
            draw_face(np.random.default_rng(index), 32, 32).save(place)
            archive.write(place, f"{index:02}.png")
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        damage(archive, content)
    path.write_bytes(content)
    return path


def garble(archive: zipfile.ZipFile, content: bytearray) -> None:
    start = archive.infolist()[0].header_offset + 30 + len("00.png")
    content[start + 9 : start + 60] = b"\xff" * 51


def retype(archive: zipfile.ZipFile, content: bytearray) -> None:
    content[content.index(b"PK\x01\x02") + 10] = 99  # an unknown way of packing


def lock(archive: zipfile.ZipFile, content: bytearray) -> None:
    content[content.index(b"PK\x01\x02") + 8] |= 1  # encrypted


def unname(archive: zipfile.ZipFile, content: bytearray) -> None:
    content[archive.infolist()[0].header_offset] = 0  # its own header is none


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (garble, zipfile.ZIP_STORED),
        (garble, zipfile.ZIP_DEFLATED),
        (garble, zipfile.ZIP_BZIP2),
        (garble, zipfile.ZIP_LZMA),
        (retype, zipfile.ZIP_DEFLATED),
        (lock, zipfile.ZIP_DEFLATED),
        (unname, zipfile.ZIP_DEFLATED),
    ],
)
def test_one_damaged_member_of_a_zip_costs_no_other(
    damage: Callable[[zipfile.ZipFile, bytearray], None],
    kind: int,
    tmp_path: Path,
    cache_folder: Path,
) -> None:
    found = load_dataset(zipped(tmp_path / "a.zip", damage, kind), 28, CropConfig(), cache_folder)
    assert len(found.names) == 64 and list(found.skipped) == ["00.png"]
    assert found.explain_skipped() == ["1 cannot be read: 00.png"]


def test_paths_are_printed_as_results_are_written(
    three: list[Path], tiny: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle: what was written was printed."""

    def stop(*_: object, **__: object) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        refuse_bad(patch, "neuralid.upscaling.enlarge.upscale_array", KeyboardInterrupt())  # type: ignore[arg-type]
        result = run("upscale", *three, *NEAREST)
        assert result.exit_code == 130 and [p.name for p in paths(result.stdout)] == ["a_x2.png"]
    patched: list[int] = []
    real = neuralid.Studio.sample

    def twice(self: Any, *more: Any, **options: Any) -> Any:
        patched.append(1)
        return real(self, *more, **options) if len(patched) < 3 else stop()

    monkeypatch.setattr("neuralid.cli._sample.FEW", 1)
    with monkeypatch.context() as patch:
        patch.setattr(neuralid.Studio, "sample", twice)
        result = run("sample", "--seeds", "0-9", "--outdir", "drawn", "--weights", tiny)
    assert result.exit_code == 130
    written = sorted(Path("drawn").iterdir())  # the second may not have been begun yet
    assert paths(result.stdout) == written and written[0] == Path("drawn/seed0000.png")

    saved = neuralid.Inverted.save

    def only_latents(self: Any, path: Path) -> Path:
        return saved(self, path) if path.suffix == ".safetensors" else stop()

    with monkeypatch.context() as patch:
        patch.setattr(neuralid.Inverted, "save", only_latents)
        result = run("invert", photo, "--fidelity", "fast", "--weights", tiny)
    assert result.exit_code == 130 and paths(result.stdout) == [Path("photo.latent.safetensors")]


def test_photos_are_written_before_the_next_batch_is_searched(
    tiny: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    from neuralid.api import _invert

    real = _invert._invert_batch

    def counted(*arguments: Any) -> Any:
        batches.append(len(list(Path().glob("out/*.png"))))
        return real(*arguments)

    monkeypatch.setattr(_invert, "_invert_batch", counted)
    monkeypatch.setattr(_invert, "_split", lambda model, framed: [[item] for item in framed])
    other = photo.with_name("other.png")
    other.write_bytes(photo.read_bytes())
    options = ("--outdir", "out", "--steps", 1, "--weights", tiny)
    result = run("invert", photo, other, *options)
    assert result.exit_code == 0, result.output
    assert batches == [0, 1]
    assert [path.name for path in paths(result.stdout)] == [
        "photo.latent.safetensors",
        "photo.inverted.png",
        "other.latent.safetensors",
        "other.inverted.png",
    ]


def test_a_result_that_cannot_be_written_is_that_photos_failure(
    tiny: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, drawn = neuralid.Inverted.save, neuralid.Face.save

    def refuse(real: Callable[[Any, Path], Path], bad: str) -> Callable[[Any, Path], Path]:
        def save(self: Any, path: Path) -> Path:
            if bad in path.name:
                raise OutputError(f"cannot write {path}: No space left on device")
            return real(self, path)

        return save

    monkeypatch.setattr(neuralid.Inverted, "save", refuse(saved, "photo"))
    monkeypatch.setattr(neuralid.Face, "save", refuse(drawn, "0001"))
    other = photo.with_name("other.png")
    other.write_bytes(photo.read_bytes())
    result = run("invert", photo, other, "--outdir", "out", "--steps", 1, "--weights", tiny)
    assert result.exit_code == 1 and "1 of 2 failed" in result.stderr
    assert [path.name for path in paths(result.stdout)] == [
        "other.latent.safetensors",
        "other.inverted.png",
    ]
    result = run("sample", "--seeds", "0-2", "--outdir", "out", "--weights", tiny)
    assert result.exit_code == 1 and "1 of 3 failed" in result.stderr
    assert [path.name for path in paths(result.stdout)] == ["seed0000.png", "seed0002.png"]


def test_an_unreadable_file_among_several_is_that_files_failure(
    three: list[Path], tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Typer would ask `os.access` and refuse all; root may read everything."""
    opened = Path.open

    def refused(self: Path, *how: Any, **more: Any) -> Any:
        if self.name == "bad.png":
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *how, **more)

    monkeypatch.setattr(Path, "open", refused)
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    result = run("upscale", *three, *NEAREST)
    assert result.exit_code == 1
    assert [path.name for path in paths(result.stdout)] == ["a_x2.png", "c_x2.png"]
    assert "bad.png cannot be read: Permission denied" in result.stderr
    assert "check who may read it" in result.stderr
    for command in (("invert",), ("mix", three[1])):
        fails(run(*command, three[1], "--weights", tiny), 1, "bad.png cannot be read: Permission")
    out = run("upscale", three[0], *NEAREST, "-o", three[2], "--overwrite")
    assert out.exit_code == 0, out.output
    fails(run("train", "--data", three[0], "-N"), 1, "neither a folder nor a zip")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_a_name_of_any_bytes_is_printed_byte_for_byte(three: list[Path]) -> None:
    names = [b"h\xf6he.png", b"\x1b[31mred.png", b":100:.png"]
    for name in names:
        Path(os.fsdecode(name)).write_bytes(three[0].read_bytes())
    result = run("upscale", *map(os.fsdecode, names), *NEAREST)
    assert result.exit_code == 0, result.output
    wanted = [b"h\xf6he_x2.png", b"\x1b[31mred_x2.png", b":100:_x2.png"]
    assert result.stdout_bytes.splitlines() == wanted
    fails(run("upscale", ":101:.png"), 1, ":101:.png does not exist")  # not an emoji


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_stdout_that_takes_nothing_is_one_line_and_libraries_are_silent(
    three: list[Path], tmp_path: Path
) -> None:
    noisy = tmp_path / "noisy.tif"  # libtiff and Pillow have much to say about its unknown tags
    tags = Image.Exif()
    tags[65000] = "x"
    Image.new("RGB", (8, 8)).save(noisy, exif=tags)
    content = bytearray(noisy.read_bytes())
    content[-4:] = b"\xff\xff\xff\xff"
    noisy.write_bytes(content)
    environment = {**os.environ, "COLUMNS": "0"}  # as some programs set it
    for arguments, count in ((["--version"], 0), (["upscale", noisy, *three, *NEAREST], 4)):
        with open("/dev/full", "w") as full:
            ended = subprocess.run(
                [sys.executable, "-m", "neuralid", *map(str, arguments)],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
        assert ended.returncode == 1, ended.stderr
        assert ended.stderr.splitlines() == [
            "error: cannot print to stdout: No space left on device",
            "hint: files that were written are there",
        ]
        assert len(list(Path().glob("*_x2.*"))) == count  # the work was done


def test_a_reader_that_leaves_stops_nothing(
    three: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``neuralid upscale ... | head -1``: the first path is read, then the pipe breaks."""
    real, sent = os.fsencode, []

    def fsencode(text: Any) -> bytes:
        sent.append(text)
        if len(sent) > 1:
            raise BrokenPipeError(32, "Broken pipe")
        return real(text)

    monkeypatch.setattr("neuralid.streams.os.fsencode", fsencode)
    result = run("upscale", *three, *NEAREST)
    assert result.exit_code == 1 and result.stderr == ""
    assert len(list(Path().glob("*_x2.png"))) == 3
