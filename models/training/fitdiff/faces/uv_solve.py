"""Least-distortion parametrisation of the cut head.

Minimises the symmetric Dirichlet energy by the local/global scheme of Rabinovich et al., "Scalable
Locally Injective Mappings" (2017), from Tutte's embedding. A line search rejects every step that
would turn a triangle over, so the map has no flips.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spl

from fitdiff.faces.subdivision import catmull_clark, compact, triangulate
from fitdiff.faces.topology import HeadTopology
from fitdiff.faces.uv_domain import TOP, UvDomain

MAX_ITERATIONS = 200
RELATIVE_TOLERANCE = 1e-5
BOTTOM_PENALTY = 0.02
"""Pull of the neck's cut towards the bottom edge."""

MARGIN = 0.004
"""Free border around the map, in units of its side."""

QUANTUM = 2.0**-16
"""Texture coordinates are rounded to this, so that rounding differences between machines vanish."""


@dataclass(frozen=True)
class UvMap:
    """Texture coordinates of the subdivided skin, cut along the seam.

    Attributes:
        uv: float64 [N, 2], origin bottom-left (v up); flip v for files.
        triangles: int32 [T, 3] of cut vertices, counter-clockwise in (u, v up).
        quads: int [Q, 4] of cut vertices, in the order of the topology's ``skin_quads``.
        source: int [N], subdivided skin vertex of each cut vertex.
    """

    uv: np.ndarray
    triangles: np.ndarray
    quads: np.ndarray
    source: np.ndarray


def solve(domain: UvDomain) -> np.ndarray:
    """Return texture coordinates [N, 2] of the cut, not subdivided, vertices (v up, 0…1)."""
    energy = _Distortion(domain)
    uv = energy.minimise(_tutte(domain))
    mirrored = np.stack([1 - uv[domain.mirror, 0], uv[domain.mirror, 1]], 1)
    uv = (uv + mirrored) / 2
    low = uv[:, 1].min()
    uv = np.stack([uv[:, 0], (uv[:, 1] - low) / (TOP - low)], 1)
    return (MARGIN + (1 - 2 * MARGIN) * uv)[: len(domain.source)]


def subdivide_map(topology: HeadTopology, domain: UvDomain, uv: np.ndarray) -> UvMap:
    """Carry the map to the subdivided skin."""
    smooth, quads, linear = catmull_clark(len(domain.source), domain.quads)
    used, quads = compact(smooth.shape[0], quads)
    fine = np.rint((linear @ uv)[used] / QUANTUM) * QUANTUM
    source = np.full(len(used), -1)
    source[quads.ravel()] = topology.skin_quads.ravel()
    return UvMap(fine, triangulate(quads).astype(np.int32), quads, source)


def _tutte(domain: UvDomain) -> np.ndarray:
    """Convex-combination start with uniform weights; injective for a convex boundary."""
    count = len(domain.positions)
    t = domain.triangles
    rows, columns = t.T.ravel(), t[:, [1, 2, 0]].T.ravel()
    graph = sp.csr_matrix((np.ones(len(rows)), (rows, columns)), (count, count))
    graph = ((graph + graph.T) > 0).astype(float)
    laplacian = (sp.diags(np.asarray(graph.sum(1)).ravel()) - graph).tocsr()
    free = np.setdiff1d(np.arange(count), domain.boundary)
    uv = domain.uv.copy()
    inner = laplacian[free][:, free].tocsc()
    outer = laplacian[free][:, domain.boundary]
    for axis in range(2):
        uv[free, axis] = spl.spsolve(inner, -(outer @ uv[domain.boundary, axis]))
    return uv


