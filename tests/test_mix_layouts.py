"""What `mix` draws besides one face: strips, matrices, films, faces put back, attributes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from conftest import fails, run
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence
from torch import Tensor

import neuralid
from neuralid import weights
from neuralid.core.errors import ConfigError
from neuralid.faces.config import CropConfig
from neuralid.faces.crop import crop_face
from neuralid.faces.paste import put_back
from neuralid.latents import latent
from neuralid.latents.attributes import Direction
from neuralid.latents.mixing import along, loop
from neuralid.models.config import ModelConfig
from neuralid.pictures.images import LATENT_KEY, RECIPE_KEY, load_rgb
from neuralid.pictures.photo import Photo

SIDE = 28


@pytest.fixture
def drawn(tiny: Path) -> list[Path]:
    """Three generated faces, which carry their latents."""
    return [
        face.save(f"seed{face.seed}.png") for face in neuralid.sample(seeds=range(3), model=tiny)
    ]


@pytest.fixture
def with_direction(tiny: Path, tmp_path: Path) -> Path:
    """The tiny weights, with two made-up directions."""
    loaded = weights.load_weights(tiny)
    found = {
        name: Direction(torch.eye(16)[i] * 2, 20.0, 0.9, {"age": 1.0, "gender": 0.1})
        for i, name in enumerate(("age", "gender"))
    }
    path = tmp_path / "directed.safetensors"
    parts = (loaded.generator, loaded.description, loaded.metric, loaded.encoder)
    weights.save_weights(path, *parts, found)
    return path


@pytest.fixture(scope="module")
def studio(tiny: Path) -> neuralid.Studio:
    return neuralid.open(tiny, device="cpu")


def latents(people: int) -> Tensor:
    return torch.randn(people, 16, generator=torch.Generator().manual_seed(3)) / 2


def same(studio: neuralid.Studio, found: np.ndarray, shares: list[list[float]]) -> bool:
    """Whether faces ``(N, S, S, 3)`` are those of the people mixed in these shares, by hand."""
    wanted = studio.draw(torch.tensor(shares) @ latents(len(shares[0])))
    return bool(np.abs(found.astype(int) - wanted).max() <= 1)


@pytest.mark.parametrize("people", [2, 3])
def test_every_cell_of_a_strip_is_the_mix_at_its_place(
    studio: neuralid.Studio, people: int
) -> None:
    result = studio.mix(latents(people), strip=5, scale=1, blend="mean")
    cells = np.stack(np.split(result.image, 5, axis=1))
    two = [[1.0, 0.0], [0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [0.0, 1.0]]
    three = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]]
    assert same(studio, cells, two if people == 2 else three)


@pytest.mark.parametrize("people", [2, 3])
def test_every_frame_of_a_film_is_the_mix_at_its_time(studio: neuralid.Studio, people: int) -> None:
    film = studio.mix(latents(people), frames=3 * people, scale=1, blend="mean").frames
    wanted = np.zeros((3 * people, people))
    for person in range(people):  # a cosine: a quarter of the way after a third of the time
        for step, share in enumerate((0, 0.25, 0.75)):
            wanted[3 * person + step, [person, (person + 1) % people]] = 1 - share, share
    assert film is not None and same(studio, film, wanted.astype(np.float32).tolist())


@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize("rows", [1, 2])
def test_every_child_of_a_matrix_is_the_mix_of_its_two_parents(
    studio: neuralid.Studio, rows: int, columns: int
) -> None:
    people = rows + columns
    options: dict[str, Any] = {"matrix": rows, "weights": 0.3, "scale": 1, "blend": "mean"}
    sheet = studio.mix(latents(people), **options).image
    assert sheet.shape == ((1 + rows) * SIDE, (1 + columns) * SIDE, 3)
    cells = sheet.reshape(1 + rows, SIDE, 1 + columns, SIDE, 3).swapaxes(1, 2)
    assert (cells[0, 0] == 255).all()
    one = np.eye(people, dtype=np.float32)
    assert same(studio, cells[0, 1:], one[rows:].tolist())
    assert same(studio, cells[1:, 0], one[:rows].tolist())
    children = 0.7 * one[:rows, None] + 0.3 * one[None, rows:]
    assert same(
        studio, cells[1:, 1:].reshape(-1, SIDE, SIDE, 3), children.reshape(-1, people).tolist()
    )


def test_a_matrix_crosses_two_groups(tiny: Path, drawn: list[Path]) -> None:
    options = ("--matrix", 1, "--scale", 1, "--weights", tiny, "-o", "m.png", "--weight", 0.3)
    assert run("mix", *drawn, *options).exit_code == 0
    sheet = load_rgb(Path("m.png"))
    assert sheet.shape == (2 * SIDE, 3 * SIDE, 3)
    assert (sheet[:SIDE, :SIDE] == 255).all()
    assert np.array_equal(sheet[SIDE:, :SIDE], load_rgb(drawn[0]))
    assert np.array_equal(sheet[:SIDE, SIDE : 2 * SIDE], load_rgb(drawn[1]))
    child = neuralid.mix([drawn[0], drawn[2]], weights=0.3, scale=1, model=tiny).image
    assert np.abs(sheet[SIDE:, 2 * SIDE :].astype(int) - child).max() <= 1
    fails(run("mix", drawn[0], "m.png", "--weights", tiny), 2, "is a matrix")


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".mp4"])
def test_a_film_goes_there_and_back(tiny: Path, drawn: list[Path], suffix: str) -> None:
    path = Path(f"film{suffix}")
    result = neuralid.mix(drawn[:2], frames=8, scale=2, model=tiny)
    result.save(path)
    assert result.frames is not None and result.frames.shape == (8, 2 * SIDE, 2 * SIDE, 3)
    assert np.array_equal(result.frames[1], result.frames[7])
    seen = decoded(path)
    assert [time for time, _ in seen] == pytest.approx([i / 20 for i in range(8)], abs=1e-3)
    for (_, picture), frame in zip(seen, result.frames, strict=True):
        assert np.abs(picture.astype(int) - frame).mean() < 12


def decoded(path: Path) -> list[tuple[float, np.ndarray]]:
    """When each frame is shown, seconds, and its colours: by FFmpeg, or by Pillow."""
    if path.suffix == ".mp4":
        with av.open(path) as film:
            return [(float(f.time), f.to_ndarray(format="rgb24")) for f in film.decode(video=0)]
    seen, now = [], 0.0
    with Image.open(path) as picture:
        assert picture.info["loop"] == 0  # for ever
        for frame in ImageSequence.Iterator(picture):
            seen.append((now, np.asarray(frame.convert("RGB"))))
            now += frame.info["duration"] / 1000
    return seen


def test_what_is_no_photo_to_keep_is_refused_before_anything_is_inverted(
    tiny: Path, drawn: list[Path], photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuralid.api._people.invert_framed", None)
    words = ("--keep", drawn[0], "--no-align", "--weights", tiny)
    fails(run("mix", photo, drawn[0], *words), 2, "is not a photo to put a face into")


def test_a_film_without_a_name_is_a_gif(tiny: Path, drawn: list[Path]) -> None:
    result = run("mix", *drawn, "--frames", 3, "--weights", tiny)
    assert result.exit_code == 0 and result.stdout.strip() == "mix.gif"


def test_layouts_that_make_no_sense_are_refused(tiny: Path, drawn: list[Path]) -> None:
    a, b = drawn[:2]
    refused = [
        (("--frames", 4, "-o", "x.png"), "x.png: this format does not support films"),
        (("--frames", 1), "frames must be from 2"),
        (("--strip", 3, "--frames", 4), "--strip and --frames exclude each other"),
        (("--matrix", 2), "does not split 2 people into two groups"),
        (("--strip", 3, "--weight", 0.3), "--weight has no effect with --strip or --frames"),
        (("--fidelity", "high", "--save-weights", "w.safetensors"), "no photo to tune"),
        (("--matrix", 0), "does not split 2 people into two groups"),
        (("--keep", "other.png"), "other.png is not an input"),
        (("--keep", a), "is not a photo to put a face into"),
        (("--attribute", "age"), "write it as age=+1.5"),
        (("--attribute", "age=1"), "these weights have no attribute 'age'"),
        (("--blend", "sum"), "rescaled"),
    ]
    for options, words in refused:
        fails(run("mix", a, b, *options, "--weights", tiny), 2, words)
    for way in ("--strip", "--frames"):
        fails(run("mix", a, way, 3, "--weights", tiny), 2, f"at least two inputs for {way}")
    fails(run("mix", a, b, "-w", "x%", "--weights", tiny), 2, "'x%' is not a share", "0.3 or 30%")


def test_shares_in_percent_and_one_face_drawn_again(tiny: Path) -> None:
    a, b = (face.save(f"{face.seed}.png") for face in neuralid.sample(seeds=[1, 2], model=tiny))
    for words, shares in (
        (["-w", "30%"], [0.7, 0.3]),
        (["-w", "20%", "-w", "60%"], [0.25, 0.75]),
    ):
        told = json.loads(run("mix", a, b, *words, "--json", "--weights", tiny).stdout)
        assert told["shares"] == shares
    assert run("mix", a, "--scale", 1, "-o", "again.png", "--weights", tiny).exit_code == 0
    assert np.array_equal(load_rgb(Path("again.png")), load_rgb(a))


def test_sample_draws_latents_again_alone_and_in_a_grid(tiny: Path, photo: Path) -> None:
    run("invert", photo, "--steps", 2, "--no-align", "-o", "me.png", "--weights", tiny)
    files = ("--latent", "me.latent.safetensors", "--latent", "me.png")
    words = ("--json", "--scale", 1, "--weights", tiny)
    grid = json.loads(run("sample", *files, *words).stdout)
    assert grid["latents"] == ["me.latent.safetensors", "me.png"] and grid["trunc"] == 1
    both = load_rgb(Path(grid["files"][0]))
    assert np.array_equal(both[:, :28], both[:, 28:56])
    each = run("sample", *files[:2], "--outdir", "drawn", *words)
    assert json.loads(each.stdout)["files"] == ["drawn/me.png"]
    assert np.array_equal(load_rgb(Path("drawn/me.png")), both[:, :28])
    fails(run("sample", *files, "-n", 2), 2, "exclude each other")
    fails(run("sample", "--latent", photo, "--weights", tiny), 2, "is a photo, and has no latent")


@pytest.mark.parametrize("amount", ["nan", "inf", "-101"])
def test_an_attribute_is_moved_by_a_number_that_makes_sense(
    with_direction: Path, drawn: list[Path], amount: str
) -> None:
    words = ("--attribute", f"age={amount}", "--weights", with_direction)
    fails(run("mix", *drawn[:2], *words), 2, "the attribute age must be from -100 to 100")


def test_attributes_move_the_mix(with_direction: Path) -> None:
    a = neuralid.sample(seeds=4, model=with_direction).save("a.png")
    moved = neuralid.mix(a, attributes={"age": 1.5}, model=with_direction)
    expected = latent.draw_noise([4], ModelConfig(latent_size=16))[0] + 3 * torch.eye(16)[0]
    torch.testing.assert_close(moved.latent, expected)
    options = ("--attribute", "age=+1.5", "--attribute", "gender=-1", "--weights", with_direction)
    assert run("mix", a, *options, "-o", "both.png").exit_code == 0
    recipe = json.loads(Photo.read("both.png").text.get(RECIPE_KEY) or "")
    assert recipe["mix"]["attributes"] == {"age": 1.5, "gender": -1.0}
    with pytest.raises(ConfigError, match="no attribute 'height'") as caught:
        neuralid.mix([a], attributes={"height": 1}, model=with_direction)
    assert caught.value.hint == "there are age, gender"


def test_a_photo_too_large_to_keep_is_refused_before_the_inversion(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (1500, 1200), "grey").save("large.png")
    other = neuralid.sample(seeds=[1], model=tiny).save("other.png")
    monkeypatch.setattr("neuralid.api._people.invert_framed", None)  # is not called
    monkeypatch.setattr("neuralid.core.memory.free_memory", lambda: 10**8)
    framed = ("--no-align", "--face-size", 1000, "--weights", tiny)
    result = run("mix", "large.png", other, "--keep", "large.png", *framed, "-o", "kept.png")
    said = "large.png with another face in it would take about 224 MB of memory"
    fails(result, 1, said, "100 MB is free", "hint: keep a smaller photo")


def test_a_face_is_put_back_into_its_photo(tiny: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    photo = tmp_path / "photo.png"
    scene = Image.fromarray(rng.integers(60, 200, (9, 12, 3), dtype=np.uint8))
    scene.resize((240, 180), Image.Resampling.BICUBIC).save(photo)
    other = neuralid.sample(seeds=[1], model=tiny).save("other.png")
    options = ("--keep", photo, "--no-align", "--weights", tiny, "-o", "kept.png")
    assert run("mix", photo, other, *options).exit_code == 0
    before, after = load_rgb(photo).astype(int), load_rgb(Path("kept.png")).astype(int)
    assert after.shape == before.shape
    assert (after[:, :25] == before[:, :25]).all() and (after[:, -25:] == before[:, -25:]).all()
    assert np.abs(after - before)[40:140, 80:160].mean() > 2
    assert Photo.read("kept.png").text.get(LATENT_KEY) is None


@pytest.mark.parametrize(
    "crop", [CropConfig(80, 10, -20, 25.0), CropConfig(120, -60, 80, -10.0), CropConfig(90)]
)
def test_the_same_face_put_back_changes_next_to_nothing(crop: CropConfig) -> None:
    rng = np.random.default_rng(3)
    scene = Image.fromarray(rng.integers(90, 170, (7, 9, 3), dtype=np.uint8))
    photo = np.asarray(scene.resize((260, 200), Image.Resampling.BICUBIC))
    assert crop.face_size is not None
    face = crop_face(photo, crop.face_size, crop, extend=True)
    error = np.abs(put_back(photo, face, crop).astype(int) - photo)
    assert error.max() <= 12 and error.mean() < 1


@pytest.mark.parametrize(
    "crop", [CropConfig(100, 20, -30), CropConfig(80, -25, 40), CropConfig(120)]
)
def test_what_is_put_back_is_an_oval_in_the_middle_of_the_square(crop: CropConfig) -> None:
    """From brows to chin, inside the cheeks, as wide as `paste` says in sides of the square."""
    photo, side = np.full((200, 260, 3), 120, np.uint8), crop.face_size or 0
    face = np.random.default_rng(0).integers(0, 256, (56, 56, 3), dtype=np.uint8)
    result = put_back(photo, face, crop)
    changed = (result != photo).any(2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    middle = (rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2
    wanted = 100 + crop.delta_i + 0.03 * side, 130 + crop.delta_j
    assert middle == pytest.approx(wanted, abs=2.5)
    size = len(rows), len(columns)
    assert size == pytest.approx((0.82 * side, 0.68 * side), abs=5)
    # Round the oval the photo's light may change, but there is nothing of the face.
    detail = np.abs(np.diff(result.astype(int), axis=1)).max(2)[rows[0] :, columns[0] :]
    tall, wide = size[0] // 9, size[1] // 9
    for top in (0, size[0] - tall):
        for left in (0, size[1] - wide):
            assert detail[top : top + tall, left : left + wide].max() <= 4
    assert (detail > 12).sum() > 0.8 * np.pi * 0.41 * 0.34 * side**2


def test_what_lies_beyond_the_photo_is_not_put_back() -> None:
    """A dark stripe of the face falls there; its shadow must not fall into the photo."""
    photo, crop = np.full((100, 120, 3), 120, np.uint8), CropConfig(80, 0, -60)
    face = np.full((80, 80, 3), 200, np.uint8)
    face[:, :30] = 0
    assert np.abs(put_back(photo, face, crop).astype(int) - photo).max() <= 1


@given(st.integers(0, 2**31), st.integers(2, 4), st.integers(2, 12))
def test_the_way_through_the_latents(seed: int, people: int, count: int) -> None:
    z = torch.randn(people, 8, generator=torch.Generator().manual_seed(seed))
    way = along(z, count)
    torch.testing.assert_close(way[0], z[0])
    torch.testing.assert_close(way[-1], z[-1])
    torch.testing.assert_close(along(z, people), z, rtol=1e-4, atol=1e-5)
    film = loop(z, people * count)
    torch.testing.assert_close(film[::count], z, rtol=1e-4, atol=1e-5)
    steps = (film - film.roll(1, 0)).norm(dim=1)
    largest = max(float((z - z.roll(1, 0)).norm(dim=1).max()), 1e-6)
    assert float(steps.max()) <= 1.01 * largest


@pytest.mark.parametrize(
    ("layout", "count"),
    [
        ({}, 1),
        ({"strip": 5}, 5),
        ({"matrix": 1}, 2),
        ({"frames": 4}, 4),
        ({"html": True}, 1 + 21),
        ({"html": True, "strip": 5}, 5 + 21),
    ],
)
def test_faces_are_counted_as_they_are_drawn(
    layout: dict[str, Any], count: int, studio: neuralid.Studio
) -> None:
    """A page of three has twenty steps between them, and no attributes here."""
    told: list[tuple[int, int]] = []
    people = list(studio.sample(3, seed=1).latents)
    studio.mix(people, **layout, on_face=lambda done, total: told.append((done, total)))
    assert told == [(done, count) for done in range(1, count + 1)]
