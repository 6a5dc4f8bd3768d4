"""Face chips of synthetic photos, cut by the bundle's own alignment rule.

The rule (five landmarks, least-squares similarity, box filter, bilinear sampling) is the
front-end's; here the landmarks are the projected points of the true head instead of a detector's.
"""

from __future__ import annotations

import numpy as np

from face_nets.chip import chip_similarity, extract_chip

PIXEL_CENTRE = 0.5
"""Our pixel coordinates put the first pixel's centre at 0.5, the front-end's at 0."""


def cut_chip(photo: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Photo uint8 [P, P, 3] and landmarks [478, 2] in its pixels → chip uint8 [150, 150, 3]."""
    chip = extract_chip(photo, chip_similarity(points - PIXEL_CENTRE))
    return np.rint(np.clip(chip, 0, 255)).astype(np.uint8)
