"""Layout of the face-centred texture map: seam, boundary, and how much room each region gets.

The map opens at the back of the head: the seam runs along the midline from the nape to the crown.
The two copies of the seam become the top and the sides of a square, the cut of the neck becomes its
bottom. A target scale field asks for about twice the resolution on eyes, nose and mouth. The exact
layout follows from minimising distortion, see :mod:`fitdiff.faces.uv_solve`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitdiff.faces.anatomy import Anatomy
from fitdiff.faces.numerics import smoothstep
from fitdiff.faces.topology import HeadTopology

CROWN_Z = 0.25
"""The seam ends where the midline reaches this z (decimetres) on top of the head."""

CORNER_FRACTION = 0.35
"""Share of the seam's length that lies along the top edge; the rest runs down the sides."""

TOP = 0.91
"""Height of the map's top edge before the final rescaling, in units of its width."""

CHIN_DROOP = 0.12
"""Start value of how far the bottom edge sags in the middle."""


@dataclass
class UvDomain:
    """The cut mesh and the boundary conditions of the parametrisation.

    Attributes:
        quads: int [F, 4] of cut vertices.
        source: int [N], skin vertex of each cut vertex.
        triangles: int [T, 3]: both diagonals of each quad, then fans that fill eyes and mouth.
        triangle_weights: float [T], 0.5 for half-weighted diagonals, 1 for fans.
        is_fan: bool [T].
        positions: float [N + 3, 3], average head's cut vertices and the three fan centres.
        rest: the same for the base mesh's own shape.
        scale: float [N + 3], relative texel density asked for.
        boundary: vertex loop.
        bottom: vertices of the neck's cut, from one corner to the other.
        uv: float [N + 3, 2], start positions of the boundary.
        fixed: bool [N + 3, 2], coordinates that stay.
        mirror: int [N + 3], the cut vertex on the other side.
    """

    quads: np.ndarray
    source: np.ndarray
    triangles: np.ndarray
    triangle_weights: np.ndarray
    is_fan: np.ndarray
    positions: np.ndarray
    rest: np.ndarray
    scale: np.ndarray
    boundary: np.ndarray
    bottom: np.ndarray
    uv: np.ndarray
    fixed: np.ndarray
    mirror: np.ndarray


def build_domain(topology: HeadTopology, anatomy: Anatomy, average: np.ndarray) -> UvDomain:
    """Cut the skin and set up boundary and scale field on the average head [V, 3]."""
    count = topology.skin_count
    rest = topology.rest[:count]
    skin = average[:count].copy()
    quads = topology.parts["skin"]
    middle = np.abs(rest[:, 0]) < 1e-6
    skin[middle, 0] = 0

    seam = _seam(rest, quads, anatomy.neck_loop, middle)
    copies = {vertex: count + i for i, vertex in enumerate(seam[:-1])}
    cut = quads.copy()
    right = rest[quads].mean(1)[:, 0] < 0
    for old, new in copies.items():
        cut[right] = np.where(cut[right] == old, new, cut[right])
    source = np.concatenate([np.arange(count), seam[:-1]])

    positions, rest_cut = skin[source], rest[source]
    fans, centres = [], []
    for loop in (*anatomy.eye_loops, anatomy.mouth_loop):
        centre = len(source) + len(centres)
        centres.append(loop)
        fans += [[b, a, centre] for a, b in zip(loop, loop[1:] + loop[:1], strict=True)]
    positions = np.concatenate([positions, [positions[loop].mean(0) for loop in centres]])
    rest_cut = np.concatenate([rest_cut, [rest_cut[loop].mean(0) for loop in centres]])
    corners = ([0, 1, 2], [0, 2, 3], [0, 1, 3], [1, 2, 3])
    diagonals = np.concatenate([cut[:, corner] for corner in corners])
    triangles = np.concatenate([diagonals, np.array(fans)])
    is_fan = np.arange(len(triangles)) >= len(diagonals)

    left_seam = seam[::-1]
    right_seam = [seam[-1]] + [copies[vertex] for vertex in seam[:-1][::-1]]
    boundary = _boundary_loop(np.concatenate([cut[:, [0, 1, 2]], cut[:, [0, 2, 3]], np.array(fans)]), seam[-1])
    uv, fixed, bottom = _boundary_positions(positions, rest_cut, left_seam, right_seam, boundary)

    # Seam copies lie on top of each other: move them apart a little to find their mirror images.
    key = rest_cut.copy()
    for old, new in copies.items():
        key[old, 0] += 1e-3
        key[new, 0] -= 1e-3
    mirror = np.array([((key - point * [-1, 1, 1]) ** 2).sum(1).argmin() for point in key])
    return UvDomain(
        quads=cut,
        source=source,
        triangles=triangles,
        triangle_weights=np.where(is_fan, 1.0, 0.5),
        is_fan=is_fan,
        positions=positions,
        rest=rest_cut,
        scale=_scale_field(rest_cut),
        boundary=np.array(boundary),
        bottom=np.array(bottom),
        uv=uv,
        fixed=fixed,
        mirror=mirror,
    )


