"""The defaults: the paper's facts, and the figures that the documentation's tables show."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from neuralid.api.results import RATE
from neuralid.core.errors import ConfigError
from neuralid.faces.config import CropConfig, Frame
from neuralid.latents.config import InvertConfig
from neuralid.latents.tuning import OTHERS
from neuralid.models.architecture import Architecture, architecture
from neuralid.models.config import ModelConfig
from neuralid.models.inverting import Effort
from neuralid.models.recipe import RECIPES, Recipe
from neuralid.training.config import TrainConfig
from neuralid.upscaling.config import FILTERS, METHODS

EXPLAINED = Path(__file__).parents[1] / "docs" / "explanation"
DCGAN, STYLE = architecture("dcgan"), architecture("style")


def words(page: str) -> str:
    """A page's text, on one line."""
    return " ".join((EXPLAINED / page).read_text().split())


def table(page: str, first: str) -> list[list[str]]:
    """The rows of the table whose head or first row begins so; lines of dashes left out."""
    lines = (EXPLAINED / page).read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first}"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return [row for row in rows if not set("".join(row)) <= set("-")]


def numbers(text: str) -> list[float]:
    return [float(each) for each in re.findall(r"\d+\.?\d*(?:e-?\d+)?", text)]


# --- The paper ------------------------------------------------------------------------------------


def test_the_networks_are_the_papers() -> None:
    assert asdict(ModelConfig()) == {
        "size": 56,
        "latent_size": 400,
        "slope": 0.2,
        "architecture": "dcgan",
    }
    assert (DCGAN.sizes, DCGAN.noise_std) == ((28, 56, 112), 0.5)


def test_the_papers_recipe_has_nothing_that_is_not_the_papers() -> None:
    """Adam as in Radford 2016, dropout, cross-entropy; no penalty, average or augmentation."""
    assert RECIPES["paper"] == Recipe(
        name="paper",
        learning_rate_g=2e-4,
        learning_rate_d=2e-4,
        beta1=0.5,
        beta2=0.999,
        real_label=1.0,
        r1=0.0,
        augment="",
        ema=0.0,
        ema_half_life=0.0,
        dropout_g=0.25,
        dropout_d=0.25,
    )


def test_the_square_is_the_papers_where_nothing_is_said() -> None:
    crop = CropConfig()
    assert (crop.face_size, crop.delta_i, crop.delta_j, crop.rotation) == (None, 0, 0, 0)
    frame = Frame()  # UTKFace's eyes are level, and as far from both sides
    assert frame.left_eye[1] == frame.right_eye[1]
    assert frame.left_eye[0] + frame.right_eye[0] == pytest.approx(1, abs=0.02)


# --- Training -------------------------------------------------------------------------------------


def test_training_is_as_its_page_says() -> None:
    text = words("training.md")
    (beta1, batch), (rate, slope) = (
        numbers(" ".join(found.groups()))
        for pattern in (
            r"Adam \(beta1 ([\d.]+)\), batches of (\d+)",
            r"the rates are ([\d.]+) and the slope is ([\d.]+)",
        )
        if (found := re.search(pattern, text))
    )
    assert TrainConfig().batch == batch == 64 and TrainConfig().recipe == RECIPES["stable"]
    assert ModelConfig().slope == slope
    for name in ("paper", "stable"):
        assert RECIPES[name].beta1 == beta1
        assert RECIPES[name].dropout_d == rate


@pytest.mark.parametrize("column", [1, 2])
def test_the_table_of_recipes_shows_what_they_are(column: int) -> None:
    head, rates, dropout, average = table("training.md", "| `paper`")
    recipe = RECIPES[re.findall(r"`(\w+)`", head[column])[0]]
    assert numbers(rates[column]) == [recipe.learning_rate_g, recipe.learning_rate_d]
    assert recipe.dropout_g == (0 if dropout[column] == "none" else float(dropout[column]))
    told = average[column].startswith("moving average")
    assert [recipe.ema] == (numbers(average[column]) if told else [0])
    assert (recipe.r1, recipe.augment, recipe.real_label, recipe.lazy_rates) == (0, "", 1, False)


