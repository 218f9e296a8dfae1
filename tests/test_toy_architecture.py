"""An architecture of one's own, here in this file alone, goes through the whole program."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import neuralid
from neuralid import weights
from neuralid.core.errors import ConfigError, WeightsError
from neuralid.latents import latent
from neuralid.models.architecture import REGISTERED, Architecture, architecture, register
from neuralid.models.building import build_drawer, build_generator
from neuralid.models.config import ModelConfig
from neuralid.models.drawing import Drawer
from neuralid.models.network import DiscriminatorNetwork, GeneratorNetwork, Network
from neuralid.models.share import WHOLE, Share
from neuralid.pictures import images
from neuralid.pictures.quality import psnr


# The architecture begins here. Its latents have two rows: one for the left half, one for the right.
class ToyNetwork(Network):
    def init_weights(self, rng: torch.Generator) -> None:
        for name, tensor in self.state_dict().items():
            nn.init.normal_(tensor, 1 if name == "mean" else 0, 0.1, generator=rng)


class ToyGenerator(ToyNetwork, GeneratorNetwork):
    def __init__(self, config: ModelConfig, dropout: float) -> None:
        super().__init__(config, latent_shape=(2, config.latent_size))
        self.register_buffer("mean", torch.empty(self.latent_shape))
        self.layer = nn.Linear(config.latent_size, 3 * config.size * config.size // 2)

    def forward(self, noise: Tensor, share: Share = WHOLE) -> Tensor:
        return self.from_latents(self.latents(noise))

    def latents(self, noise: Tensor) -> Tensor:
        return self.get_buffer("mean") + torch.stack([noise, noise.flip(1)], 1)

    def from_latents(self, latents: Tensor) -> Tensor:
        halves = self.layer(latents).tanh() / 2  # (N, 2, 3 * S * S / 2)
        return torch.cat(halves.unflatten(2, (3, self.config.size, -1)).unbind(1), 3)


class ToyDiscriminator(ToyNetwork, DiscriminatorNetwork):
    def __init__(self, config: ModelConfig, dropout: float) -> None:
        super().__init__(config)
        self.layer = nn.Linear(3 * config.size**2, 1)

    def forward(self, faces: Tensor, share: Share = WHOLE) -> Tensor:
        return self.layer(faces.flatten(1)).squeeze(1)


class ToyDrawer(Drawer):
    def __init__(self, generator: ToyGenerator) -> None:
        super().__init__(generator)
        self.generator = generator

    def forward(self, latents: Tensor) -> Tensor:
        return self.generator.from_latents(latents)

    def latents(self, noise: Tensor) -> Tensor:
        return self.generator.latents(noise)

    def truncate(self, latents: Tensor, t: float) -> Tensor:
        return torch.lerp(self.generator.get_buffer("mean").to(latents), latents, t)


TOY = Architecture("toy", (20, 40), ToyGenerator, ToyDiscriminator, ToyDrawer, "paper", 0.7)
# The architecture ends here.


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    register(TOY)
    yield
    del REGISTERED["toy"]


@pytest.fixture(scope="module")
def toy(face_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that `train` made."""
    folder = tmp_path_factory.mktemp("toy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEURALID_CACHE_DIR", str(folder / "cache"))
        options: dict[str, Any] = {"architecture": "toy", "size": 20, "latent_size": 12}
        result = neuralid.train(face_folder, out=folder, kimg=0.4, batch=8, **options)
    assert result.weights is not None
    return result.weights


def test_it_takes_less_than_60_lines() -> None:
    text = Path(__file__).read_text()
    lines = text[text.index("# The architecture begins") : text.index("# The architecture ends")]
    assert len(lines.splitlines()) < 60


def test_it_is_trained_and_its_weights_read(toy: Path) -> None:
    loaded = weights.load_weights(toy)
    assert loaded.description.model == ModelConfig(20, 12, architecture="toy")
    assert loaded.description.recipe == "paper"
    assert loaded.encoder is not None and loaded.encoder.shape == (2, 12)
    assert loaded.metric is not None and loaded.metric.shape == (24, 24)
    fresh = build_generator(loaded.description.model, torch.Generator().manual_seed(0))
    moved = loaded.generator.get_parameter("layer.weight") - fresh.get_parameter("layer.weight")
    assert float(moved.detach().abs().mean()) > 1e-3


