"""Small numeric helpers shared by the generator's modules."""

from __future__ import annotations

import numpy as np


def smoothstep(start: np.ndarray | float, end: np.ndarray | float, x: np.ndarray | float) -> np.ndarray:
    """Hermite step from 0 at ``start`` to 1 at ``end`` (``start > end`` gives a falling step)."""
    t = np.clip((x - start) / (end - start), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def normalize(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors [..., 3] to unit length; zero vectors stay zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Rotation matrix ``Rz(roll) @ Rx(pitch) @ Ry(yaw)``, degrees, for column vectors."""
    y, x, z = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return about_z @ about_x @ about_y
