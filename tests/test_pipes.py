"""``-``, pipes and folders: what the commands read and write where there is no plain file."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, draw_face, fails, run
from PIL import Image
from typer.testing import CliRunner, Result

import neuralid
from neuralid import streams
from neuralid.cli import app
from neuralid.pictures.animation import Film, write_film
from neuralid.pictures.images import LATENT_KEY, load_rgb
from neuralid.pictures.photo import Photo

CUBIC = ("--method", "cubic", "-s", 2)
FEW_STEPS = ("--steps", 3, "--no-align")


def piped(content: bytes, *words: object) -> Result:
    """Run the command line with something on stdin."""
    return CliRunner().invoke(app, [str(word) for word in words], input=content)


def picture(name: str, seed: int = 0, side: int = 20) -> Path:
    draw_face(np.random.default_rng(seed), side, side).save(name)
    return Path(name)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def feed(fifo: Path, content: bytes) -> threading.Thread:
    """Make a FIFO, and write to it once somebody reads."""
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(content), daemon=True)
    writer.start()
    return writer


# --- From stdin and to stdout -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "format_"),
    [(".jpg", "JPEG"), (".png", "PNG"), (".webp", "WEBP"), (".bmp", "BMP"), (".gif", "PNG")],
)
def test_upscale_from_stdin_to_stdout_keeps_the_format(suffix: str, format_: str) -> None:
    path = picture(f"a{suffix}")
    result = piped(path.read_bytes(), "upscale", "-", "-o", "-", *CUBIC)
    assert result.exit_code == 0, result.stderr
    assert (opened(result.stdout_bytes).format, opened(result.stdout_bytes).size) == (
        format_,
        (40, 40),
    )
    assert os.listdir() == [path.name]


def test_a_film_and_a_sheet_go_through_too() -> None:
    frames = [np.full((8, 8, 3), value, np.uint8) for value in (10, 200)]
    write_film(Path("film.gif"), Film(frames, [50, 50], 0))
    moving = piped(Path("film.gif").read_bytes(), "upscale", "-", "-o", "-", *CUBIC)
    assert getattr(opened(moving.stdout_bytes), "n_frames", 1) == 2
    sheet = piped(picture("a.jpg").read_bytes(), "upscale", "-", "-o", "-", "--compare")
    assert opened(sheet.stdout_bytes).format == "PNG"


def test_what_stdout_cannot_hold_is_told_by_that_name() -> None:
    frame = np.zeros((8, 8, 4), np.uint8)
    frame[:4] = (200, 100, 0, 255)
    write_film(Path("film.gif"), Film([frame, frame[::-1]], [50, 50], 0))
    result = piped(Path("film.gif").read_bytes(), "upscale", "-", "-o", "-", *CUBIC)
    assert result.exit_code == 0 and "half transparency" in result.stderr
    assert re.search(r"^stdout.gif: ", result.stderr, re.MULTILINE), result.stderr


def test_without_a_name_the_results_are_called_after_stdin(tiny: Path) -> None:
    content = picture("a.jpg", side=40).read_bytes()
    large = piped(content, "upscale", "-", *CUBIC)
    assert large.stdout.split() == ["stdin_x2.jpg"]
    found = piped(content, "invert", "-", *FEW_STEPS, "--weights", tiny)
    assert found.stdout.split() == ["stdin.latent.safetensors", "stdin.inverted.png"]
    assert "stdin: " in found.stderr


def test_sample_writes_its_grid_or_face_to_stdout(tiny: Path) -> None:
    grid = run("sample", "-n", 4, "--scale", 1, "-o", "-", "--weights", tiny)
    assert opened(grid.stdout_bytes).size == (56, 56)
    one = run("sample", "--seeds", 3, "-o", "-", "--weights", tiny)
    Path("one.png").write_bytes(one.stdout_bytes)
    assert LATENT_KEY in Photo.read("one.png").text
    assert os.listdir() == ["one.png"]


def test_mix_takes_photos_and_latents_from_stdin(tiny: Path, photo: Path) -> None:
    a, b = (f.save(f"{f.seed}.png") for f in neuralid.sample(seeds=[1, 2], model=tiny))
    wanted = run("mix", a, b, "-w", 0.3, "-o", "-", "--weights", tiny).stdout_bytes
    assert opened(wanted).size == (112, 112)
    stdin = piped(a.read_bytes(), "mix", "-", b, "-w", 0.3, "-o", "-", "--weights", tiny)
    assert np.array_equal(np.asarray(opened(stdin.stdout_bytes)), np.asarray(opened(wanted)))
    run("invert", photo, *FEW_STEPS, "-o", "me.png", "--weights", tiny)
    latent = Path("me.latent.safetensors")
    mixed = piped(latent.read_bytes(), "mix", "-", b, "--json", "--weights", tiny)
    assert json.loads(mixed.stdout)["inputs"] == ["stdin", "2.png"]
    plain = run("mix", latent, b, "-o", "plain.png", "--weights", tiny)
    assert plain.exit_code == 0
    assert np.array_equal(load_rgb(Path("mix.png")), load_rgb(Path("plain.png")))


def test_a_face_goes_back_into_the_photo_from_stdin(tiny: Path, photo: Path) -> None:
    words = ("mix", "-", "-", "--keep", "-", "-o", "-", "--no-align", "--fidelity", "fast")
    result = piped(photo.read_bytes(), *words, "--weights", tiny)
    assert result.exit_code == 0, result.stderr
    assert opened(result.stdout_bytes).size == (100, 120)


def test_a_film_of_a_mix_is_a_gif_on_stdout(tiny: Path) -> None:
    a, b = (f.save(f"{f.seed}.png") for f in neuralid.sample(seeds=[1, 2], model=tiny))
    film = run("mix", a, b, "--frames", 4, "--scale", 1, "-o", "-", "--weights", tiny)
    assert opened(film.stdout_bytes).format == "GIF"


def test_invert_to_stdout_gives_the_pair_which_carries_the_latent(tiny: Path, photo: Path) -> None:
    found = piped(photo.read_bytes(), "invert", "-", "-o", "-", *FEW_STEPS, "--weights", tiny)
    assert found.exit_code == 0, found.stderr
    Path("pair.png").write_bytes(found.stdout_bytes)
    assert LATENT_KEY in Photo.read("pair.png").text
    assert os.listdir() == ["pair.png"]


def test_faces_are_listed_from_stdin() -> None:
    ada = EXAMPLES / "ada.png"
    result = piped(ada.read_bytes(), "invert", "-", "--faces")
    assert result.stdout.startswith("stdin: face 1, eyes ")


def test_what_makes_no_sense_with_stdout() -> None:
    a = picture("a.png")
    fails(run("upscale", a, "-o", "-", "--json"), 2, "-o - and --json exclude each other")
    fails(run("upscale", a, a, "-o", "-"), 2, "-o names one file, but there are 2 results")
    fails(run("upscale", a, "--outdir", "-"), 2, "--outdir - is no folder", "-o - writes")
    fails(piped(b"", "upscale", "-", "-o", "-"), 1, "stdin is not a picture")
    fails(piped(b"junk", "invert", "-", "-o", "-"), 1, "stdin is not a picture")


def test_a_terminal_gets_no_bytes_and_gives_none(monkeypatch: pytest.MonkeyPatch) -> None:
    a = picture("a.png")
    monkeypatch.setattr(streams, "is_stdout_terminal", lambda: True)
    fails(run("upscale", a, "-o", "-"), 2, "on the terminal", "-o - > out.png")
    code = (
        "import sys, os; sys.stdin = os.fdopen(os.openpty()[1]);"
        "from neuralid.cli import app; app(['upscale', '-'])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 2 and "nothing is piped in" in ended.stderr


def test_a_picture_that_is_not_taken_is_an_error_but_a_reader_that_left_goes_unsaid() -> None:
    picture("a.png", side=300)
    neuralid_ = f"{shlex.quote(sys.executable)} -m neuralid"
    full = f"{neuralid_} upscale a.png -o - --method cubic > /dev/full"
    ended = subprocess.run(full, shell=True, capture_output=True, text=True)
    assert ended.returncode == 1 and "cannot print to stdout" in ended.stderr
    left = f"{{ {neuralid_} upscale a.png -o - --method cubic; echo $? >&2; }} | true"
    ended = subprocess.run(left, shell=True, capture_output=True, text=True)
    assert "Traceback" not in ended.stderr and "error" not in ended.stderr


# --- Pipes with names ---------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
def test_fifos_are_read_once_by_every_command(tiny: Path) -> None:
    content = picture("a.jpg", side=40).read_bytes()
    (drawn,) = neuralid.sample(seeds=1, model=tiny)
    drawn.save("drawn.png")
    commands: list[tuple[object, ...]] = [
        ("upscale", "pipe.jpg", "-o", "big.png", *CUBIC),
        ("upscale", "pipe", *CUBIC),
        ("invert", "pipe.jpg", *FEW_STEPS, "--weights", tiny),
        ("mix", "pipe.jpg", "drawn.png", "--no-align", "--fidelity", "fast", "--weights", tiny),
    ]
    for words in commands:
        writer = feed(Path(str(words[1])), content)
        result = run(*words)
        writer.join(5)
        Path(str(words[1])).unlink()
        assert result.exit_code == 0, (words, result.stderr)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
def test_a_fifo_named_twice_is_refused_but_in_mix(tiny: Path) -> None:
    content = picture("a.jpg", side=40).read_bytes()
    os.mkfifo("pipe")
    twice = ("pipe", "pipe")
    refusing: list[tuple[object, ...]] = [
        ("upscale", *twice, "--outdir", "o"),
        ("invert", *twice, "--weights", tiny),
        ("invert", *twice, "--faces", "--weights", tiny),
    ]
    for words in refusing:
        fails(run(*words), 2, "pipe is named twice, and a pipe can be read only once")
    Path("pipe").unlink()
    writer = feed(Path("pipe"), content)
    options = ("--no-align", "--fidelity", "fast", "--weights", tiny)
    assert run("mix", *twice, *options).exit_code == 0
    writer.join(5)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
def test_a_latent_comes_through_a_pipe(tiny: Path, photo: Path) -> None:
    run("invert", photo, *FEW_STEPS, "-o", "me.png", "--weights", tiny)
    content = Path("me.latent.safetensors").read_bytes()
    feed(Path("pipe.safetensors"), content).join(0)
    result = run("mix", "pipe.safetensors", "me.latent.safetensors", "--weights", tiny)
    assert result.exit_code == 0, result.stderr


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="there is no bash")
def test_the_shells_own_pipes_give_a_name_to_use() -> None:
    picture("a.jpg")
    line = f"{shlex.quote(sys.executable)} -m neuralid upscale <(cat a.jpg) --method cubic"
    ended = subprocess.run(["/bin/bash", "-c", line], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "pipe_x4.jpg\n"), ended.stderr


# --- Folders ------------------------------------------------------------------------------------


def folder(tiny: Path | None = None) -> Path:
    """Three pictures in a folder, beside what is none."""
    place = Path("shots")
    (place / "below").mkdir(parents=True)
    for index, name in enumerate(("b.png", "a.JPG", "below/c.png", ".hidden.png")):
        picture(str(place / name), seed=index, side=40)
    (place / "notes.txt").write_text("none")
    Image.new("RGB", (9, 9)).save(place / "d.tif")
    return place


def test_a_mix_says_how_many_a_folder_adds(tiny: Path) -> None:
    one = picture("a.jpg", side=40)
    words = ("--no-align", "--fidelity", "fast", "--weights", tiny)
    assert "mixing 4 pictures" in run("mix", one, folder(), *words).stderr
    assert "mixing" not in run("mix", one, one, *words).stderr


def test_a_folder_means_its_pictures() -> None:
    result = run("upscale", folder(), "--outdir", "big", *CUBIC)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.split() == ["big/a_x2.JPG", "big/b_x2.png", "big/d_x2.tif"]


def test_invert_and_mix_take_all_of_a_folder(tiny: Path) -> None:
    (folder() / "d.tif").unlink()
    found = run("invert", "shots", *FEW_STEPS, "--json", "--weights", tiny)
    photos = [json.loads(line)["photo"] for line in found.stdout.splitlines()]
    assert photos == ["shots/a.JPG", "shots/b.png"]
    words = ("--no-align", "--fidelity", "fast", "--json", "--weights", tiny)
    mixed = run("mix", "shots", "-w", 0.3, "--keep", "shots/b.png", *words)
    assert mixed.exit_code == 0, mixed.stderr
    assert json.loads(mixed.stdout)["inputs"] == photos
    assert json.loads(mixed.stdout)["shares"] == [0.7, 0.3]


def test_folders_that_do_not_do() -> None:
    Path("empty").mkdir()
    for command in ("upscale", "invert", "mix"):
        fails(run(command, "empty"), 1, "empty has no pictures", "looked for .jpg", "below")
    fails(run("upscale", folder(), "-o", "big.png"), 2, "there are 3 results")
