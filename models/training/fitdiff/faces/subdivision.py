"""Catmull–Clark subdivision as a sparse linear operator, triangulation and vertex normals."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp


def catmull_clark(vertex_count: int, quads: np.ndarray) -> tuple[sp.csr_matrix, np.ndarray, sp.csr_matrix]:
    """One subdivision step of a quad mesh (Catmull and Clark 1978).

    Boundary edges follow the cubic B-spline curve rule, so a cut stays a smooth curve; vertices
    that no quad uses are copied.

    Args:
        vertex_count: number of input vertices.
        quads: int [F, 4].

    Returns:
        smooth: [N, vertex_count] operator; new vertices are old vertices, edge points, face points.
        new_quads: int [4 F, 4]; quads 4 i … 4 i + 3 come from quad i.
        linear: like ``smooth`` but without smoothing, for texture coordinates.
    """
    quads = np.asarray(quads)
    face_count = len(quads)
    starts, ends = quads, np.roll(quads, -1, axis=1)
    half_edges = np.sort(np.stack([starts.ravel(), ends.ravel()], 1), axis=1)
    edges, edge_of_corner, uses = np.unique(half_edges, axis=0, return_inverse=True, return_counts=True)
    edge_of_corner = edge_of_corner.reshape(face_count, 4)
    edge_count = len(edges)
    boundary = uses == 1

    def incidence(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int], value: float = 1.0) -> sp.csr_matrix:
        return sp.csr_matrix((np.full(rows.size, value), (rows.ravel(), columns.ravel())), shape)

    faces = np.repeat(np.arange(face_count), 4)
    edge_rows = np.repeat(np.arange(edge_count), 2)
    face_points = incidence(faces, quads, (face_count, vertex_count), 0.25)
    midpoints = incidence(edge_rows, edges, (edge_count, vertex_count), 0.5)
    edge_faces = incidence(edge_of_corner, faces, (edge_count, face_count), 0.5)
    edge_points = sp.diags(np.where(boundary, 1.0, 0.5)) @ midpoints
    edge_points += sp.diags(np.where(boundary, 0.0, 0.5)) @ (edge_faces @ face_points)

    valence = np.bincount(edges.ravel(), minlength=vertex_count).astype(float)
    used = valence > 0
    on_boundary = np.zeros(vertex_count, bool)
    on_boundary[edges[boundary].ravel()] = True
    count = np.maximum(valence, 1)
    identity = sp.identity(vertex_count)
    face_mean = _row_mean(incidence(quads, faces, (vertex_count, face_count))) @ face_points
    edge_mean = _row_mean(incidence(edges, edge_rows, (vertex_count, edge_count))) @ midpoints
    inner = sp.diags(1 / count) @ face_mean + sp.diags(2 / count) @ edge_mean + sp.diags((count - 3) / count) @ identity
    rim = edges[boundary]
    neighbours = incidence(rim, rim[:, ::-1], (vertex_count, vertex_count))
    outer = 0.75 * identity + 0.25 * _row_mean(neighbours)
    kept = sp.diags(np.where(on_boundary | ~used, 0.0, 1.0)) @ inner
    kept += sp.diags(np.where(on_boundary, 1.0, 0.0)) @ outer + sp.diags(np.where(used, 0.0, 1.0)) @ identity

    corner = np.arange(4)
    new_quads = np.stack(
        [
            quads,
            vertex_count + edge_of_corner,
            np.repeat(vertex_count + edge_count + np.arange(face_count)[:, None], 4, 1),
            vertex_count + edge_of_corner[:, corner - 1],
        ],
        axis=2,
    ).reshape(-1, 4)
    smooth = sp.vstack([kept, edge_points, face_points]).tocsr()
    linear = sp.vstack([identity, midpoints, face_points]).tocsr()
    return smooth, new_quads, linear


def _row_mean(matrix: sp.csr_matrix) -> sp.csr_matrix:
    return sp.diags(1 / np.maximum(np.asarray(matrix.sum(1)).ravel(), 1)) @ matrix


def triangulate(quads: np.ndarray) -> np.ndarray:
    """Split quads [F, 4] to triangles [2 F, 3]: first halves, then second halves."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def compact(vertex_count: int, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (used vertex indices, faces renumbered to them)."""
    used = np.unique(faces)
    renumber = np.full(vertex_count, -1)
    renumber[used] = np.arange(len(used))
    return used, renumber[faces]


def vertex_normals(positions: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals [V, 3]."""
    corners = positions[triangles]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return _unit(scatter_add(area, triangles, len(positions)))


def scatter_add(values: np.ndarray, triangles: np.ndarray, vertex_count: int) -> np.ndarray:
    """Sum per-triangle values [T, C] to the triangles' vertices [V, C]."""
    index = triangles.T.ravel()
    repeated = np.tile(values, (3, 1))
    return np.stack([np.bincount(index, repeated[:, c], vertex_count) for c in range(values.shape[1])], 1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
