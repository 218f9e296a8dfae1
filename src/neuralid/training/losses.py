"""The adversarial losses.

References
----------
.. [1] I. Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014. arXiv:1406.2661
.. [2] L. Mescheder, A. Geiger, S. Nowozin, "Which Training Methods for GANs do actually
       Converge?", ICML 2018. arXiv:1801.04406 (R1, equation 9)
.. [3] T. Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, section 3.4.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def discriminator_loss(real: Tensor, fake: Tensor, real_label: float = 1.0) -> Tensor:
    """Binary cross-entropy of the paper's V(D, G) (section 2.1.3), on logits.

    ``real_label`` below 1 smooths the labels of real pictures only [3]_.

    Shape:
        - real, fake: ``(N,)``, logits
        - returns: ``()``
    """
    labels = torch.full_like(real, real_label)
    return F.binary_cross_entropy_with_logits(real, labels) + F.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Binary cross-entropy of fakes labelled real: what training the paper's AM model minimises.

    It is the non-saturating form of [1]_, section 3; shapes as above.
    """
    return F.softplus(-fake).mean()


def r1_penalty(real_logits: Tensor, real: Tensor) -> Tensor:
    """Half the squared gradient of D at real pictures [2]_, in this program's pixel scale.

    Shape:
        - real_logits: ``(N,)``; real: ``(N, 3, S, S)``, with gradients
        - returns: ``()``
    """
    (gradient,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean() / 2