def test_the_style_recipe_is_as_its_table_says() -> None:
    rows = {row[0]: row[1] for row in table("style.md", "loss")}
    style = RECIPES[STYLE.recipe]
    rate, *betas, over, under = numbers(rows["learning rates"].removesuffix(" for R1"))
    assert style.learning_rate_g == style.learning_rate_d == rate == 0.0025
    assert [style.beta1, style.beta2] == betas == [0, 0.99]
    assert style.correction == over / under == 16 / 17
    interval, weight, *_ = numbers(rows["R1"].removeprefix("every "))
    assert (style.r1_interval, style.r1) == (interval, weight) == (16, 0.05)
    assert style.augment == "brightness,contrast,saturation,shift"
    assert numbers(rows["published generator"]) == [style.ema_half_life] == [10]
    assert (style.dropout_g, style.dropout_d, style.real_label, style.ema) == (0, 0, 1, 0)
    text = words("style.md")
    assert f"above {style.augment_target} (it is sure of them)" in text
    assert f"at most 1 in 500 kimg, up to {style.augment_p}." in text


# --- Inversion, films, enlarging ------------------------------------------------------------------


@pytest.mark.parametrize("fidelity", ["fast", "balanced", "high"])
def test_what_a_fidelity_spends_is_in_the_table(fidelity: str) -> None:
    rows = {row[0].split("`")[1]: row for row in table("inversion.md", "`fast`")}
    effort: Effort = getattr(DCGAN.inverting, fidelity)
    assert numbers(rows[fidelity][1]) == [effort.steps]
    assert numbers(rows[fidelity][2]) == ([effort.tuning] if effort.tuning else [])
    assert ("default" in rows[fidelity][0]) == (InvertConfig().fidelity == fidelity)


def test_inversion_is_as_its_page_says() -> None:
    text, own, layers = words("inversion.md"), DCGAN.inverting, STYLE.inverting
    prior = InvertConfig().prior
    assert f"{prior} |z|² is added" in text and f"{prior} |p|² of each layer" in text
    assert prior == 0.01
    assert f"{layers.deviation} of each squared deviation" in text
    assert f"Adam at {layers.tuning_rate} on all weights" in text and layers.fixed == ("mapping",)
    assert f"search for {layers.balanced.mixed} steps instead of {layers.balanced.steps}" in text
    assert layers.background == 1 / 5 and "pixels and features weigh a fifth" in text
    assert (own.by_layer, own.features, own.background) == (False, 0, 1)
    assert (own.tuning_rate, own.locality, OTHERS) == (5e-5, 0.1, 4)


@pytest.mark.parametrize(("of", "blend", "trunc"), [(DCGAN, "rescaled", 1), (STYLE, "mean", 0.7)])
def test_how_faces_are_drawn_and_mixed_is_as_the_pages_say(
    of: Architecture, blend: str, trunc: float
) -> None:
    assert (of.blend, of.truncation) == (blend, trunc)
    shipped = {"rescaled": "faces-56", "mean": "faces-112"}[blend]
    assert f"| `{blend}`, the default for `{shipped}` |" in words("mixing.md")


def test_a_film_shows_20_faces_a_second() -> None:
    page = (EXPLAINED.parent / "reference" / "cli.md").read_text()
    assert RATE == 20 and re.search(r"`--frames N`.*, 20 frames/s \|", page)


def test_filters_and_methods_are_as_their_tables_say() -> None:
    shown: dict[str, tuple[Any, ...]] = {}
    for name, what, amount, _ in table("../reference/upscaling.md", "`unsharp`"):
        shown[name.strip("`")] = what, numbers(amount)
    for name, info in FILTERS.items():
        wanted = [] if info.usual is None else [info.usual, 0, info.most]
        assert shown[name] == (info.summary, wanted)
    rows = table("../reference/upscaling.md", "`face`")
    assert {row[0].strip("`"): row[1] for row in rows} == {
        name: info.summary for name, info in METHODS.items()
    }


SHARES = ("beta1", "beta2", "real_label", "ema", "dropout_g", "dropout_d")
CHANCES = ("augment_p", "augment_target")
AMOUNTS = ("learning_rate_g", "learning_rate_d", "r1", "ema_half_life")


@pytest.mark.parametrize("name", [*SHARES, *CHANCES, *AMOUNTS, "r1_interval"])
def test_numbers_of_a_recipe_have_ranges(name: str) -> None:
    def made(value: float) -> Recipe:
        return Recipe("mine", **{name: value})  # type: ignore[arg-type]

    least, most = (1 if name == "r1_interval" else 0), (1 if name in SHARES + CHANCES else 1000)
    for value in (float(least), float(most)):
        assert getattr(made(value), name) == value
    wrong = [least - 0.01, float("nan"), *([1.01] if most == 1 else [])]
    for value in wrong:
        with pytest.raises(ConfigError, match=f"`{name}` must be"):
            made(value)
