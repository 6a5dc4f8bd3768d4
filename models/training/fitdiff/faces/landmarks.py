"""Where the 478 landmarks of the face mesh network lie on the template head.

Landmarks 0–467 are points of the skin, stored in ``landmarks.json`` as a triangle of the
subdivided skin and barycentric coordinates; ``python -m fitdiff faces landmarks`` derives that
file (see :mod:`fitdiff.faces.landmark_fit`). Landmarks 468–477 are the pupils' centres and four
points on each iris's rim and lie on the eyeballs.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np

from fitdiff.faces.figure import cornea_bulge

SKIN_LANDMARKS = 468
PATH = Path(__file__).with_name("landmarks.json")

IRIS_ANGLE = 0.435
"""Angular radius of the iris as seen from the eyeball's centre."""

RIGHT_IRIS, LEFT_IRIS = 468, 473
"""First landmark of each eye: the pupil's centre; the four that follow run around the rim."""


@cache
def skin_landmarks() -> tuple[np.ndarray, np.ndarray]:
    """Triangles int [468] of the subdivided, cut skin and barycentric coordinates [468, 3]."""
    table = json.loads(PATH.read_text())
    return np.array(table["triangles"]), np.array(table["bary"])


def iris_directions(rim_azimuths: list[float]) -> np.ndarray:
    """Directions [5, 3] from the eyeball's centre in radii: pupil, then the rim's four points."""
    rim = [[np.sin(IRIS_ANGLE) * np.cos(a), np.sin(IRIS_ANGLE) * np.sin(a), np.cos(IRIS_ANGLE)] for a in rim_azimuths]
    directions = np.array([[0.0, 0.0, 1.0], *rim])
    return directions * cornea_bulge(directions)[:, None]


def iris_azimuths() -> tuple[list[float], list[float]]:
    """Azimuths (radians, 0 towards +x) of the rim's points for the (right, left) eye, in landmark order."""
    table = json.loads(PATH.read_text())
    return table["right_iris"], table["left_iris"]


def landmark_mirror() -> np.ndarray:
    """Each skin landmark's counterpart on the other side, int [468], from the canonical face mesh."""
    return np.array(json.loads(PATH.read_text())["mirror"])
