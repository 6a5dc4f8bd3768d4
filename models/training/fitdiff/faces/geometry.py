"""Head vertices of a person: base mesh plus weighted morph targets."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from fitdiff.faces.identity import IdentitySampler, Traits
from fitdiff.faces.macro import macro_weights
from fitdiff.faces.topology import HeadTopology, MorphTargets


class HeadGeometry:
    """Applies morph weights to the head's vertices."""

    def __init__(self, topology: HeadTopology, targets: MorphTargets):
        self.topology = topology
        self.targets = targets
        self.sampler = IdentitySampler(topology, targets)

    def apply(self, weights: np.ndarray) -> np.ndarray:
        """Morph weights [T] → head vertices float64 [V, 3], decimetres."""
        return self.topology.rest + (self.targets.transposed @ weights).reshape(-1, 3).astype(float)

    def person(self, seed: int, traits: Traits | None = None) -> np.ndarray:
        """Head vertices of the person with this seed, in MakeHuman's pose and place."""
        return self.apply(self.sampler.weights(seed, traits))

    def average(self) -> np.ndarray:
        """Equal mixture of the archetypes, between the genders, 25 years."""
        weights = macro_weights(self.targets.index, [1 / 3] * 3, 0.5, 25.0)
        return self.apply(self.targets.vector(weights))


class EyeFit:
    """Eyeball spheres as linear functions of the head's vertices.

    The helper eyes' outermost vertices along x, y and z are picked once on the base mesh; centre
    and radius of any person's eyeball are means of them.
    """

    def __init__(self, topology: HeadTopology):
        self._extremes = []
        self._vertex_count = topology.vertex_count
        for name in ("eye_left", "eye_right"):
            indices = topology.part_vertices(name)
            corners = topology.rest[indices]
            self._extremes.append((indices[corners.argmin(0)], indices[corners.argmax(0)]))

    def __call__(self, vertices: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """Centre [3] and radius of the (left, right) eyeball, decimetres, of vertices [V, 3]."""
        axes = np.arange(3)
        spheres = []
        for low, high in self._extremes:
            centre = (vertices[low, axes] + vertices[high, axes]) / 2
            spheres.append((centre, float(vertices[high[1], 1] - vertices[low[1], 1]) / 2))
        return spheres

    def operator(self, side: int, directions: np.ndarray) -> sp.csr_matrix:
        """Matrix [3 D, 3 V] from flattened vertices to points ``centre + radius * direction``.

        Args:
            side: 0 left, 1 right.
            directions: [D, 3] in units of the radius.
        """
        low, high = self._extremes[side]
        count = len(directions)
        rows, columns, values = [], [], []
        for axis in range(3):
            own = 3 * np.arange(count) + axis
            for vertex in (low[axis], high[axis]):
                rows.append(own)
                columns.append(np.full(count, 3 * vertex + axis))
                values.append(np.full(count, 0.5))
            for vertex, sign in ((high[1], 0.5), (low[1], -0.5)):
                rows.append(own)
                columns.append(np.full(count, 3 * vertex + 1))
                values.append(sign * directions[:, axis])
        size = (3 * count, 3 * self._vertex_count)
        return sp.csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), size)
