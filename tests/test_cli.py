"""The commands as a user meets them: paths on stdout, talk on stderr, one line for an error."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import draw_face, run
from PIL import Image

import neuralid
from neuralid import weights, weights_cache
from neuralid.latents.latent import load_latent
from neuralid.pictures.images import RECIPE_KEY, load_rgb, open_picture
from neuralid.pictures.photo import Photo

COMMANDS = ("train", "sample", "invert", "mix", "upscale")


def paths(stdout: str) -> list[Path]:
    return [Path(line) for line in stdout.splitlines()]


def test_help_comes_without_torch() -> None:
    code = "import sys, neuralid.cli as c\ntry: c.app(['--help'])\nexcept SystemExit: pass\n"
    code += "assert not {'torch', 'numpy', 'cv2', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_torch_is_imported_once_without_looking_for_garbage() -> None:
    code = """
import gc, neuralid.cli
from neuralid.cli._torch import import_torch
looked = []
gc.callbacks.append(lambda phase, info: looked.append(phase))
import_torch()
assert not looked and gc.isenabled() and gc.get_freeze_count() > 100_000
frozen = gc.get_freeze_count()
kept = [[] for _ in range(1000)]
import_torch()
assert gc.get_freeze_count() <= frozen
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, "10000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"),
        ({"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "7"}, "7"),
    ],
)
def test_threads_that_wait_leave_the_processor_to_others_unless_told(
    given: dict[str, str], wanted: str, tmp_path: Path
) -> None:
    (tmp_path / "torch.py").write_text("import os\nprint(os.environ.get('GOMP_SPINCOUNT'))")
    code = "from neuralid.cli._torch import import_torch as f; f(); f()"
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    env = {key: value for key, value in os.environ.items() if key not in names}
    env |= {"PYTHONPATH": str(tmp_path), **given}
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    assert told.stdout == f"{wanted}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_commands_help_fits_80_columns(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = run(command, "--help")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_without_a_command_the_help_is_shown() -> None:
    result = run()
    assert result.exit_code == 0
    assert result.stdout == run("--help").stdout and "mix" in result.stdout


def test_the_version_is_printed() -> None:
    assert run("--version").stdout.strip() == neuralid.__version__


def test_train_then_sample_by_name(face_folder: Path) -> None:
    trained = run(
        *("train", "--data", face_folder, "--size", 28, "--latent-size", 8),
        *("--kimg", 0.02, "--batch", 8, "--name", "mine", "--device", "cpu"),
    )
    assert trained.exit_code == 0, trained.stderr
    assert paths(trained.stdout) == [weights_cache.weights_folder() / "mine.safetensors"]
    assert "96 faces" in trained.stderr and "device: cpu" in trained.stderr
    assert re.search(r"^0.024/0.02 kimg  D \d.*s  fd_random \d", trained.stderr, re.MULTILINE)
    sampled = run("sample", "-n", 3, "--weights", "mine")
    assert sampled.exit_code == 0, sampled.stderr
    assert paths(sampled.stdout) == [Path("faces.png")]


def test_a_grid_gets_a_name_that_is_free_and_says_its_seed(tiny: Path) -> None:
    Path("faces.png").write_text("mine")
    result = run("sample", "-n", 5, "--weights", tiny)
    assert paths(result.stdout) == [Path("faces-1.png")]
    assert Path("faces.png").read_text() == "mine"
    assert "seed: " in result.stderr
    assert load_rgb(Path("faces-1.png")).shape == (224, 336, 3)  # as large as a mix


def test_the_same_seed_gives_the_same_bytes_at_any_batch_size(tiny: Path) -> None:
    run("sample", "--seeds", "0-20", "--outdir", "many", "--weights", tiny)
    run("sample", "--seeds", "13", "--outdir", "one", "--weights", tiny)
    run("sample", "-n", 1, "--seed", 13, "-o", "grid.png", "--weights", tiny)
    assert Path("many/seed0013.png").read_bytes() == Path("one/seed0013.png").read_bytes()
    assert np.array_equal(load_rgb(Path("grid.png")), load_rgb(Path("one/seed0013.png")))
    assert not np.array_equal(load_rgb(Path("many/seed0012.png")), load_rgb(Path("grid.png")))


