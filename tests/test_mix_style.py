"""`mix` with one person's style: pose and shape of the mix, colours and skin of that person."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import draw_face, fails, run
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import neuralid
from neuralid import weights
from neuralid.core.errors import ConfigError
from neuralid.faces.config import Frame
from neuralid.latents import latent
from neuralid.latents.attributes import Direction
from neuralid.latents.config import InvertConfig
from neuralid.latents.mixing import BLENDS, with_style
from neuralid.latents.whitening import Whitening
from neuralid.models.architecture import REGISTERED, architecture, with_layers
from neuralid.models.building import (
    build_discriminator,
    build_drawer,
    build_generator,
    build_perceptual,
)
from neuralid.models.config import ModelConfig
from neuralid.models.inverting import Effort
from neuralid.pictures.images import LATENT_KEY, RECIPE_KEY, load_rgb
from neuralid.pictures.photo import Photo

MODEL = ModelConfig(28, 16, architecture="style")
LAYERS = 6
SHAPE = 5  # of them
SIDE = 28


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that were never trained: their faces are blots, each of its own colours."""
    path = tmp_path_factory.mktemp("style") / "small.safetensors"
    rng = torch.Generator().manual_seed(0)
    perceptual = build_perceptual(build_discriminator(MODEL, rng))
    found = {"age": Direction(torch.ones(LAYERS, 16) / 4, 20.0, 0.9, {"age": 1.0})}
    described = weights.Description(MODEL, frame=Frame())
    generator = build_generator(MODEL, rng)
    weights.save_weights(path, generator, described, directions=found, perceptual=perceptual)
    return path


@pytest.fixture(scope="module")
def studio(file: Path) -> neuralid.Studio:
    return neuralid.open(file, device="cpu")


@pytest.fixture
def drawn(studio: neuralid.Studio) -> list[Path]:
    """Three faces, which carry their latents."""
    return [face.save(f"seed{face.seed}.png") for face in studio.sample(seeds=range(3))]


def people(count: int, seed: int) -> Tensor:
    """Latents whose layers all differ, as inversion finds them."""
    return torch.randn(count, LAYERS, 16, generator=torch.Generator().manual_seed(seed))


def joined(shape: Tensor, style: Tensor) -> Tensor:
    return torch.cat([shape[:SHAPE], style[SHAPE:]])


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.abs(a.astype(int) - b).max() <= 1)


# --- Laws ---------------------------------------------------------------------------------------


@given(st.integers(0, 2**31), st.integers(0, LAYERS), st.integers(1, 4))
def test_layers_are_parted_and_nothing_else_changes(seed: int, parted: int, count: int) -> None:
    latents, (style,) = people(count, seed), people(1, seed + 1)
    found = with_style(latents, style, parted)
    assert found.shape == latents.shape
    assert found[:, :parted].equal(latents[:, :parted])
    assert found[:, parted:].equal(style[parted:].expand(count, -1, -1))
    assert with_style(latents[0], style, parted).equal(found[0])
    assert with_style(latents[0], latents[0], parted).equal(latents[0])


@settings(max_examples=20)
@given(
    st.integers(0, 2**31),
    st.integers(2, 3),
    st.sampled_from(BLENDS),
    st.data(),
)
def test_shape_is_the_plain_mixs_and_colours_are_the_persons(
    studio: neuralid.Studio, seed: int, count: int, blend: str, data: st.DataObject
) -> None:
    latents, who = people(count, seed), data.draw(st.integers(0, count - 1))
    shares = data.draw(st.lists(st.floats(0.01, 1), min_size=count, max_size=count))
    options: dict[str, Any] = {"weights": shares, "blend": blend, "scale": 1}
    plain, mixed = studio.mix(latents, **options), studio.mix(latents, style=who, **options)
    assert mixed.latent.equal(joined(plain.latent, latents[who]))
    assert np.array_equal(mixed.image, studio.draw(mixed.latent[None])[0])
    assert mixed.shares == plain.shares


@settings(max_examples=10)
@given(st.integers(0, 2**31), st.sampled_from(BLENDS), st.integers(0, 1))
def test_the_style_of_two_who_are_one_changes_nothing(
    studio: neuralid.Studio, seed: int, blend: str, who: int
) -> None:
    twice = people(1, seed).repeat(2, 1, 1)
    plain, mixed = (studio.mix(twice, blend=blend, style=s, scale=1) for s in (None, who))
    torch.testing.assert_close(mixed.latent, plain.latent)
    assert close(mixed.image, plain.image)


