"""A person ready to render: skin, eyes, teeth, mouth, neck, clothes and hair with materials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitdiff.faces.appearance import HAIR_STYLES, Appearance
from fitdiff.faces.geometry import EyeFit
from fitdiff.faces.hair import HairBuilder, HairLayer
from fitdiff.faces.hair_raster import CLOTH as CLOTH_LAYER
from fitdiff.faces.numerics import normalize
from fitdiff.faces.occlusion import vertex_occlusion
from fitdiff.faces.shading import EYE, MOUTH, NECK, SKIN, TEETH
from fitdiff.faces.subdivision import compact, scatter_add, triangulate, vertex_normals
from fitdiff.faces.topology import HeadTopology, SubPart
from fitdiff.faces.uv_solve import UvMap

TEETH_OFFSETS = {"teeth_upper": (0, -0.045, -0.035), "teeth_lower": (0, 0.03, -0.035)}
"""Decimetres that the helper teeth are moved by, to lie behind the lips."""

TEETH_NARROWING = 0.97
TOOTH_ANGLE = 0.235
"""Radians of the dental arch per tooth."""

EYE_CONVERGENCE = 0.03
"""Radians that each eye turns in to look at a phone at arm's length."""

CORNEA_BULGE = 0.075
CORNEA_ANGLE = 0.47


@dataclass(frozen=True)
class Look:
    """What differs between views of one person.

    Attributes:
        gaze: (right, up) angles of the eyes in radians, in the head's frame.
        hair_length: of long hair, 0.25…1.
        collar: height of the collar, decimetres around its usual place.
        occlusion_directions: depth maps for ambient occlusion, 0 for none.
    """

    gaze: tuple[float, float] = (0.0, 0.0)
    hair_length: float = 0.6
    collar: float = 0.0
    occlusion_directions: int = 24


@dataclass(frozen=True)
class Figure:
    """Joined meshes of one person in one expression, head frame, decimetres."""

    positions: np.ndarray
    normals: np.ndarray
    tangents: np.ndarray
    details: np.ndarray
    uv: np.ndarray
    openness: np.ndarray
    triangles: np.ndarray
    materials: np.ndarray
    hair: list[HairLayer]
    occluder_positions: np.ndarray
    occluder_triangles: np.ndarray
    pivot: np.ndarray
    skin_surface: np.ndarray  # [S, 3] subdivided skin, for landmarks


class FigureBuilder:
    """Assembles figures; keeps what does not depend on the person."""

    def __init__(self, topology: HeadTopology, uv_map: UvMap, hair: HairBuilder):
        self.topology = topology
        self.uv_map = uv_map
        self.hair = hair
        self.eye_fit = EyeFit(topology)
        self.eye_directions, self.eye_triangles = eye_cap()
        self._teeth = {name: self._teeth_part(name) for name in TEETH_OFFSETS}

    def _teeth_part(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        vertices, faces = compact(self.topology.vertex_count, self.topology.parts[name])
        rest = self.topology.rest[vertices]
        angle = np.arctan2(rest[:, 0], rest[:, 2] - 1.05)
        outward = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], 1)
        triangles = triangulate(faces)
        both_sides = np.concatenate([triangles, triangles[:, ::-1]])
        return vertices, both_sides, outward, np.stack([angle / TOOTH_ANGLE, 0 * angle], 1)

    def build(
        self, vertices: np.ndarray, neutral: np.ndarray, person: Appearance, look: Look, rng: np.random.Generator
    ) -> Figure:
        """Assemble one figure.

        Args:
            vertices: posed (expressive) head vertices [V, 3].
            neutral: the same person's neutral vertices; the eyeballs stay where they are there.
            rng: draws the hair's combing.
        """
        surface = self.topology.subdivide @ vertices
        normals = vertex_normals(surface, self.topology.skin_triangles)
        source = self.uv_map.source
        skin, skin_normals = surface[source], normals[source]
        parts = [
            (skin, skin_normals, self._tangents(surface), skin_normals, self.uv_map.uv, self.uv_map.triangles, SKIN)
        ]
        spheres = self.eye_fit(neutral)
        for side, sphere in zip((1, -1), spheres, strict=True):
            parts.append(self._eye(side, *sphere, look.gaze))
        for name, (indices, triangles, outward, uv) in self._teeth.items():
            positions = (vertices[indices] + TEETH_OFFSETS[name]) * [TEETH_NARROWING, 1, 1]
            parts.append((positions, outward, outward, outward, uv, triangles, TEETH))
        topology = self.topology
        for part, material in (
            (topology.mouth, MOUTH), (topology.sockets, MOUTH), (topology.tongue, MOUTH), (topology.neck, NECK),
        ):  # fmt: skip
            positions = part.operator @ vertices
            part_normals = vertex_normals(positions, part.triangles)
            no_uv = np.zeros((len(positions), 2))
            parts.append((positions, part_normals, part_normals, part_normals, no_uv, part.triangles, material))
        joined = _join(parts)

        hair = self._hair_layers(vertices, skin, skin_normals, person, look, rng)
        occluders, occluder_triangles = joined["positions"], joined["triangles"]
        for layer in hair:
            if layer.occluder is not None:
                positions, triangles = layer.occluder
                occluder_triangles = np.concatenate([occluder_triangles, triangles + len(occluders)]).astype(np.int32)
                occluders = np.concatenate([occluders, positions])
        openness = np.ones(len(joined["positions"]))
        if look.occlusion_directions:
            openness = vertex_occlusion(
                occluders, occluder_triangles, joined["positions"], joined["normals"], look.occlusion_directions
            )
        eye_height = (spheres[0][0][1] + spheres[1][0][1]) / 2
        return Figure(
            **joined,
            openness=openness,
            hair=hair,
            occluder_positions=occluders,
            occluder_triangles=occluder_triangles,
            pivot=np.array([0, eye_height - 0.35, 0.7]),
            skin_surface=surface,
        )

    def _tangents(self, surface: np.ndarray) -> np.ndarray:
        """Unit tangents along u per cut vertex, continuous across the seam."""
        uv_map = self.uv_map
        corners = surface[uv_map.source][uv_map.triangles]
        uv = uv_map.uv[uv_map.triangles]
        v1, v2 = (uv[:, 1, 1] - uv[:, 0, 1])[:, None], (uv[:, 2, 1] - uv[:, 0, 1])[:, None]
        along_u = (corners[:, 1] - corners[:, 0]) * v2 - (corners[:, 2] - corners[:, 0]) * v1
        summed = scatter_add(along_u, uv_map.source[uv_map.triangles], len(surface))
        return normalize(summed)[uv_map.source]

    def _eye(self, side: int, centre: np.ndarray, radius: float, gaze: tuple[float, float]):
        """Eyeball with a bulging cornea, turned to the gaze."""
        frame = gaze_frame(side, gaze)
        local = self.eye_directions
        positions = centre + (local @ frame.T) * (radius * cornea_bulge(local))[:, None]
        normals = vertex_normals(positions, self.eye_triangles)
        uv = np.zeros((len(positions), 2))
        return positions, normals, normals, local, uv, self.eye_triangles, EYE

    def _hair_layers(self, vertices, skin, normals, person: Appearance, look: Look, rng) -> list[HairLayer]:
        layers = [self.hair.scalp(skin, normals, person, rng)]
        style = HAIR_STYLES[person.hair_style]
        if style in ("long", "medium"):
            layers.append(self.hair.cards(vertices, look.hair_length * (1.0 if style == "long" else 0.5)))
        layers.append(self.hair.lashes(vertices))
        layers.append(self.hair.beard(skin, normals, person))
        layers.append(self._clothes(vertices, look.collar))
        return [layer for layer in layers if layer is not None]

    def _clothes(self, vertices: np.ndarray, collar: float) -> HairLayer:
        """A crew-neck shirt: the shoulders moved outwards, cut off above a collar line."""
        part: SubPart = self.topology.shoulders
        positions = part.operator @ vertices
        canonical = part.operator @ self.topology.rest
        normals = vertex_normals(positions, part.triangles)
        below = 5.93 + collar - canonical[:, 1] - 0.30 * np.clip(canonical[:, 2] - 0.2, 0, 1)
        positions = positions + normals * (0.03 + 0.05 * np.clip(2 * below, 0, 1))[:, None]
        count = len(positions)
        data = np.c_[np.zeros((count, 3)), below, np.ones(count), np.zeros(count)]
        triangles = part.triangles.astype(np.int32)
        return HairLayer(CLOTH_LAYER, positions, normals, normals, data, triangles, 1.0)