def _seam(rest: np.ndarray, quads: np.ndarray, neck: list[int], middle: np.ndarray) -> list[int]:
    """Midline vertices from the nape's cut up to the crown."""
    on_midline = set(np.flatnonzero(middle).tolist())
    neighbours: dict[int, set[int]] = {}
    for quad in quads.tolist():
        for a, b in zip(quad, quad[1:] + quad[:1], strict=True):
            if a in on_midline and b in on_midline:
                neighbours.setdefault(a, set()).add(b)
                neighbours.setdefault(b, set()).add(a)
    path = [min((v for v in neck if v in on_midline), key=lambda v: rest[v, 2])]
    while not (rest[path[-1], 1] > 8.2 and rest[path[-1], 2] > CROWN_Z):
        following = sorted(v for v in neighbours[path[-1]] if v not in path)
        path.append(following[0])
    return path


def _boundary_loop(triangles: np.ndarray, start: int) -> list[int]:
    edges = {(a, b) for t in triangles.tolist() for a, b in zip(t, t[1:] + t[:1], strict=True)}
    following = {a: b for a, b in edges if (b, a) not in edges}
    loop, vertex = [start], following[start]
    while vertex != start:
        loop.append(vertex)
        vertex = following[vertex]
    return loop


def _arc_length(points: np.ndarray) -> np.ndarray:
    lengths = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]
    return lengths / lengths[-1]


def _boundary_positions(
    positions: np.ndarray, rest: np.ndarray, left: list[int], right: list[int], boundary: list[int]
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Place the seam on top and sides (sliding along them) and the neck at the bottom (free)."""
    uv = np.zeros((len(positions), 2))
    fixed = np.zeros((len(positions), 2), bool)
    corner = int(np.abs(_arc_length(positions[left]) - CORNER_FRACTION).argmin())
    for vertices, sign in ((left, 1), (right, -1)):
        arc = _arc_length(positions[vertices])
        for i, vertex in enumerate(vertices):
            if i <= corner:
                uv[vertex] = [0.5 + sign * 0.5 * arc[i] / arc[corner], TOP]
                fixed[vertex, 1] = True
            if i >= corner:
                uv[vertex] = [0.5 + sign * 0.5, TOP * (1 - (arc[i] - arc[corner]) / (1 - arc[corner]))]
                fixed[vertex, 0] = True
        fixed[vertices[0]] = True
    seam = set(left) | set(right)
    neck = [vertex for vertex in boundary if vertex not in seam]
    if rest[neck[0], 0] < 0:
        neck.reverse()
    bottom = [left[-1], *neck, right[-1]]
    arc = _arc_length(positions[bottom])
    uv[bottom] = np.stack([1 - arc, -CHIN_DROOP * (1 - (2 * arc - 1) ** 2)], 1)
    return uv, fixed, bottom


def _scale_field(rest: np.ndarray) -> np.ndarray:
    """Relative texel density per vertex, from positions on the base mesh (decimetres)."""
    x, y, z = rest.T
    from_face = np.linalg.norm((rest - [0, 7.0, 1.45]) * [1, 0.95, 0.85], axis=1)
    scale = 1 - 0.45 * smoothstep(0.45, 1.0, from_face) - 0.33 * smoothstep(0.95, 1.7, from_face)
    for eye in ((0.31, 7.29, 1.36), (-0.31, 7.29, 1.36)):
        scale *= 1 + 0.35 * np.exp(-(((rest - eye) / [0.24, 0.17, 0.4]) ** 2).sum(1))
    scale *= 1 + 0.3 * np.exp(-(((rest - [0, 6.62, 1.5]) / [0.33, 0.2, 0.5]) ** 2).sum(1))
    scale *= 1 - 0.35 * smoothstep(6.2, 5.9, y)
    inside_nostril = (np.abs(x) < 0.16) & (y > 6.83) & (y < 6.95) & (z < 1.5) & (z > 1.2)
    scale[inside_nostril] *= 0.45
    ear = (np.abs(x) > 0.70) & (y > 6.75) & (y < 7.45) & (z > 0.3) & (z < 0.68)
    scale[ear] *= 0.85
    return scale
