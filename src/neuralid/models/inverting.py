"""How an architecture's latents are searched for: frozen dataclasses. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """What one fidelity spends on a face."""

    steps: int  # evaluations of the generator in the search for a latent
    tuning: int = 0  # steps of the generator's own afterwards
    # Steps of the search for faces that will be mixed; 0: as many as for others. What only tuning
    # makes alike is not in the latent, and is lost in a mix.
    mixed: int = 0


@dataclass(frozen=True)
class Inverting:
    """Search and tuning. The defaults are for the paper's network."""

    fast: Effort = Effort(7)
    balanced: Effort = Effort(50)  # the paper has 50 rounds of up to 20
    high: Effort = Effort(80, tuning=60)
    # Whether each layer's row of a latent is searched for by itself, in whitened coordinates, by
    # Adam; else the whole latent is, where all directions move the pixels alike, by L-BFGS.
    by_layer: bool = False
    rate: float = 0.2  # of Adam's search
    deviation: float = 0.02  # cost of a layer's squared distance from what the layers share
    features: float = 0.0  # weight of a perceptual network's squared differences beside the pixels'
    background: float = 1.0  # weight of what lies outside the face's oval
    tuning_rate: float = 5e-5  # of Adam on the generator's weights
    tuning_falls_late: bool = False  # the rate rises and stays before it falls; else it only falls
    locality: float = 0.1  # weight of other faces staying as they are
    fixed: tuple[str, ...] = ()  # first names of the parameters that are not tuned
    together: int = 32  # faces searched for at a time