def gaze_frame(side: int, gaze: tuple[float, float]) -> np.ndarray:
    """Rotation [3, 3] of an eyeball, columns right, up, forward.

    Args:
        side: 1 left, -1 right.
        gaze: (towards +x, up) in radians, before convergence.
    """
    yaw, pitch = gaze[0] - side * EYE_CONVERGENCE, gaze[1]
    forward = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    right = normalize(np.cross([0, 1, 0], forward))
    return np.stack([right, np.cross(forward, right), forward], 1)


def cornea_bulge(directions: np.ndarray) -> np.ndarray:
    """Distance from the eyeball's centre by direction [V, 3] (gaze along z), in radii."""
    angle = np.arccos(np.clip(directions[:, 2], -1, 1))
    return 1 + CORNEA_BULGE * np.clip(1 - (angle / CORNEA_ANGLE) ** 2, 0, 1)


def eye_cap(segments: int = 28, rings: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Front of a unit sphere around +z: directions [V, 3] and triangles [T, 3]."""
    azimuth = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    polar = np.linspace(0, 0.62 * np.pi, rings)[1:]
    ring = np.stack(
        [
            np.sin(polar)[:, None] * np.cos(azimuth),
            np.sin(polar)[:, None] * np.sin(azimuth),
            np.repeat(np.cos(polar)[:, None], segments, 1),
        ],
        2,
    )
    directions = np.concatenate([[[0.0, 0.0, 1.0]], ring.reshape(-1, 3)])
    triangles = [[0, 1 + j, 1 + (j + 1) % segments] for j in range(segments)]
    for i in range(rings - 2):
        for j in range(segments):
            a, b = 1 + i * segments + j, 1 + i * segments + (j + 1) % segments
            triangles += [[a, a + segments, b], [b, a + segments, b + segments]]
    return directions, np.array(triangles)


def _join(parts: list[tuple]) -> dict[str, np.ndarray]:
    triangles, materials, offset = [], [], 0
    for part in parts:
        triangles.append(part[5] + offset)
        materials.append(np.full(len(part[5]), part[6], np.int8))
        offset += len(part[0])
    columns = [np.concatenate([part[i] for part in parts]) for i in range(5)]
    names = ("positions", "normals", "tangents", "details", "uv")
    return dict(zip(names, columns, strict=True)) | {
        "triangles": np.concatenate(triangles).astype(np.int32),
        "materials": np.concatenate(materials),
    }
