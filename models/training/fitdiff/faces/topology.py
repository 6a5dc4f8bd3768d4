"""The head cut out of the base mesh: parts, mirror map, subdivision and the morph target matrix.

The skin (head and neck, 3,377 vertices) is subdivided once. Mouth interior and eye sockets continue
the skin, so that the subdivision is smooth across lips and lid margins, but they are parts of
their own. Eyes, teeth, tongue, lashes and hair strips come from the base mesh's helper geometry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from fitdiff.errors import SourceDataError
from fitdiff.faces.makehuman import BaseMesh, MakeHumanData
from fitdiff.faces.subdivision import catmull_clark, compact, triangulate

NECK_RINGS = 4
"""Rings of body quads below the head's UV island that still belong to the skin."""

NECK_EXTENSION_RINGS = 8
SHOULDER_RINGS = 10

HELPERS = {
    "teeth_upper": "helper-upper-teeth",
    "teeth_lower": "helper-lower-teeth",
    "tongue": "helper-tongue",
    "eye_left": "helper-l-eye",
    "eye_right": "helper-r-eye",
    "lash_left_lower": "helper-l-eyelashes-1",
    "lash_left_upper": "helper-l-eyelashes-2",
    "lash_right_lower": "helper-r-eyelashes-1",
    "lash_right_upper": "helper-r-eyelashes-2",
    "hair": "helper-hair",
}
"""Part name → face group of the base mesh. Left is the person's left, x > 0."""


@dataclass(frozen=True)
class SubPart:
    """A part subdivided once: ``positions = operator @ head_positions``."""

    operator: sp.csr_matrix
    triangles: np.ndarray


@dataclass(frozen=True)
class HeadTopology:
    """All head vertices (skin first) and what connects them.

    Attributes:
        base_ids: int [V], index of each head vertex in the base mesh.
        skin_count: the first ``skin_count`` vertices are the skin's.
        rest: float64 [V, 3], the base mesh's own shape, decimetres.
        parts: name → quads [F, 4] of head vertices.
        mirror: int [V], the vertex at (-x, y, z); exact for this mesh.
        subdivide: [S, V], skin of one subdivision step.
        skin_quads: int [Q, 4] of subdivided skin vertices.
        skin_triangles: int [2 Q, 3].
        mouth, sockets, tongue, shoulders, neck: subdivided parts around the skin.
    """

    base_ids: np.ndarray
    skin_count: int
    rest: np.ndarray
    parts: dict[str, np.ndarray]
    mirror: np.ndarray
    subdivide: sp.csr_matrix
    skin_quads: np.ndarray
    skin_triangles: np.ndarray
    mouth: SubPart
    sockets: SubPart
    tongue: SubPart
    shoulders: SubPart
    neck: SubPart

    @property
    def vertex_count(self) -> int:
        """Number of head vertices before subdivision."""
        return len(self.base_ids)

    def part_vertices(self, name: str) -> np.ndarray:
        """Sorted vertex indices of one part."""
        return np.unique(self.parts[name])


@dataclass(frozen=True)
class MorphTargets:
    """Morph targets restricted to the head.

    Attributes:
        names: target names, sorted.
        index: name → row.
        matrix: float32 [T, 3 V], offsets in decimetres per unit weight.
        transposed: the same as [3 V, T], to apply a weight vector quickly.
    """

    names: list[str]
    index: dict[str, int]
    matrix: sp.csr_matrix
    transposed: sp.csr_matrix

    def dense(self, name: str) -> np.ndarray:
        """One target as offsets [V, 3]."""
        return self.matrix[self.index[name]].toarray().reshape(-1, 3).astype(float)

    def peak_mm(self, name: str, vertices: int) -> float:
        """Largest displacement in millimetres among the first ``vertices`` vertices."""
        return float(np.linalg.norm(self.dense(name)[:vertices], axis=1).max() * 100)

    def vector(self, weights: dict[str, float]) -> np.ndarray:
        """Weights by name → dense float32 [T]."""
        out = np.zeros(len(self.names), np.float32)
        for name, weight in weights.items():
            out[self.index[name]] += weight
        return out


def build_topology(data: MakeHumanData) -> HeadTopology:
    """Cut the head out of the base mesh.

    Raises:
        SourceDataError: the base mesh is not the expected one.
    """
    base = data.base
    quads = _cut_parts(base)
    skin_base = np.unique(quads["skin"])
    everything = np.unique(np.concatenate([part.ravel() for part in quads.values()]))
    base_ids = np.concatenate([skin_base, np.setdiff1d(everything, skin_base)])
    local = np.full(len(base.positions), -1)
    local[base_ids] = np.arange(len(base_ids))
    parts = {name: local[part] for name, part in quads.items()}
    rest = base.positions[base_ids]
    distance, mirror = cKDTree(rest).query(rest * [-1, 1, 1])
    if distance.max() > 1e-3:
        raise SourceDataError("3dobjs/base.obj: the head is not mirror-symmetric; is this MakeHuman's base mesh?")

    count = len(base_ids)
    joined = np.concatenate([parts["skin"], parts["mouth"], parts["sockets"]])
    smooth, new_quads, _ = catmull_clark(count, joined)
    skin_end = 4 * len(parts["skin"])
    mouth_end = skin_end + 4 * len(parts["mouth"])
    used, skin_quads = compact(smooth.shape[0], new_quads[:skin_end])

    def piece(faces: np.ndarray) -> SubPart:
        vertices, renumbered = compact(smooth.shape[0], faces)
        return SubPart(smooth[vertices].tocsr(), triangulate(renumbered))

    return HeadTopology(
        base_ids=base_ids,
        skin_count=len(skin_base),
        rest=rest,
        parts=parts,
        mirror=mirror,
        subdivide=smooth[used].tocsr(),
        skin_quads=skin_quads,
        skin_triangles=triangulate(skin_quads),
        mouth=piece(new_quads[skin_end:mouth_end]),
        sockets=piece(new_quads[mouth_end:]),
        tongue=_subdivided(count, parts["tongue"]),
        shoulders=_subdivided(count, parts["shoulders"]),
        neck=_subdivided(count, parts["neck"]),
    )