@pytest.mark.parametrize("size", architecture("style").sizes)
def test_maps_of_up_to_28_pixels_are_the_mixs_and_later_ones_the_persons(size: int) -> None:
    config = replace(MODEL, size=size)
    drawer = build_drawer(build_generator(config, torch.Generator().manual_seed(0)))
    maps: list[Tensor] = []
    for layer in drawer.get_submodule("synthesis").children():
        layer.register_forward_hook(lambda layer, given, made: maps.append(made))
    rng = torch.Generator().manual_seed(1)
    one, other = torch.randn(2, 1, *drawer.latent_shape, generator=rng)
    with torch.no_grad():
        drawer(one)
        drawer(with_style(one, other[0], architecture("style").shape_layers))
    before, after = maps[: len(maps) // 2], maps[len(maps) // 2 :]
    for a, b in zip(before, after, strict=True):
        is_colours = a.shape[1] == 3
        assert a.equal(b) == (a.shape[-1] < 28 or (a.shape[-1] == 28 and not is_colours))


# --- With the other options ---------------------------------------------------------------------


def test_a_strip_is_all_in_one_persons_colours(studio: neuralid.Studio) -> None:
    z = people(2, 0)
    cells = np.split(studio.mix(z, strip=3, style=0, scale=1).image, 3, axis=1)
    halfway = studio.mix(z, style=0, scale=1)
    wanted = studio.draw(torch.stack([z[0], halfway.latent, joined(z[1], z[0])]))
    assert all(close(cell, face) for cell, face in zip(cells, wanted, strict=True))


def test_a_film_is_all_in_one_persons_colours(studio: neuralid.Studio) -> None:
    z = people(2, 1)
    film = studio.mix(z, frames=4, style=1, scale=1)
    assert film.frames is not None
    wanted = studio.draw(torch.stack([joined(z[0], z[1]), z[1]]))
    assert close(film.frames[0], wanted[0]) and close(film.frames[2], wanted[1])
    torch.testing.assert_close(film.latent, joined(z[0], z[1]))


def test_all_children_of_a_matrix_have_one_persons_colours(studio: neuralid.Studio) -> None:
    z = people(4, 2)
    sheet = studio.mix(z, matrix=2, style=3, weights=0.3, scale=1).image
    rows = [np.split(row, 3, axis=1) for row in np.split(sheet, 3)]
    parents = studio.draw(z)
    assert close(rows[0][1], parents[2]) and close(rows[2][0], parents[1])  # as they are
    for i, above in enumerate((2, 3)):
        plain = studio.mix(z[[1, above]], weights=0.3, scale=1).latent
        assert close(rows[2][1 + i], studio.draw(joined(plain, z[3])[None])[0])


def test_attributes_change_colours_too(studio: neuralid.Studio) -> None:
    z = people(2, 3)
    plain = studio.mix(z, style=1, scale=1).latent
    older = studio.mix(z, style=1, attributes={"age": 2}, scale=1).latent
    torch.testing.assert_close(older, plain + 0.5)
    alone = studio.mix(z[:1], style=0, attributes={"age": 2}, scale=1).latent
    torch.testing.assert_close(alone, z[0] + 0.5)


def test_a_share_of_nothing_still_gives_colours(studio: neuralid.Studio) -> None:
    a, b, c = people(3, 4)
    found = studio.mix([a, b, c], weights=[1, 1, 0], style=2, blend="mean", scale=1).latent
    torch.testing.assert_close(found, joined((a + b) / 2, c))


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A photo, which a few steps find and tune to."""
    own = architecture("style")
    efforts = replace(own.inverting, balanced=Effort(4, tuning=4))
    monkeypatch.setitem(REGISTERED, "style", replace(own, inverting=efforts))
    path = tmp_path / "photo.png"
    draw_face(np.random.default_rng(3), 96, 96).save(path)
    return path


def test_a_photo_gives_its_colours_and_gets_the_face_back(
    studio: neuralid.Studio, drawn: list[Path], photo: Path
) -> None:
    options: dict[str, Any] = {"align": False, "blend": "mean", "scale": 1}
    inputs = [drawn[0], photo]
    of_photo = studio.mix(inputs, weights=1, **options).latent
    plain = studio.mix(inputs, **options)
    mixed = studio.mix(inputs, style=photo, **options)
    assert mixed.model.is_tuned
    torch.testing.assert_close(mixed.latent, joined(plain.latent, of_photo))
    kept = studio.mix(inputs, style=photo, keep=photo, **options)
    assert kept.image.shape == (96, 96, 3) and kept.recipe["style"] == 1
    other = studio.mix(inputs, keep=photo, **options)
    assert not np.array_equal(kept.image, other.image)


# --- Naming the person, and refusals ------------------------------------------------------------


def test_the_person_is_named_as_the_inputs_are(studio: neuralid.Studio, drawn: list[Path]) -> None:
    faces = studio.sample(seeds=range(3))
    latent.save_latent(Path("one.safetensors"), faces.latents[1], studio.weights.id, {})
    wanted = studio.mix(drawn, style=1, scale=1).latent
    assert not wanted.equal(studio.mix(drawn, scale=1).latent)
    ways: list[tuple[Any, Any]] = [
        (drawn, f"./{drawn[1]}"),
        (faces, faces[1]),  # another object every time
        (faces.latents, faces.latents[1]),
        ([drawn[0], "one.safetensors", drawn[2]], Path("one.safetensors")),
    ]
    for inputs, style in ways:
        assert studio.mix(inputs, style=style, scale=1).latent.equal(wanted)
    refused: list[tuple[Any, str]] = [
        (3, "`style` must be"),
        (-1, "`style` must be"),
        ("x.png", "x.png is not an input"),
        (faces.latents[1] + 1, "is not an input"),
        (faces[1], "is not an input"),
    ]
    for style, words in refused:
        with pytest.raises(ConfigError, match=words):
            studio.mix(drawn, style=style)


def test_the_command_says_in_the_recipe_who_it_was(file: Path, drawn: list[Path]) -> None:
    common = ("--weight", 1, "--weight", 3, "--scale", 1, "--weights", file)
    assert run("mix", *drawn[:2], *common, "-o", "plain.png").exit_code == 0
    result = run("mix", *drawn[:2], *common, "--style", f"./{drawn[1]}", "-o", "styled.png")
    assert result.exit_code == 0 and result.stdout.strip() == "styled.png"
    texts = [Photo.read(name).text for name in ("plain.png", "styled.png")]
    plain, styled = (json.loads(text[RECIPE_KEY])["mix"] for text in texts)
    assert styled.pop("style") == 1 and styled == plain
    shape, style, both = (
        latent.from_text(text[LATENT_KEY], "")[0].view(LAYERS, 16)
        for text in (texts[0], Photo.read(drawn[1]).text, texts[1])
    )
    assert both.equal(joined(shape, style)) and not both.equal(shape)
    options = ("--strip", 3, "--style", drawn[0], "--scale", 1, "--weights", file)
    assert run("mix", *drawn[:2], *options, "-o", "strip.png").exit_code == 0
    assert close(load_rgb(Path("strip.png"))[:, :SIDE], load_rgb(drawn[0]))


def test_who_is_no_input_is_refused_before_weights_are_read(drawn: list[Path]) -> None:
    words = ("--style", "other.png", "--weights", "missing.safetensors")
    fails(run("mix", *drawn, *words), 2, "other.png is not an input", "--style names one of the")


def test_latents_without_layers_are_refused_before_anything_is_inverted(
    tiny: Path, drawn: list[Path], photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neuralid.api._people.invert_framed", None)
    result = run("mix", photo, drawn[0], "--style", photo, "--no-align", "--weights", tiny)
    fails(result, 2, "the architecture dcgan have no layers", "architecture style; --weights")
    assert not Path("mix.png").exists()
    assert with_layers() == ["style"]


# --- Lengths of latents by layer ----------------------------------------------------------------


def test_a_length_is_that_from_the_mean_in_the_latents_own_spread(
    studio: neuralid.Studio, file: Path
) -> None:
    way = weights.load_weights(file).coordinates
    assert isinstance(way, Whitening)
    latents = list(people(2, seed=1))
    lengths = [float(way.whiten(z).norm()) for z in latents]
    mean, rescaled = (
        way.whiten(studio.mix(latents, blend=blend).latent) for blend in ("mean", "rescaled")
    )
    assert float(rescaled.norm()) == pytest.approx(sum(lengths) / 2, rel=1e-3)
    torch.testing.assert_close(rescaled / rescaled.norm(), mean / mean.norm(), atol=1e-4, rtol=1e-3)
    strip = studio.mix(latents, strip=3, blend="slerp").latent
    assert float(way.whiten(strip).norm()) == pytest.approx(sum(lengths) / 2, rel=1e-3)


def test_the_default_blend_is_the_architectures(
    studio: neuralid.Studio, trained: weights.Weights
) -> None:
    latents = list(people(2, seed=2))
    assert studio.mix(latents).latent.equal(studio.mix(latents, blend="mean").latent)
    papers = neuralid.open(trained.path, device="cpu")
    drawn = list(papers.sample(2, seed=0).latents)
    assert papers.mix(drawn).latent.equal(papers.mix(drawn, blend="rescaled").latent)
    assert papers.mix(drawn).recipe["blend"] == "rescaled"


def test_faces_that_will_be_mixed_are_searched_for_longer() -> None:
    own = architecture("style").inverting
    alone, to_mix = InvertConfig().effort(own), InvertConfig(to_mix=True).effort(own)
    assert to_mix == replace(alone, steps=own.balanced.mixed) and to_mix.steps > alone.steps
    assert InvertConfig(steps=5, to_mix=True).effort(own).steps == 5
    papers = architecture("dcgan").inverting
    assert InvertConfig(to_mix=True).effort(papers) == papers.balanced
