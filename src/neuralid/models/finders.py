"""Small networks that find faces.

One proposes them, one finds their eyes, one centres each eye, and one checks what was found.

Letters in shapes: N batch, H and W sides of a picture, P side of a patch.
"""

from __future__ import annotations

from torch import Tensor, nn

PATCH = 64  # P of `EyeLocator`, pixels
EYE_PATCH = 32  # P of `EyeCentre`
CHECK_PATCH = 40  # P of `FaceChecker`
STRIDE = 4  # pixels from one cell of `FaceProposer` to the next
WINDOW = 24  # side of the framed faces it is best at, pixels


class FaceProposer(nn.Module):
    """Tells whether a face is centred on each cell of a grey picture, and where its eyes are.

    Shape:
        - pictures: ``(N, 1, H, W)``, with local mean 0 and spread 1
        - returns: logits ``(N, h, w)`` and eyes ``(N, h, w, 2, 2)``, the picture's left one
          first, (x, y) from the cell's centre, in window sides; ``h = ceil(H / 4)``, ``w`` likewise

    >>> import torch
    >>> logits, eyes = FaceProposer()(torch.zeros(1, 1, 40, 31))
    >>> logits.shape, eyes.shape
    (torch.Size([1, 10, 8]), torch.Size([1, 10, 8, 2, 2]))
    """

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(
            nn.Conv2d(1, 12, 3, stride=2, padding=1),  # (N, 12, H / 2, W / 2)
            nn.ReLU(),
            nn.Conv2d(12, 24, 3, stride=2, padding=1),  # (N, 24, H / 4, W / 4)
            nn.ReLU(),
            nn.Conv2d(24, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=2, dilation=2),  # a cell now sees 39 pixels
            nn.ReLU(),
            nn.Conv2d(32, 5, 1),
        )

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        x = self.maps(pictures).permute(0, 2, 3, 1)
        return x[..., 0], x[..., 1:].unflatten(3, (2, 2))


class EyeLocator(nn.Module):
    """Finds the eyes in a grey patch, and tells whether it shows a face at all.

    Every data set frames faces in its own way, so the network gives one pair of eyes for each data
    set it learned from.

    Shape:
        - patches: ``(N, 1, P, P)``, each with mean 0 and spread 1
        - returns: eyes ``(N, K, 2, 2)``, K the ``frames``, the picture's left one first, (x, y) as
          fractions of the side; and logits ``(N,)``, above 0 for a face

    >>> import torch
    >>> eyes, logits = EyeLocator(frames=2)(torch.zeros(3, 1, 64, 64))
    >>> eyes.shape, logits.shape
    (torch.Size([3, 2, 2, 2]), torch.Size([3]))
    """

    def __init__(self, frames: int = 2) -> None:
        super().__init__()
        self.maps = nn.Sequential(
            *_step(1, 16, 5, stride=2),  # (N, 16, 32, 32)
            *_step(16, 32, 3, stride=2),  # (N, 32, 16, 16)
            *_step(32, 64, 3),
            *_step(64, 96, 3, stride=2),  # (N, 96, 8, 8)
            *_step(96, 24, 1),
        )
        self.hidden = nn.Sequential(nn.Linear(24 * 8 * 8, 64), nn.ReLU())
        self.eyes = nn.Linear(64, 4 * frames)
        self.is_face = nn.Linear(64, 1)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        x = self.hidden(self.maps(patches).flatten(1))
        return 0.5 + self.eyes(x).view(len(x), -1, 2, 2), self.is_face(x).squeeze(1)


class EyeCentre(nn.Module):
    """Finds the centre of an eye in a grey patch around it, and tells whether it is an eye.

    It sees little more than the eye, so it can't guess the place from the rest of the face. The
    patch shows the eye on the picture's left; patches of the other eye are mirrored.

    Shape:
        - patches: ``(N, 1, P, P)``, each with mean 0 and spread 1
        - returns: centres ``(N, 2)``, (x, y) as fractions of the side; and logits ``(N,)``

    >>> import torch
    >>> centres, logits = EyeCentre()(torch.zeros(3, 1, 32, 32))
    >>> centres.shape, logits.shape
    (torch.Size([3, 2]), torch.Size([3]))
    """

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2),  # (N, 16, 16, 16)
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),  # (N, 32, 8, 8)
            nn.ReLU(),
            nn.Conv2d(32, 48, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(48, 32, 1),
            nn.ReLU(),
        )
        self.hidden = nn.Sequential(nn.Linear(32 * 8 * 8, 32), nn.ReLU())
        self.centre = nn.Linear(32, 2)
        self.is_eye = nn.Linear(32, 1)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        x = self.hidden(self.maps(patches).flatten(1))
        return 0.5 + self.centre(x), self.is_eye(x).squeeze(1)


class FaceChecker(nn.Module):
    """Tells whether a pair of eyes that was found is one: two eyes of one face, upright.

    It sees the face framed by those eyes, down to the chin. Nostrils taken for eyes, an eye each
    of two people and an animal have no nose and mouth where a face has them.

    Shape:
        - patches: ``(N, 1, P, P)``, each with mean 0 and spread 1
        - returns: logits ``(N,)``, above 0 for a face whose eyes these are

    >>> import torch
    >>> FaceChecker()(torch.zeros(3, 1, 40, 40)).shape
    torch.Size([3])
    """

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2),  # (N, 16, 20, 20)
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),  # (N, 32, 10, 10)
            nn.ReLU(),
            nn.Conv2d(32, 48, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(48, 32, 3, stride=2, padding=1),  # (N, 32, 5, 5)
            nn.ReLU(),
        )
        self.hidden = nn.Sequential(nn.Linear(32 * 5 * 5, 32), nn.ReLU())
        self.is_face = nn.Linear(32, 1)

    def forward(self, patches: Tensor) -> Tensor:
        x: Tensor = self.is_face(self.hidden(self.maps(patches).flatten(1)))
        return x.squeeze(1)


def _step(channels: int, maps: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """A convolution, batch norm, ReLU."""
    return [
        nn.Conv2d(channels, maps, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(maps),
        nn.ReLU(),
    ]
