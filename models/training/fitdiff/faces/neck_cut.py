"""The even end of the template's neck.

The skin of the generated people ends where a ring of the base mesh's quads ends: low at the throat and at the
shoulders, high between them. The template ends along a neckline instead: level around the nape, and sloping down to the
throat. The cut is made on the mean head, so that it goes with everybody's neck.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

NAPE_Y = -1.340
"""Height of the neckline at the sides and the nape, decimetres in the frame of the mean head."""
THROAT_FROM_Z = 0.05
"""Depth from which on it falls to the throat."""
THROAT_SLOPE = 0.65
"""Fall per length."""
BLEND = 0.05
"""Depth along which the one becomes the other."""
ON_LINE = 0.002
"""A vertex that is no farther from the neckline than this is on it, so that no slivers are cut."""


def height_above_neckline(points: np.ndarray) -> np.ndarray:
    """Height of points [..., 3] of the mean head above the neckline, decimetres; exactly 0 near it."""
    throat = BLEND * np.logaddexp(0.0, (points[..., 2] - THROAT_FROM_Z) / BLEND)
    height = points[..., 1] - NAPE_Y + THROAT_SLOPE * throat
    return np.where(np.abs(height) <= ON_LINE, 0.0, height)


def cut_below(heights: np.ndarray, triangles: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray, np.ndarray]:
    """Cut off what of a mesh lies below height 0.

    Args:
        heights: [N], of the vertices.
        triangles: int [T, 3].

    Returns:
        rows: [M, N], the new mesh's vertices as mixtures of the old ones: those that are left, then those on cut edges.
        triangles: int [U, 3]: those that are whole, in their order, then the pieces of cut ones.
        renumbered: int [T], the new index of each triangle that is whole, -1 for the others.
    """
    sign = np.sign(heights)[triangles]
    whole = (sign >= 0).all(1) & (sign > 0).any(1)
    cut: dict[tuple[int, int], int] = {}
    pieces = []
    for triangle in triangles[(sign > 0).any(1) & (sign < 0).any(1)]:
        polygon = []
        for a, b in zip(triangle.tolist(), np.roll(triangle, -1).tolist(), strict=True):
            if heights[a] >= 0:
                polygon.append((a, a))
            if heights[a] * heights[b] < 0:
                edge = (min(a, b), max(a, b))
                cut.setdefault(edge, len(cut))
                polygon.append(edge)
        pieces += [(polygon[0], polygon[i], polygon[i + 1]) for i in range(1, len(polygon) - 1)]

    left = np.unique([*triangles[whole].ravel(), *(a for piece in pieces for a, b in piece if a == b)]).astype(int)
    place = np.full(len(heights), -1)
    place[left] = np.arange(len(left))
    joined = [[place[a] if a == b else len(left) + cut[a, b] for a, b in piece] for piece in pieces]

    edges = np.array(list(cut), int).reshape(-1, 2)
    from_first = heights[edges[:, 0]] / (heights[edges[:, 0]] - heights[edges[:, 1]])
    index = np.concatenate([np.arange(len(left)), np.repeat(len(left) + np.arange(len(edges)), 2)])
    values = np.concatenate([np.ones(len(left)), np.stack([1 - from_first, from_first], 1).ravel()])
    mixed = np.concatenate([left, edges.ravel()])
    rows = sp.csr_matrix((values, (index, mixed)), (len(left) + len(edges), len(heights)))
    return (
        rows,
        np.concatenate([place[triangles[whole]], np.array(joined, int).reshape(-1, 3)]),
        np.where(whole, np.cumsum(whole) - 1, -1),
    )
