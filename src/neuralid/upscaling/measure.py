"""Measures of a picture's light: noise, softness, range. Light is ``(H, W)`` in [0, 1].

References
----------
.. [1] D. Donoho, "De-noising by soft-thresholding", IEEE Transactions on Information Theory 41(3),
       1995 (the finest diagonal differences hold the noise and little else).
"""

from __future__ import annotations

import cv2
import numpy as np

WINDOW = 7  # pixels over which the differences are averaged
QUIETEST = 10  # per cent of the windows, taken to hold noise only and no detail
OF_NOISE = 0.649  # the measure of white noise with standard deviation 1
LEAST, MOST = 0.5, 99.5  # per cent: darker and lighter pixels are ignored


def noise_level(plane: np.ndarray) -> float:
    """Standard deviation of the noise in ``(H, W)``; 0 for a picture smaller than 2x2 pixels.

    The mean diagonal difference [1]_ in the quietest tenth of all windows. Detail, which fills most
    of a small face, hardly affects it.
    """
    if min(plane.shape) < 2:
        return 0.0
    diagonal = (plane[:-1, :-1] - plane[1:, :-1] - plane[:-1, 1:] + plane[1:, 1:]) / 2
    local = cv2.blur(np.abs(diagonal), (WINDOW, WINDOW), borderType=cv2.BORDER_REFLECT)
    return float(np.percentile(local, QUIETEST)) / OF_NOISE


def fineness(light: np.ndarray) -> float:
    """The share of the contrast that is lost when a picture is halved and doubled again.

    Near 0 for a picture that was enlarged before. 1 for a picture without contrast, or smaller than
    4x4 pixels.
    """
    h, w = light.shape
    spread = float(light.std())
    if min(h, w) < 4 or spread == 0:
        return 1.0
    half = cv2.resize(light, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
    again = cv2.resize(half, (w, h), interpolation=cv2.INTER_CUBIC)
    return float(np.sqrt(np.square(light - again).mean())) / spread


def light_range(light: np.ndarray) -> tuple[float, float]:
    """The dark and the light end, ignoring 0.5% of the pixels at each."""
    low, high = np.percentile(light, (LEAST, MOST))
    return float(low), float(high)