def test_truncation_pulls_faces_together_and_scale_enlarges(tiny: Path) -> None:
    wide = neuralid.sample(8, seed=0, model=tiny).images.astype(float)
    narrow = neuralid.sample(8, seed=0, model=tiny, trunc=0.3).images.astype(float)
    assert narrow.std(0).mean() < 0.6 * wide.std(0).mean()
    assert neuralid.sample(2, seed=0, model=tiny, scale=2).images.shape == (2, 56, 56, 3)


def test_invert_writes_a_latent_and_a_picture_for_each_photo(tiny: Path, tmp_path: Path) -> None:
    run("sample", "--seeds", "1-3", "--outdir", "s", "--scale", 1, "--weights", tiny)
    photos = sorted(Path("s").glob("*.png"))
    result = run("invert", *photos, "--outdir", "out", "--weights", tiny)
    assert result.exit_code == 0, result.stderr
    assert len(paths(result.stdout)) == 6 and all(path.exists() for path in paths(result.stdout))
    stored = load_latent(Path("out/seed0002.latent.safetensors"))
    assert stored.weights_id == weights.load_weights(tiny).id
    assert stored.facts["psnr"] > 25
    assert stored.facts["crop"]["face_size"] == 28
    assert load_rgb(Path("out/seed0002.inverted.png")).shape == (112, 224, 3)


def test_the_figures_of_an_inversion_as_json(tiny: Path, photo: Path) -> None:
    result = run("invert", photo, "--json", "--steps", 5, "--no-align", "--weights", tiny)
    (line,) = result.stdout.splitlines()
    figures = json.loads(line)
    assert 5 < figures["psnr"] < 60 and -1 <= figures["ssim"] <= 1
    assert 1 <= figures["steps"] <= 5 and figures["latent_norm"] > 0 and figures["seconds"] > 0
    assert figures["crop"] == {"face_size": 100, "delta_i": 0, "delta_j": 0, "rotation": 0.0}
    assert all(Path(file).is_file() for file in figures["files"])


def test_photos_inverted_together_or_alone_come_out_the_same(tiny: Path) -> None:
    run("sample", "--seeds", "1-3", "--outdir", "s", "--scale", 1, "--weights", tiny)
    photos = sorted(Path("s").glob("*.png"))
    together = neuralid.invert(photos, model=tiny, steps=8)  # more would add up how they round
    alone = neuralid.invert(photos[:1], model=tiny, steps=8)
    assert alone[0].evaluations == together[0].evaluations
    torch.testing.assert_close(alone[0].latent, together[0].latent, rtol=0, atol=2e-3)
    assert alone[0].psnr == pytest.approx(together[0].psnr, abs=0.05)
    assert float((together[1].latent - together[0].latent).abs().max()) > 0.1


def test_invert_without_a_place_writes_here_and_overwrites_nothing(tiny: Path, photo: Path) -> None:
    for _ in range(2):
        assert run("invert", photo, "--steps", 2, "--weights", tiny).exit_code == 0
    kinds = (".inverted.png", ".latent.safetensors")
    names = {stem + kind for stem in ("photo", "photo-1") for kind in kinds}
    assert {path.name for path in Path().iterdir()} == names


def test_mix_takes_photos_latents_and_pictures_in_any_combination(tiny: Path, photo: Path) -> None:
    run("sample", "--seeds", "4,5", "--outdir", "s", "--scale", 1, "--weights", tiny)
    run("invert", photo, "--steps", 3, "-o", "me.png", "--weights", tiny)
    latent = Path("me.latent.safetensors")
    result = run("mix", photo, latent, "s/seed0004.png", "-o", "out.png", "--weights", tiny)
    assert result.exit_code == 0, result.stderr
    assert paths(result.stdout) == [Path("out.png")]
    assert load_rgb(Path("out.png")).shape == (112, 112, 3)
    recipe = json.loads(Photo.read("out.png").text.get(RECIPE_KEY) or "")["mix"]
    assert recipe["inputs"] == ["photo.png", "me.latent.safetensors", "seed0004.png"]
    assert recipe["shares"] == pytest.approx([1 / 3] * 3, abs=1e-5)


