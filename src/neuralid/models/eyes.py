"""A small network that finds the two eyes in a roughly framed face.

Letters in shapes: N batch, P side of a patch.
"""

from __future__ import annotations

from torch import Tensor, nn

PATCH = 48  # P, pixels


class EyeLocator(nn.Module):
    """Where the eyes are in a grey patch, and whether it shows a face at all.

    Shape:
        - patches: ``(N, 1, P, P)``, each of mean 0 and spread 1
        - returns: eyes ``(N, 2, 2)``, the picture's left one first, (x, y) as fractions of the
          side; and logits ``(N,)``, above 0 for a face

    >>> import torch
    >>> eyes, logits = EyeLocator()(torch.zeros(3, 1, 48, 48))
    >>> eyes.shape, logits.shape
    (torch.Size([3, 2, 2]), torch.Size([3]))
    """

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2),  # (N, 16, 24, 24)
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),  # (N, 32, 12, 12)
            nn.ReLU(),
            nn.Conv2d(32, 48, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(48, 64, 3, stride=2, padding=1),  # (N, 64, 6, 6)
            nn.ReLU(),
            nn.Conv2d(64, 24, 1),
            nn.ReLU(),
        )
        self.hidden = nn.Sequential(nn.Linear(24 * 6 * 6, 64), nn.ReLU())
        self.eyes = nn.Linear(64, 4)
        self.is_face = nn.Linear(64, 1)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        x = self.hidden(self.maps(patches).flatten(1))
        return 0.5 + self.eyes(x).view(-1, 2, 2), self.is_face(x).squeeze(1)