def build_targets(data: MakeHumanData, topology: HeadTopology) -> MorphTargets:
    """Read every morph target that moves the head."""
    local = np.full(len(data.base.positions), -1)
    local[topology.base_ids] = np.arange(topology.vertex_count)
    names: list[str] = []
    rows, columns, values = [], [], []
    for name in data.target_paths:
        indices, offsets = data.target(name)
        vertices = local[indices]
        kept = vertices >= 0
        # The average body's targets may be empty; they stay, as the macro weights name them.
        if not kept.any() and "averagemuscle-averageweight" not in name:
            continue
        for axis in range(3):
            rows.append(np.full(kept.sum(), len(names)))
            columns.append(vertices[kept] * 3 + axis)
            values.append(offsets[kept, axis])
        names.append(name)
    matrix = sp.csr_matrix(
        (np.concatenate(values).astype(np.float32), (np.concatenate(rows), np.concatenate(columns))),
        (len(names), topology.vertex_count * 3),
    )
    return MorphTargets(names, {name: i for i, name in enumerate(names)}, matrix, matrix.T.tocsr())


def _subdivided(vertex_count: int, quads: np.ndarray) -> SubPart:
    smooth, new_quads, _ = catmull_clark(vertex_count, quads)
    used, renumbered = compact(smooth.shape[0], new_quads)
    return SubPart(smooth[used].tocsr(), triangulate(renumbered))


def _uv_islands(base: BaseMesh, selected: np.ndarray) -> np.ndarray:
    corners = base.uv_quads[selected]
    rows, columns = corners.ravel(), np.roll(corners, 1, 1).ravel()
    graph = sp.coo_matrix((np.ones(len(rows)), (rows, columns)), (base.uv_count, base.uv_count))
    return connected_components(graph, directed=False)[1][corners[:, 0]]


def _cut_parts(base: BaseMesh) -> dict[str, np.ndarray]:
    """Find the parts by MakeHuman's UV islands and count rings of quads down the neck."""
    body = base.groups == "body"
    quads = base.quads[body]
    centres = base.positions[quads].mean(1)
    island = _uv_islands(base, body)
    head = island == island[centres[:, 1].argmax()]
    sizes = {i: int((island == i).sum()) for i in np.unique(island)}
    torso = island == max(sizes, key=lambda i: sizes[i] * (i != island[head][0]))
    inside = [i for i in sizes if (centres[island == i][:, 1] > 6.0).all() and i != island[head][0]]
    mouth = [i for i in inside if abs(centres[island == i][:, 0].mean()) < 0.02]
    sockets = [i for i in inside if abs(abs(centres[island == i][:, 0].mean()) - 0.32) < 0.05]
    if head.sum() != 3116 or len(mouth) != 1 or len(sockets) != 2:
        raise SourceDataError(
            f"3dobjs/base.obj: expected a head of 3116 quads, one mouth and two eye sockets; found {head.sum()}, "
            f"{len(mouth)} and {len(sockets)}; is this MakeHuman's base mesh?"
        )
    vertex_ring = np.full(len(base.positions), 99)
    vertex_ring[np.unique(quads[head])] = 0
    ring = np.full(len(quads), 99)
    for k in range(1, SHOULDER_RINGS + 1):
        reached = torso & (ring == 99) & (vertex_ring[quads] < k).any(1)
        ring[reached] = k
        new = np.unique(quads[reached])
        vertex_ring[new[vertex_ring[new] == 99]] = k
    skin = head | (ring <= NECK_RINGS)
    parts = {
        "skin": quads[skin],
        "mouth": quads[island == mouth[0]],
        "sockets": quads[np.isin(island, sockets)],
        "neck": quads[~skin & torso & (ring <= NECK_EXTENSION_RINGS)],
        "shoulders": quads[torso & (ring >= 2) & (ring <= SHOULDER_RINGS)],
    }
    parts.update({name: base.quads[base.groups == group] for name, group in HELPERS.items()})
    empty = [HELPERS[name] for name in HELPERS if not len(parts[name])]
    if empty:
        raise SourceDataError(f"3dobjs/base.obj: face group {empty[0]} is missing")
    return parts