def test_a_mix_is_the_papers_average_of_the_latents(tiny: Path) -> None:
    drawn = neuralid.sample(seeds=[4, 5], model=tiny)
    files = [face.save(f"{face.seed}.png") for face in drawn]
    mixed = neuralid.mix(files, model=tiny, weights=0.3, blend="mean")
    mean = 0.7 * drawn.latents[0] + 0.3 * drawn.latents[1]
    torch.testing.assert_close(mixed.latent, mean)
    usual = neuralid.mix(files, model=tiny, weights=[0.3]).latent
    length = 0.7 * drawn.latents[0].norm() + 0.3 * drawn.latents[1].norm()
    torch.testing.assert_close(usual, mean * length / mean.norm())
    again = neuralid.mix(files, model=tiny, weights=[0.3], blend="slerp")
    again.save("m.png")
    assert not again.latent.allclose(mixed.latent)
    twice = neuralid.mix(["m.png", "m.png"], model=tiny)  # a mix carries its latent too
    torch.testing.assert_close(twice.latent, again.latent)


def test_a_strip_shows_a_the_mix_and_b(tiny: Path) -> None:
    run("sample", "--seeds", "4,5", "--outdir", "s", "--scale", 1, "--weights", tiny)
    files = ("s/seed0004.png", "s/seed0005.png")
    run("mix", *files, "-o", "strip.png", "--strip", 3, "--scale", 1, "--weights", tiny)
    run("mix", *files, "-o", "mix.png", "--scale", 1, "--weights", tiny)
    strip = load_rgb(Path("strip.png"))
    parts = [load_rgb(Path(p)) for p in (files[0], "mix.png", files[1])]
    assert np.array_equal(strip, np.hstack(parts))


def test_a_picture_drawn_with_other_weights_is_inverted_as_a_photo(
    tiny: Path, face_folder: Path
) -> None:
    run("sample", "--seeds", "4,5", "--outdir", "s", "--scale", 1, "--weights", tiny)
    neuralid.train(face_folder, size=28, latent_size=8, kimg=0.01, batch=8, name="other")
    result = run("mix", "s/seed0004.png", "s/seed0005.png", "--weights", "other")
    assert result.exit_code == 0
    assert "drawn with other weights" in result.stderr


@pytest.mark.parametrize("mode", ["L", "RGBA", "I;16", "RGB"])
def test_upscale_keeps_the_kind_of_picture(tmp_path: Path, mode: str) -> None:
    picture = draw_face(np.random.default_rng(0), 20, 30)
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    picture.save("in.png", icc_profile=b"a profile")
    result = run("upscale", "in.png", "--scale", 2.5)
    assert result.exit_code == 0, result.stderr
    assert paths(result.stdout) == [Path("in_x2.5.png")]
    large = open_picture(Path("in_x2.5.png"))
    assert (large.mode, large.size) == (mode, (50, 75))
    assert large.info["icc_profile"] == b"a profile"


def test_upscale_turns_a_photo_upright() -> None:
    picture = draw_face(np.random.default_rng(0), 20, 30)
    exif = picture.getexif()
    exif[0x0112] = 8
    picture.save("in.jpg", exif=exif)
    run("upscale", "in.jpg", "-o", "out.jpg", "-s", 2)
    large = open_picture(Path("out.jpg"))
    assert large.size == (60, 40)
    assert large.getexif().get(0x0112, 1) == 1


def test_upscale_does_several_and_counts_what_failed(photo: Path) -> None:
    Path("bad.png").write_text("junk")
    result = run("upscale", photo, "bad.png", photo, "--outdir", "big")
    assert result.exit_code == 1
    assert paths(result.stdout) == [Path("big/photo_x4.png"), Path("big/photo_x4-1.png")]
    assert "bad.png is not a picture" in result.stderr and "1 of 3 failed" in result.stderr


@pytest.mark.parametrize("under_torchrun", [False, True])
def test_the_module_ends_with_the_commands_exit_code(under_torchrun: bool) -> None:
    env = {**os.environ, **({"TORCHELASTIC_RUN_ID": "x"} if under_torchrun else {})}
    for words, code, said in ((["--version"], 0, neuralid.__version__), (["upscale"], 2, "")):
        command = [sys.executable, "-m", "neuralid", *words]
        ended = subprocess.run(command, env=env, capture_output=True, text=True)
        assert (ended.returncode, ended.stdout.strip()) == (code, said)
