"""What a picture's light says about it: noise, softness, range. Light is ``(H, W)`` in [0, 1].

References
----------
.. [1] D. Donoho, "De-noising by soft-thresholding", IEEE Transactions on Information Theory 41(3),
       1995 (the finest diagonal differences hold the noise and little else).
"""

from __future__ import annotations

import cv2
import numpy as np

WINDOW = 7  # pixels over which the differences are averaged
QUIETEST = 10  # per cent of the windows: in the least of them there is no detail, only noise
OF_NOISE = 0.649  # what white noise of standard deviation 1 gives there
LEAST, MOST = 0.5, 99.5  # per cent: pixels darker or lighter say nothing of the range


def noise_level(plane: np.ndarray) -> float:
    """Standard deviation of the noise in ``(H, W)``; 0 for a picture of less than 2x2 pixels.

    The average diagonal difference [1]_ in the quietest tenth of all windows: detail, which fills
    most of a small face, hardly adds to it.
    """
    if min(plane.shape) < 2:
        return 0.0
    diagonal = (plane[:-1, :-1] - plane[1:, :-1] - plane[:-1, 1:] + plane[1:, 1:]) / 2
    local = cv2.blur(np.abs(diagonal), (WINDOW, WINDOW), borderType=cv2.BORDER_REFLECT)
    return float(np.percentile(local, QUIETEST)) / OF_NOISE


def fineness(light: np.ndarray) -> float:
    """The share of the contrast that is lost when a picture is halved and doubled again.

    A picture that was enlarged before loses next to nothing. 1 for one without contrast, or of
    less than 4x4 pixels.
    """
    h, w = light.shape
    spread = float(light.std())
    if min(h, w) < 4 or spread == 0:
        return 1.0
    half = cv2.resize(light, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
    again = cv2.resize(half, (w, h), interpolation=cv2.INTER_CUBIC)
    return float(np.sqrt(np.square(light - again).mean())) / spread


def light_range(light: np.ndarray) -> tuple[float, float]:
    """The dark and the light end, without the half per cent of the pixels beyond each."""
    low, high = np.percentile(light, (LEAST, MOST))
    return float(low), float(high)