class _Distortion:
    """Symmetric Dirichlet energy of a map and its descent steps."""

    def __init__(self, domain: UvDomain):
        self.bottom = domain.bottom
        self.count = len(domain.positions)
        self.free = np.flatnonzero(~domain.fixed.T.ravel())
        corners = domain.positions[domain.triangles]
        edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        length = np.linalg.norm(edge1, axis=1)
        axis = edge1 / length[:, None]
        along = (edge2 * axis).sum(1)
        across = np.maximum(np.linalg.norm(edge2 - along[:, None] * axis, axis=1), 0.02 * length)
        surface = 0.5 * length * across
        scale = domain.scale[domain.triangles].mean(1)
        scale[domain.is_fan] *= 0.5
        wanted = surface * scale**2 * domain.triangle_weights
        normaliser = scale / np.sqrt(wanted[~domain.is_fan].sum())
        length, along, across = length * normaliser, along * normaliser, across * normaliser
        weight = wanted / wanted.sum() * np.where(domain.is_fan, 0.05, 1.0)
        self.weight = weight * np.maximum(scale, 0.12)
        # Rows of these operators give the map's derivatives along the triangle's own two axes.
        rows = np.repeat(np.arange(len(length)), 3)
        shape = (len(length), self.count)
        slope_x = np.stack([-1 / length, 1 / length, 0 * length], 1)
        skew = along / (length * across)
        slope_y = np.stack([-1 / across + skew, -skew, 1 / across], 1)
        columns = domain.triangles.ravel()
        self.derivatives = (
            sp.csr_matrix((slope_x.ravel(), (rows, columns)), shape),
            sp.csr_matrix((slope_y.ravel(), (rows, columns)), shape),
        )

    def energy(self, uv: np.ndarray) -> float:
        """Weighted energy; infinite if any triangle is turned over."""
        dx, dy = (operator @ uv for operator in self.derivatives)
        determinant = dx[:, 0] * dy[:, 1] - dx[:, 1] * dy[:, 0]
        if (determinant <= 0).any():
            return np.inf
        squares = (dx * dx).sum(1) + (dy * dy).sum(1)
        value = (self.weight * squares * (1 + 1 / determinant**2)).sum()
        return float(value + BOTTOM_PENALTY * (uv[self.bottom, 1] ** 2).sum())

    def minimise(self, uv: np.ndarray) -> np.ndarray:
        """Descend until an iteration gains less than :data:`RELATIVE_TOLERANCE`."""
        energy = self.energy(uv)
        for _ in range(MAX_ITERATIONS):
            step, length = self._step(uv), 1.0
            while length > 1e-6 and not self.energy(uv + length * step) < energy:
                length *= 0.7
            if length <= 1e-6:
                break
            uv = uv + length * step
            previous, energy = energy, self.energy(uv)
            if (previous - energy) / previous < RELATIVE_TOLERANCE:
                break
        return uv

    def _step(self, uv: np.ndarray) -> np.ndarray:
        """Minimiser of the reweighted proxy: nearest rotations, then one sparse solve."""
        jacobian = np.stack([operator @ uv for operator in self.derivatives], 2)
        left, sigma, right = np.linalg.svd(jacobian)
        rotations = left @ right
        sigma = np.maximum(sigma, 1e-8)
        near_one = np.abs(sigma - 1) < 1e-4
        ratio = np.where(near_one, 4.0, (sigma - sigma**-3) / np.where(near_one, 1, sigma - 1))
        stretch = np.minimum(np.sqrt(np.maximum(ratio, 1e-8)), 1e4)
        metric = (left * stretch[:, None, :]) @ left.transpose(0, 2, 1)
        root = np.sqrt(self.weight)
        blocks, targets = [], []
        for i in range(2):
            weight_u, weight_v = sp.diags(root * metric[:, i, 0]), sp.diags(root * metric[:, i, 1])
            for j, operator in enumerate(self.derivatives):
                blocks.append(sp.hstack([weight_u @ operator, weight_v @ operator]))
                targets.append(root * (metric[:, i, 0] * rotations[:, 0, j] + metric[:, i, 1] * rotations[:, 1, j]))
        size = len(self.bottom)
        strength = np.full(size, np.sqrt(BOTTOM_PENALTY))
        pull = sp.csr_matrix((strength, (np.arange(size), self.count + self.bottom)), (size, 2 * self.count))
        system = sp.vstack([*blocks, pull]).tocsc()
        residual = np.concatenate([*targets, np.zeros(size)]) - system @ uv.T.ravel()
        reduced = system[:, self.free]
        normal = reduced.T @ reduced
        normal = normal + 1e-9 * normal.diagonal().mean() * sp.identity(normal.shape[0])
        step = np.zeros(2 * self.count)
        step[self.free] = spl.spsolve(normal.tocsc(), reduced.T @ residual)
        return step.reshape(2, self.count).T