def test_seeds_are_sampled_from_its_own_noise_and_truncated_to_its_own_mean(toy: Path) -> None:
    drawer = build_drawer(weights.load_weights(toy).generator)
    drawn = neuralid.sample(seeds=[3, 4], model=toy)
    assert drawn.images.shape == (2, 20, 20, 3) and drawn.latents.shape == (2, 2, 12)
    noise = np.random.Generator(np.random.Philox(4)).standard_normal(12, dtype=np.float32)
    expected = drawer.get_buffer("generator.mean")[0] + 0.7 * torch.from_numpy(noise)
    torch.testing.assert_close(drawn.latents[1, 0], expected)
    mean = neuralid.sample(seeds=[3, 4], trunc=0, model=toy)
    assert np.array_equal(*mean.images)
    assert mean.latents[0].equal(drawer.get_buffer("generator.mean"))


@pytest.fixture
def photo(toy: Path, tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    images.save_picture(path, neuralid.sample(seeds=[8], model=toy).images[0])
    return path


@pytest.mark.parametrize("fidelity", ["balanced", "high"])
def test_its_faces_are_found_again(fidelity: str, photo: Path, toy: Path, tmp_path: Path) -> None:
    found = neuralid.invert(photo, model=toy, fidelity=fidelity, align=False)
    assert found.psnr > 30 and found.latent.shape == (2, 12)
    file = found.save(tmp_path / "found.safetensors")
    assert latent.load_latent(file).latent.equal(found.latent)


def test_photos_latents_and_pictures_are_mixed(photo: Path, toy: Path, tmp_path: Path) -> None:
    drawn = neuralid.sample(seeds=5, model=toy)[0].save(tmp_path / "drawn.png")
    found = neuralid.invert(photo, align=False, model=toy)
    file = found.save(tmp_path / "found.safetensors")
    options: dict[str, Any] = {"align": False, "blend": "mean", "scale": 1, "model": toy}
    mixed = neuralid.mix([photo, drawn, file], **options)
    of_drawn = neuralid.sample(seeds=[5], model=toy).latents[0]
    torch.testing.assert_close(mixed.latent, (2 * found.latent + of_drawn) / 3)
    face = build_drawer(weights.load_weights(toy).generator)(mixed.latent[None])
    assert float(psnr(face, images.to_tensor(mixed.image[None]))) > 45
    for blend in ("rescaled", "slerp"):
        assert neuralid.mix([drawn, file], **{**options, "blend": blend}).latent.shape == (2, 12)


def test_a_program_that_does_not_know_it_says_so(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = neuralid.sample(seeds=[1], model=toy).images
    with monkeypatch.context() as patch:
        patch.delitem(REGISTERED, "toy")
        with pytest.raises(WeightsError, match="no architecture 'toy'") as caught:
            neuralid.sample(seeds=[1], model=toy)
        assert caught.value.hint
        with pytest.raises(ConfigError, match="no architecture 'toy'") as refused:
            architecture("toy")
        assert refused.value.hint == "there are dcgan, style"
    assert np.array_equal(neuralid.sample(seeds=[1], model=toy).images, before)


def test_a_size_it_does_not_have_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="`size` 56 is not one of 20, 40") as caught:
        ModelConfig(architecture="toy")
    assert caught.value.hint == "the nearest that work are 40 and 20"


def test_naming_architectures_takes_no_torch() -> None:
    """Only asking for one does."""
    code = (
        "import sys; from neuralid.models.architecture import architecture, BUILT_IN; "
        "import neuralid.models.config, neuralid.models.recipe; "
        "assert 'torch' not in sys.modules; "
        "assert [architecture(name).name for name in BUILT_IN] == list(BUILT_IN)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
