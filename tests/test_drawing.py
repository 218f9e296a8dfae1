"""The folded generator draws the same faces as the trained one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import fails, run
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import neuralid
from neuralid.api import _sample
from neuralid.core.errors import ConfigError
from neuralid.latents.latent import draw_noise
from neuralid.models import doubling
from neuralid.models.building import (
    build_discriminator,
    build_drawer,
    build_generator,
    build_perceptual,
)
from neuralid.models.config import ModelConfig
from neuralid.models.doubling import Doubling
from neuralid.models.drawing import GROUP, draw_faces, faces_at_a_time, map_noise
from neuralid.models.network import GeneratorNetwork
from neuralid.models.preparing import prepare

ARCHITECTURES = [ModelConfig(size=28), ModelConfig(28, architecture="style")]


def trained(size: int, seed: int) -> GeneratorNetwork:
    """Random weights, and batch norms that have seen data, so that folding does something."""
    torch.manual_seed(seed)
    config = ModelConfig(size=size, latent_size=6)
    network = build_generator(config, torch.Generator().manual_seed(seed))
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            assert module.running_mean is not None and module.running_var is not None
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias, 0, 0.5)
    return network.eval()


@pytest.fixture
def generator() -> GeneratorNetwork:
    return trained(28, 0)


@pytest.mark.parametrize("config", ARCHITECTURES)
@pytest.mark.parametrize("by_rows", [True, False])
def test_both_ways_of_doubling_draw_the_same_with_the_same_gradients(
    config: ModelConfig, by_rows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Doubling, "is_by_rows", lambda *_: by_rows)
    generator = build_generator(config, torch.Generator().manual_seed(0)).eval()
    folded = build_drawer(generator)
    z = map_noise(folded, draw_noise(range(3), config)).requires_grad_()
    draw = getattr(generator, "from_latents", generator)
    found, wanted = (torch.autograd.grad(g(z).square().sum(), z)[0] for g in (folded, draw))
    # At the kinks of leaky ReLUs rounding decides single numbers.
    assert (found - wanted).norm() < 1e-3 * wanted.norm()


@pytest.mark.parametrize(
    ("device", "kind", "has_units", "by_rows"),
    [
        ("cpu", torch.float32, True, True),
        ("cpu", torch.bfloat16, False, True),
        ("cpu", torch.bfloat16, True, False),
        ("meta", torch.float32, False, False),  # as on any device but a CPU
    ],
)
def test_the_processor_and_the_type_decide_how_maps_are_doubled(
    device: str, kind: torch.dtype, has_units: bool, by_rows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubling, "has_matrix_units", lambda: has_units)
    layer = Doubling(torch.ones(4, 2, 3, 3, 3), None)
    assert layer.is_by_rows(torch.zeros(1, 3, 2, 2, dtype=kind, device=device)) is by_rows


@pytest.mark.parametrize("size", [28, 56])
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_folding_changes_nothing_but_rounding(size: int, seed: int) -> None:
    generator = trained(size, seed)
    z = torch.randn(5, 6)
    folded = build_drawer(generator)
    with torch.no_grad():
        wanted = generator(z)
        torch.testing.assert_close(folded(z), wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(draw_faces(folded, z), wanted, rtol=0, atol=1e-5)


def test_dark_and_light_are_drawn(generator: GeneratorNetwork) -> None:
    """By weights of one seed; others may draw greyer faces."""
    faces = draw_faces(build_drawer(generator), torch.randn(5, 6))
    assert faces.min() < -0.1 and faces.max() > 0.1


def test_latents_whose_mean_is_zero_are_truncated_towards_it(generator: GeneratorNetwork) -> None:
    z = torch.randn(5, 6)
    assert build_drawer(generator).truncate(z, 0.25).equal(z / 4)


def test_the_generator_is_left_alone(generator: GeneratorNetwork) -> None:
    generator.train()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    build_drawer(generator)
    assert all(value.equal(before[name]) for name, value in generator.state_dict().items())
    assert generator.training
    assert all(parameter.requires_grad for parameter in generator.parameters())


@pytest.mark.parametrize("place", [0, 3, 7, 8, 12])
def test_a_face_does_not_depend_on_the_others_drawn(
    generator: GeneratorNetwork, place: int
) -> None:
    folded = build_drawer(generator)
    z = torch.randn(13, 6)
    assert draw_faces(folded, z)[place].equal(draw_faces(folded, z[place : place + 1])[0])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_face_does_not_depend_on_the_others_of_its_group(precision: str) -> None:
    """Nor on the group: of 70, 64 are begun together, with as many numbers as the paper has."""
    folded = build_drawer(build_generator(ModelConfig(28, 400), torch.Generator().manual_seed(0)))
    z, begun, begin = 0.5 * torch.randn(GROUP + 6, 400), [], folded.begin
    folded.begin = lambda latents: begun.append(len(latents)) or begin(latents)  # type: ignore
    whole = draw_faces(folded, z, precision)
    assert begun == [GROUP, GROUP]
    for place in (0, 17, 63, 64, 69):
        assert whole[place].equal(draw_faces(folded, z[place : place + 1], precision)[0])


def test_a_group_is_whole_chunks() -> None:
    for precision in ("fp32", "bf16"):
        assert all(GROUP % faces_at_a_time(size, precision) == 0 for size in (28, 56, 112, 224))


@pytest.mark.parametrize("config", ARCHITECTURES)
def test_no_latents_are_no_faces(config: ModelConfig) -> None:
    drawer = build_drawer(build_generator(config, torch.Generator().manual_seed(0)).eval())
    none = map_noise(drawer, draw_noise(range(1), config))[:0]
    assert drawer(none).shape == draw_faces(drawer, none).shape == (0, 3, 28, 28)


@pytest.mark.parametrize("config", ARCHITECTURES)
def test_faces_in_bfloat16_are_the_same_to_about_a_level(config: ModelConfig) -> None:
    drawer = build_drawer(build_generator(config, torch.Generator().manual_seed(0)).eval())
    latents = map_noise(drawer, draw_noise(range(20), config))
    exact, rough = draw_faces(drawer, latents), draw_faces(drawer, latents, "bf16")
    assert rough.dtype == torch.float32
    assert not rough.equal(exact)
    assert (rough - exact).abs().mean() < 1 / 255
    assert rough[17].equal(draw_faces(drawer, latents[17:18], "bf16")[0])


def test_sample_draws_in_the_precision_asked_for(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(*words: object) -> bytes:
        words = ("sample", "-n", 2, "--seed", 1, "-o", "-", "--weights", tiny, "--scale", 1, *words)
        result = run(*words)
        assert result.exit_code == 0, result.stderr
        return result.stdout_bytes

    small = ("--weights", tiny, "--scale", 1)
    exact, rough = draw("--precision", "fp32"), draw("--precision", "bf16")
    assert draw() == exact != rough
    for name, wanted in {"bf16": rough, "fp32": exact}.items():
        monkeypatch.setattr(_sample, "pick_precision", lambda *_, name=name: name)
        assert draw("--precision", "auto") == wanted
        told = run("sample", "--seeds", "0-40", "--outdir", name, "--precision", "auto", *small)
        assert told.stderr.count(f"precision: {name}") == 1


def test_single_files_are_drawn_in_the_precision_asked_for(tiny: Path) -> None:
    for name in ("fp32", "bf16"):
        words = ("--outdir", name, "--weights", tiny, "--scale", 1, "--precision", name)
        assert run("sample", "--seeds", "0-19", *words).exit_code == 0
    exact, rough = (
        np.stack([np.asarray(Image.open(path)) for path in sorted(Path(name).iterdir())])
        for name in ("fp32", "bf16")
    )
    assert 0 < np.abs(exact.astype(int) - rough).mean() < 1


def test_a_precision_there_is_not_is_refused(tiny: Path) -> None:
    result = run("sample", "--weights", tiny, "--precision", "fp16")
    fails(result, 2, "--precision must be auto, fp32 or bf16, not 'fp16'")
    with pytest.raises(ConfigError, match="`precision` must be auto, fp32 or bf16"):
        neuralid.sample(1, model=tiny, precision="half")


@pytest.mark.parametrize("architecture", ["dcgan", "style"])
def test_kernels_cast_once_are_what_autocast_makes_of_them(architecture: str) -> None:
    config = ModelConfig(28, 16, architecture=architecture)
    rng = torch.Generator().manual_seed(0)
    drawer = build_drawer(build_generator(config, rng))
    eyes = build_perceptual(build_discriminator(config, rng))
    networks = [drawer] if eyes is None else [drawer, eyes.ready()]
    inputs = (
        torch.randn(3, *drawer.latent_shape, generator=rng),
        torch.rand(3, 3, 28, 28, generator=rng),
    )
    for network, x in zip(networks, inputs, strict=False):
        before = {name: value.clone() for name, value in network.named_buffers()}
        ready, searched = prepare(network, "bf16"), prepare(network, "bf16", to_search=True)
        assert prepare(network, "fp32", to_search=True) is network
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            for a, b, c in zip(*(every(n(x)) for n in (network, ready, searched)), strict=True):
                assert a.equal(b)
                assert (a.float() - c).abs().mean() < 1e-2 * a.float().abs().mean()
        left = dict(network.named_buffers())
        assert all(value.equal(left[name]) for name, value in before.items())
        cast = {name for name, value in ready.named_buffers() if value.dtype == torch.bfloat16}
        kernels = ("kernel", "_weight", "phases", "rows")
        weighing = {name for name, value in before.items() if name.endswith(kernels)}
        assert cast == weighing and cast
        rest = before.keys() - cast
        assert all(ready.get_buffer(name) is left[name] for name in rest)
        matrices = [value for name, value in searched.named_buffers() if name in cast]
        assert all(value.t().is_contiguous() for value in matrices if value.ndim == 2)


@pytest.mark.parametrize("config", ARCHITECTURES)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_faces_are_the_same_in_inference_mode(config: ModelConfig, precision: str) -> None:
    drawer = build_drawer(build_generator(config, torch.Generator().manual_seed(0)).eval())
    latents = map_noise(drawer, draw_noise(range(2), config))
    wanted = draw_faces(drawer, latents, precision)
    with torch.inference_mode():
        assert draw_faces(prepare(drawer, precision), latents, precision).equal(wanted)


def every(found: torch.Tensor | list[torch.Tensor]) -> list[torch.Tensor]:
    return [found] if isinstance(found, torch.Tensor) else found
