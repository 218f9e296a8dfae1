"""High fidelity: the generator tuned to the photos, without harm to the rest of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import fails, run
from PIL import Image

import neuralid
from neuralid import weights
from neuralid.core.errors import ConfigError
from neuralid.latents import latent
from neuralid.latents.tuning import tune
from neuralid.models.architecture import REGISTERED, architecture
from neuralid.models.building import build_drawer
from neuralid.pictures import images
from neuralid.pictures.quality import psnr


def test_tuning_brings_the_faces_nearer_and_leaves_others(trained: weights.Weights) -> None:
    generator = trained.generator
    before = {name: t.clone() for name, t in generator.state_dict().items()}
    z = latent.draw_noise(range(20), trained.description.model)
    with torch.no_grad():
        wanted = (generator(z[:2]) + 0.08).clamp(-0.5, 0.5)  # the same faces, lighter
        others = generator(z[2:])
    tuned = tune(generator, z[:2], wanted, steps=40)
    with torch.no_grad():
        gain = psnr(tuned(z[:2]), wanted) - psnr(generator(z[:2]), wanted)
        kept = psnr(tuned(z[2:]), others)
    assert float(gain.min()) > 3
    assert float(kept.min()) > 18
    assert all(t.equal(before[name]) for name, t in generator.state_dict().items())
    assert not any(p.requires_grad for p in tuned.parameters())


def test_faces_between_are_held_where_they_were(
    trained: weights.Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The more locality weighs, the less a face on the way to another one changes."""
    generator, usual = trained.generator, architecture("dcgan")
    z = latent.draw_noise(range(9), trained.description.model)
    between = torch.lerp(z[:1], z[1:], 0.5)
    with torch.no_grad():
        wanted, held = (generator(z[:1]) + 0.08).clamp(-0.5, 0.5), generator(between)
    kept = []
    for locality in (0.0, usual.inverting.locality, 1.0):
        inverting = replace(usual.inverting, locality=locality)
        monkeypatch.setitem(REGISTERED, "dcgan", replace(usual, inverting=inverting))
        tuned = tune(generator, z[:1], wanted, steps=8)
        with torch.no_grad():
            kept.append(float(psnr(tuned(between), held).mean()))
    assert kept[0] + 0.1 < kept[1] < kept[2] - 0.1


def test_tuning_is_the_same_every_time(trained: weights.Weights) -> None:
    z = latent.draw_noise(range(1), trained.description.model)
    wanted = torch.zeros(1, 3, 28, 28)
    first, again = (tune(trained.generator, z, wanted, steps=3) for _ in range(2))
    before, after = first.state_dict(), again.state_dict()
    assert all(value.equal(after[name]) for name, value in before.items())


def test_fidelity_is_worth_its_time(tiny: Path, photo: Path) -> None:
    found = {
        name: neuralid.invert([photo], fidelity=name, align=False, model=tiny)[0]
        for name in ("fast", "balanced", "high")
    }
    assert found["fast"].psnr <= found["balanced"].psnr + 0.01
    assert found["high"].psnr > found["balanced"].psnr + 1
    assert found["fast"].evaluations < found["balanced"].evaluations
    error = images.to_tensor(np.stack([found["high"].reconstruction, found["high"].target]))
    assert float(psnr(error[:1], error[1:])) == pytest.approx(found["high"].psnr, abs=0.5)


def test_steps_override_the_fidelity(tiny: Path, photo: Path) -> None:
    (found,) = neuralid.invert([photo], fidelity="fast", steps=11, align=False, model=tiny)
    assert 7 < found.evaluations <= 11


def test_tuned_weights_are_kept_for_the_latents_that_belong_to_them(
    tiny: Path, photo: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.safetensors"
    arguments = ("--no-align", "--fidelity", "high", "--weights", tiny, "--outdir", tmp_path)
    result = run("invert", photo, *arguments, "--save-weights", kept)
    assert result.exit_code == 0, result.stderr
    file = next(tmp_path.glob("*.latent.safetensors"))
    stored = latent.load_latent(file)
    loaded = weights.load_weights(kept)
    assert stored.weights_id == loaded.id
    target = np.asarray(Image.open(next(tmp_path.glob("*.inverted.png"))).resize((56, 28)))[:, :28]
    drawn = build_drawer(loaded.generator)(stored.latent[None])
    assert float(psnr(drawn, images.to_tensor(target[None]))) > 20
    fails(run("mix", file, file, "--weights", tiny), 1, "belongs to other weights")
    assert run("mix", file, file, "--weights", kept, "-o", tmp_path / "m.png").exit_code == 0


def test_a_mix_of_high_fidelity_is_drawn_by_the_tuned_generator(tiny: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    photos = []
    for name in ("a", "b"):
        face = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        photos.append(tmp_path / f"{name}.png")
        Image.fromarray(face).resize((64, 64), Image.Resampling.BICUBIC).save(photos[-1])
    options: dict[str, Any] = {"align": False, "model": tiny, "strip": 3, "scale": 1.0}
    kept = tmp_path / "kept.safetensors"
    plain = neuralid.mix(photos, **options)
    high = neuralid.mix(photos, fidelity="high", **options)
    assert high.model.is_tuned
    high.model.save(kept)
    assert not np.array_equal(plain.image, high.image)
    drawn = build_drawer(weights.load_weights(kept).generator)(high.latent[None])
    middle = images.to_tensor(high.image[None, :, 28:56])
    assert float(psnr(drawn, middle)) > 40  # the weights' half precision apart


def test_weights_are_only_saved_of_a_tuned_generator(photo: Path, tmp_path: Path) -> None:
    there = ("--save-weights", tmp_path / "w")
    papers = (*there, "--weights", "faces-56")
    fails(run("invert", photo, *papers), 2, "--fidelity high")
    fails(run("mix", photo, photo, *papers), 2, "--fidelity high")
    fails(run("invert", photo, *there, "--fidelity", "fast"), 2, "--fidelity balanced")
    with pytest.raises(ConfigError, match="no fidelity 'best'"):
        neuralid.invert([photo], fidelity="best")
    missing = tmp_path / "no" / "such.safetensors"
    result = run("invert", photo, "--fidelity", "high", "--save-weights", missing)
    fails(result, 1, f"cannot write {missing}", "the folder does not exist")
