"""Turn style-based networks of the first experiments into weights of this program.

    python tools/import_style.py AVERAGE.safetensors OUT.safetensors [--discriminator FILE]
        [--images 712000] [--dataset NAME] [--licence TEXT]

The two files are state dicts of another program's networks, which are the "style" architecture at
112 pixels under other names. OUT is a weights file without an encoder; the discriminator goes into
a training file beside it, OUT.training.safetensors. Pixel scales differ ([-1, 1] there); the
networks here convert at their ends, so the tensors are the same numbers.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from neuralid import __version__
from neuralid.faces.config import Frame
from neuralid.models.building import empty_generator, fill
from neuralid.models.config import ModelConfig
from neuralid.training.runs.origin import save_discriminator
from neuralid.weights import Description, save_weights

BLOCKS = {"first": "firsts", "second": "seconds", "skip": "skips", "rgb": "from_rgb"}


def generator_tensors(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Their generator's state dict under this program's names, float32.

    >>> import torch
    >>> list(generator_tensors({"ups.1.affine.weight": torch.zeros(1)}))
    ['synthesis.5.affine.weight']
    """
    return {_generator_name(name): _flat_bias(name, t) for name, t in theirs.items()}


def discriminator_tensors(theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Their discriminator's state dict under this program's names, float32."""
    ours = {}
    for name, tensor in theirs.items():
        first, _, rest = name.partition(".")
        ours[f"{BLOCKS.get(first, first)}.{rest}"] = tensor.float()
    return ours


def _generator_name(name: str) -> str:
    first, _, rest = name.partition(".")
    if first == "mapping":
        return name.replace("mapping.layers.", "mapping.")
    if first == "const":
        return "constant"
    if first == "first":
        return f"synthesis.0.{rest}"
    if first in ("ups", "convs", "rgbs"):
        index, _, rest = rest.partition(".")
        place = {"ups": 2, "convs": 3, "rgbs": 1}[first] + 3 * int(index)
        return f"synthesis.{place}.{rest}"
    return name


def _flat_bias(name: str, tensor: Tensor) -> Tensor:
    """Theirs are ``(1, K, 1, 1)`` where they follow a convolution."""
    return tensor.float().flatten() if name.endswith(".bias") else tensor.float()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("average", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--discriminator", type=Path)
    parser.add_argument("--images", type=int, default=712_000)
    parser.add_argument("--dataset", default="")
    parser.add_argument("--licence", default="")
    options = parser.parse_args()

    model = ModelConfig(112, architecture="style")
    generator = fill(empty_generator(model), generator_tensors(load_file(options.average)))
    description = Description(
        model=model,
        images_seen=options.images,
        dataset=options.dataset,
        frame=Frame(),
        recipe="style",
        licence=options.licence,
        version=__version__,
    )
    save_weights(options.out, generator, description)
    if options.discriminator:
        tensors = discriminator_tensors(load_file(options.discriminator))
        save_discriminator(options.out, tensors)


if __name__ == "__main__":
    main()
