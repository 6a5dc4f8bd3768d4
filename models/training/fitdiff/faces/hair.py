"""Hair geometry: fur shells on scalp and beard, long-hair cards, eyelashes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from fitdiff.faces.appearance import HAIR_STYLES, Appearance
from fitdiff.faces.facial_hair import beard_region
from fitdiff.faces.hair_raster import CARD, LASH, SHELL
from fitdiff.faces.numerics import normalize, smoothstep
from fitdiff.faces.skin import SkinPainter
from fitdiff.faces.subdivision import catmull_clark, compact, triangulate, vertex_normals
from fitdiff.faces.topology import HeadTopology
from fitdiff.faces.uv_solve import UvMap

SHELL_LAYERS = 14
CROPPED_LAYERS = 7
BEARD_LAYERS = 7
LASH_PARTS = ("lash_left_upper", "lash_left_lower", "lash_right_upper", "lash_right_lower")


@dataclass(frozen=True)
class HairLayer:
    """Triangles whose pixels are alpha-tested strands.

    Attributes:
        kind: see :mod:`fitdiff.faces.hair_raster`.
        positions, normals, tangents: [V, 3]; tangents run along the strands.
        strand_data: [V, 6], see :func:`fitdiff.faces.hair_raster.rasterize_hair`.
        triangles: int32 [T, 3].
        scale: strand spacing, millimetres.
        is_beard: coloured as beard instead of as scalp hair.
        occluder: triangles (with positions) that cast shadows for this layer, if any.
    """

    kind: int
    positions: np.ndarray
    normals: np.ndarray
    tangents: np.ndarray
    strand_data: np.ndarray
    triangles: np.ndarray
    scale: float
    is_beard: bool = False
    occluder: tuple[np.ndarray, np.ndarray] | None = None


@dataclass(frozen=True)
class _Strip:
    """One hair strip of the helper geometry, subdivided twice."""

    vertices: np.ndarray
    operator: sp.csr_matrix
    triangles: np.ndarray
    bottom: float
    middle: np.ndarray
    canonical: np.ndarray


class HairBuilder:
    """Builds the hair of any person on a posed head."""

    def __init__(self, topology: HeadTopology, uv_map: UvMap, painter: SkinPainter):
        self.topology = topology
        self.triangles = uv_map.triangles
        surface = topology.subdivide @ topology.rest
        self.canonical = surface[uv_map.source]
        self.canonical_normals = vertex_normals(surface, topology.skin_triangles)[uv_map.source]
        size = painter.size
        columns = np.clip((uv_map.uv[:, 0] * size).astype(int), 0, size - 1)
        rows = np.clip(((1 - uv_map.uv[:, 1]) * size).astype(int), 0, size - 1)
        self._rows, self._columns = rows, columns
        self._regions = painter.regions
        self._scalp_margin = painter.regions.scalp_margin[rows, columns].astype(float)
        self._moustache = painter.regions.moustache[rows, columns].astype(float)
        self._strips = _hair_strips(topology)
        self._lashes = _lash_strips(topology)

    def scalp(
        self, positions: np.ndarray, normals: np.ndarray, person: Appearance, rng: np.random.Generator
    ) -> HairLayer | None:
        """Shells over the scalp; ``positions`` and ``normals`` [N, 3] of the cut, posed skin."""
        style = HAIR_STYLES[person.hair_style]
        if style == "bald":
            return None
        mask = smoothstep(-0.03, 0.10, self._scalp_margin - person.hairline)
        used, triangles = _selected(self.triangles, mask, 0.15)
        density, roots, root_normals = mask[used], self.canonical[used], self.canonical_normals[used]
        top = smoothstep(7.75, 8.2, roots[:, 1])
        if style == "cropped":
            length, comb, direction = np.full(len(used), rng.uniform(0.02, 0.05)), 0.0, "back"
        elif style == "short":
            length = rng.uniform(0.05, 0.09) + rng.uniform(0.10, 0.28) * top
            comb, direction = 1.0, str(rng.choice(["forward", "back", "left", "right"]))
        else:
            length, comb = rng.uniform(0.08, 0.14) + 0.06 * top, 1.0
            direction = str(rng.choice(["back", "parted", "parted"]))
        length = length * np.clip(1.3 * density - 0.2, 0.06, 1) ** 0.8
        upward = smoothstep(0.35, 0.75, root_normals[:, 1])
        flow = _flow(roots, root_normals, upward, direction)
        sideways = direction in ("left", "right", "parted")
        along_top = np.zeros(len(used)) if sideways else upward
        millimetres = roots[:, [2, 1, 0]] * 100 if sideways else roots * 100
        x, n = positions[used], normals[used]
        count = CROPPED_LAYERS if style == "cropped" else SHELL_LAYERS
        parts = []
        for k in range(count, 0, -1):
            level = k / count
            rise = (length * (level - 0.25 * level**2))[:, None]
            lean = (comb * length * (1.1 * level**2 + 0.25 * level))[:, None]
            data = np.c_[millimetres, np.full(len(used), level), np.clip(1.15 * density, 0, 1), along_top]
            parts.append((x + n * rise + flow * lean, n, 0.8 * flow + n * 0.35 * (1 - level), data))
        occluder = x + n * (0.55 * length)[:, None] + flow * (0.4 * comb * length)[:, None]
        solid = triangles[density[triangles].min(1) > 0.5]
        return _stack(SHELL, parts, triangles, 0.9, occluder=(occluder, solid))

    def beard(self, positions: np.ndarray, normals: np.ndarray, person: Appearance) -> HairLayer | None:
        """Shells over the beard, for beards that stand off the skin."""
        if person.beard <= 0.3:
            return None
        mask = beard_region(person, self._regions)[self._rows, self._columns].astype(float)
        used, triangles = _selected(self.triangles, mask, 0.2)
        density, x, n = mask[used], positions[used], normals[used]
        length = (0.015 + 0.11 * person.beard**1.5) * np.clip(1.25 * density - 0.15, 0.04, 1)
        length = length * (1 - 0.45 * self._moustache[used])
        side = np.sign(self.canonical[used, 0])
        flow = np.stack([0.35 * side, np.full(len(used), -1.0), np.full(len(used), 0.1)], 1)
        flow = normalize(flow - n * (flow * n).sum(1, keepdims=True))
        millimetres = self.canonical[used][:, [2, 1, 0]] * 100
        parts = []
        for k in range(BEARD_LAYERS, 0, -1):
            level = k / BEARD_LAYERS
            rise = (0.55 * length * level)[:, None]
            lean = (length * (0.25 * level + 0.6 * level**2))[:, None]
            data = np.c_[millimetres, np.full(len(used), level), 0.9 * density, np.zeros(len(used))]
            parts.append((x + n * rise + flow * lean, n, flow + 0.4 * n, data))
        return _stack(SHELL, parts, triangles, 0.75, is_beard=True)

    def cards(self, vertices: np.ndarray, length: float) -> HairLayer:
        """Long hair from the helper strips that do not cover the face.

        Args:
            vertices: posed head vertices [V, 3].
            length: 1 reaches the strips' own ends.
        """
        parts, triangles, offset = [], [], 0
        for strip in self._strips:
            if strip.middle[2] > 0.95 and abs(strip.middle[0]) < 0.78:
                continue
            surface = strip.operator @ vertices[strip.vertices]
            normals = vertex_normals(surface, strip.triangles)
            outward = np.sign(((surface - [0, 7.2, 0.3]) * normals).sum(1, keepdims=True))
            normals = normals * outward
            end = 8.4 - (8.4 - strip.bottom) * length
            along = np.clip((8.4 - strip.canonical[:, 1]) / (8.4 - end), 0, 1.5)
            sideways = abs(strip.middle[0]) > 0.6
            across = strip.canonical[:, 2 if sideways else 0] * 100
            down = np.array([0, -1.0, 0]) + 0 * normals
            down = normalize(down - normals * (down * normals).sum(1, keepdims=True))
            # A second layer outside for thickness, a third inside so that gaps show hair, not background.
            inner = surface * [0.9, 1, 0.94]
            for copy, positions in enumerate((surface, surface + 0.03 * normals, inner)):
                data = np.c_[
                    across + 37 * copy,
                    4 * along,
                    np.full(len(along), 11.0 * copy + 7 * strip.middle[0]),
                    np.clip((along - 0.55) / 0.45, 0, 2),
                    np.where(along > 1.02, 0.0, 1.0),
                    np.zeros(len(along)),
                ]
                parts.append((positions, normals, down, data))
                triangles.append(strip.triangles + offset)
                offset += len(surface)
        joined = np.concatenate(triangles).astype(np.int32)
        positions, normals, tangents, data = (np.concatenate(column) for column in zip(*parts, strict=True))
        return HairLayer(CARD, positions, normals, tangents, data, joined, 1.1, occluder=(positions, joined))

    def lashes(self, vertices: np.ndarray) -> HairLayer:
        """Eyelash strips on posed head vertices [V, 3]."""
        parts, triangles, offset = [], [], 0
        for strip_vertices, faces, across, height, upper in self._lashes:
            count = len(strip_vertices)
            zeros = np.zeros(count)
            data = np.c_[
                across * (1 + 0.25 * height), zeros, zeros, height, np.full(count, 0.95 if upper else 0.42), zeros
            ]
            up, forward = np.tile([0.0, 1.0, 0.0], (count, 1)), np.tile([0.0, 0.0, 1.0], (count, 1))
            parts.append((vertices[strip_vertices], forward, up, data))
            triangles.append(faces + offset)
            offset += count
        positions, normals, tangents, data = (np.concatenate(column) for column in zip(*parts, strict=True))
        return HairLayer(LASH, positions, normals, tangents, data, np.concatenate(triangles).astype(np.int32), 0.95)


def _selected(triangles: np.ndarray, mask: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    kept = triangles[mask[triangles].max(1) > threshold]
    used, renumbered = compact(len(mask), kept)
    return used, renumbered.astype(np.int32)


def _flow(roots: np.ndarray, normals: np.ndarray, upward: np.ndarray, direction: str) -> np.ndarray:
    """Combing direction per root, tangential: ``direction`` on top of the head, down at the sides."""
    count = len(roots)
    if direction == "parted":
        side = np.sign(roots[:, 0]) * np.clip(np.abs(roots[:, 0]) * 30, 0, 1)
        top = np.stack([side, np.full(count, -0.25), np.full(count, -0.35)], 1)
    else:
        vector = {"forward": (0.1, -0.15, 1.0), "back": (0.0, 0.05, -1.0), "left": (1.0, -0.2, 0.35),
                  "right": (-1.0, -0.2, 0.35)}[direction]  # fmt: skip
        top = np.tile(vector, (count, 1))
    down = np.array([0, -1.0, -0.25])
    flow = top * upward[:, None] + down * (1 - upward[:, None])
    return normalize(flow - normals * (flow * normals).sum(1, keepdims=True))


def _stack(
    kind: int,
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
    triangles: np.ndarray,
    scale: float,
    is_beard: bool = False,
    occluder: tuple[np.ndarray, np.ndarray] | None = None,
) -> HairLayer:
    count = len(parts[0][0])
    joined = np.concatenate([triangles + i * count for i in range(len(parts))]).astype(np.int32)
    positions, normals, tangents, data = (np.concatenate(column) for column in zip(*parts, strict=True))
    return HairLayer(kind, positions, normals, tangents, data, joined, scale, is_beard, occluder)


def _hair_strips(topology: HeadTopology) -> list[_Strip]:
    quads = topology.parts["hair"]
    count = topology.vertex_count
    rows, columns = quads.ravel(), np.roll(quads, 1, 1).ravel()
    graph = sp.coo_matrix((np.ones(len(rows)), (rows, columns)), (count, count))
    label = connected_components(graph, directed=False)[1]
    strips = []
    for k in np.unique(label[quads[:, 0]]):
        vertices, faces = compact(count, quads[label[quads[:, 0]] == k])
        first, faces, _ = catmull_clark(len(vertices), faces)
        second, faces, _ = catmull_clark(first.shape[0], faces)
        rest = topology.rest[vertices]
        middle = rest[(rest[:, 1] > 6.2) & (rest[:, 1] < 7.2)]
        operator = (second @ first).tocsr()
        strips.append(
            _Strip(
                vertices=vertices,
                operator=operator,
                triangles=triangulate(faces),
                bottom=float(rest[:, 1].min()),
                middle=(middle if len(middle) else rest).mean(0),
                canonical=operator @ rest,
            )
        )
    return strips


def _lash_strips(topology: HeadTopology) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]]:
    """Per strip: vertices, triangles, position across (mm), height over the lid 0…1, is upper."""
    skin = topology.rest[: topology.skin_count]
    lids = skin[(np.abs(np.abs(skin[:, 0]) - 0.32) < 0.2) & (np.abs(skin[:, 1] - 7.28) < 0.1)]
    strips = []
    for name in LASH_PARTS:
        vertices, faces = compact(topology.vertex_count, topology.parts[name])
        rest = topology.rest[vertices]
        distance = np.linalg.norm(rest[:, None] - lids[None], axis=2).min(1)
        strips.append((vertices, triangulate(faces), rest[:, 0] * 100, distance / distance.max(), "upper" in name))
    return strips
