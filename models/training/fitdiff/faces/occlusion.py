"""Ambient occlusion per vertex and shadow maps, both from orthographic depth maps."""

from __future__ import annotations

import numba as nb
import numpy as np

from fitdiff.faces.raster import rasterize_depth

OCCLUSION_BIAS = 0.03
"""Decimetres that a vertex may lie under the depth map and still count as lit."""


def orthographic(direction: np.ndarray, centre: np.ndarray, half_extent: float, size: int) -> np.ndarray:
    """Matrix [3, 4] from positions to (pixel x, pixel y, height towards the light)."""
    forward = direction / np.linalg.norm(direction)
    helper = [0, 1, 0] if abs(forward[1]) < 0.95 else [1, 0, 0]
    right = np.cross(helper, forward)
    right /= np.linalg.norm(right)
    up = np.cross(forward, right)
    scale = size / 2 / half_extent
    matrix = np.zeros((3, 4))
    matrix[0, :3], matrix[0, 3] = right * scale, size / 2 - scale * (right @ centre)
    matrix[1, :3], matrix[1, 3] = -up * scale, size / 2 + scale * (up @ centre)
    matrix[2, :3] = forward
    return matrix


def project(matrix: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Apply a matrix of :func:`orthographic` to positions [V, 3]."""
    return positions @ matrix[:, :3].T + matrix[:, 3]


def fibonacci_sphere(count: int) -> np.ndarray:
    """Evenly spread unit directions [count, 3]."""
    i = np.arange(count) + 0.5
    polar, azimuth = np.arccos(1 - 2 * i / count), np.pi * (1 + 5**0.5) * i
    return np.stack([np.cos(azimuth) * np.sin(polar), np.cos(polar), np.sin(azimuth) * np.sin(polar)], 1)


def vertex_occlusion(
    occluders: np.ndarray, triangles: np.ndarray, positions: np.ndarray, normals: np.ndarray,
    directions: int = 32, size: int = 128,
) -> np.ndarray:  # fmt: skip
    """Cosine-weighted openness 0…1 of each vertex.

    Args:
        occluders: [O, 3] vertices of ``triangles``; they begin with ``positions``.
        positions, normals: [V, 3].
        directions: number of depth maps.
        size: their side in pixels.
    """
    low, high = positions.min(0), positions.max(0)
    centre, half = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    lit, total, depth = np.zeros(len(positions)), np.zeros(len(positions)), np.empty((size, size))
    for direction in fibonacci_sphere(directions):
        points = project(orthographic(direction, centre, half, size), occluders)
        rasterize_depth(points, triangles, depth)
        _accumulate(depth, points, normals, direction, lit, total)
    return np.clip(lit / np.maximum(total, 1e-6), 0, 1)


@nb.njit(cache=True)
def _accumulate(depth, points, normals, direction, lit, total):
    size = depth.shape[0]
    for i in range(normals.shape[0]):
        cosine = normals[i, 0] * direction[0] + normals[i, 1] * direction[1] + normals[i, 2] * direction[2]
        if cosine <= 0:
            continue
        x, y = int(points[i, 0]), int(points[i, 1])
        total[i] += cosine
        outside = x < 0 or y < 0 or x >= size or y >= size
        if outside or points[i, 2] + OCCLUSION_BIAS >= depth[y, x]:
            lit[i] += cosine
