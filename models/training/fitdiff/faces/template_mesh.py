"""The template's mesh: every part as a linear function of the head's vertices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from fitdiff.faces.expressions import ARKIT_NAMES, EYE_LOOK_RADIANS
from fitdiff.faces.figure import (
    EYE_CONVERGENCE,
    TEETH_NARROWING,
    TEETH_OFFSETS,
    TOOTH_ANGLE,
    cornea_bulge,
    eye_cap,
    gaze_frame,
)
from fitdiff.faces.geometry import EyeFit
from fitdiff.faces.hair import LASH_PARTS
from fitdiff.faces.head_model import HeadModel
from fitdiff.faces.landmarks import IRIS_ANGLE, iris_azimuths, iris_directions, skin_landmarks
from fitdiff.faces.neck_cut import cut_below, height_above_neckline
from fitdiff.faces.subdivision import compact, triangulate

EYE_UV_ANGLE = 0.62 * np.pi
"""Polar angle at the rim of the eye's texture disc; its centre is the pupil."""

SOCKET_FRONT_Z = 1.24
"""Only socket triangles in front of this (decimetres on the base mesh) can be seen."""


@dataclass(frozen=True)
class TemplatePart:
    """One part, before it is joined to the others.

    Attributes:
        name, material: see the description of the template.
        operator: [3 N, 3 V] from flattened head vertices (aligned frame) to the part's.
        offset: [N, 3] constant added to the mean (decimetres).
        triangles: int [T, 3]. uv: [N, 2], origin top-left.
        renumbered: for the skin, int: the index here of each of the subdivided, cut skin's triangles; -1 for those that
            are not whole here.
    """

    name: str
    material: str
    operator: sp.csr_matrix
    offset: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    renumbered: np.ndarray | None = None


def build_parts(model: HeadModel, mean: np.ndarray) -> list[TemplatePart]:
    """All parts in the order of the file; the skin comes first.

    Args:
        mean: [V, 3] mean head vertices, on which the neck is cut.
    """
    topology = model.topology
    rest = topology.rest

    def part(name: str, material: str, rows: sp.spmatrix, triangles: np.ndarray, uv=None, offset=None, narrow=1.0):
        operator = sp.kron(rows, sp.diags([narrow, 1.0, 1.0]), format="csr")
        count = rows.shape[0]
        uv = np.zeros((count, 2)) if uv is None else uv
        offset = np.zeros((count, 3)) if offset is None else np.broadcast_to(offset, (count, 3))
        return TemplatePart(name, material, operator, offset, triangles, uv)

    parts = [
        _skin(model, mean),
        part("mouth", "mouth", topology.mouth.operator, topology.mouth.triangles),
    ]
    sockets = topology.sockets
    front = (sockets.operator @ rest)[:, 2] > SOCKET_FRONT_Z
    used, triangles = compact(len(front), sockets.triangles[front[sockets.triangles].all(1)])
    parts.append(part("sockets", "mouth", sockets.operator[used], triangles))
    identity = sp.identity(topology.vertex_count, format="csr")
    vertices, quads = compact(topology.vertex_count, topology.parts["tongue"])
    parts.append(part("tongue", "mouth", identity[vertices], triangulate(quads)))
    for name, offset in TEETH_OFFSETS.items():
        vertices, quads = compact(topology.vertex_count, topology.parts[name])
        angle = np.arctan2(rest[vertices, 0], rest[vertices, 2] - 1.05)
        uv = np.stack([angle / TOOTH_ANGLE, rest[vertices, 1] - rest[vertices, 1].min()], 1)
        triangles = triangulate(quads)
        triangles = np.concatenate([triangles, triangles[:, ::-1]])
        parts.append(part(name, "teeth", identity[vertices], triangles, uv, np.array(offset), TEETH_NARROWING))
    parts += _eyes(model)
    for name in LASH_PARTS:
        vertices, quads = compact(topology.vertex_count, topology.parts[name])
        parts.append(part(name, "lash", identity[vertices], triangulate(quads), _lash_uv(model, vertices)))
    return parts


def _skin(model: HeadModel, mean: np.ndarray) -> TemplatePart:
    """The skin down to the neckline."""
    uv_map = model.uv_map
    operator = model.topology.subdivide[uv_map.source]
    heights = height_above_neckline(operator @ mean)
    rows, triangles, renumbered = cut_below(heights, uv_map.triangles)
    uv = rows @ np.stack([uv_map.uv[:, 0], 1 - uv_map.uv[:, 1]], 1)
    flat = sp.kron(rows @ operator, sp.identity(3), format="csr")
    return TemplatePart("skin", "skin", flat, np.zeros((len(uv), 3)), triangles, uv, renumbered)


def join_vertices(parts: list[TemplatePart], vertices: np.ndarray) -> np.ndarray:
    """Vertices [N, 3] of all parts, one part after the other, of aligned head vertices [V, 3]; decimetres."""
    return np.concatenate([(part.operator @ vertices.ravel()).reshape(-1, 3) + part.offset for part in parts])


def _eyes(model: HeadModel) -> list[TemplatePart]:
    """Two eyeballs looking straight ahead at arm's length, each followed by its centre as a vertex."""
    fit = EyeFit(model.topology)
    directions, triangles = eye_cap(24, 14)
    angle = np.arccos(np.clip(directions[:, 2], -1, 1)) / EYE_UV_ANGLE / 2
    azimuth = np.arctan2(directions[:, 1], directions[:, 0])
    uv = np.stack([0.5 + angle * np.cos(azimuth), 0.5 - angle * np.sin(azimuth)], 1)
    uv = np.concatenate([uv, [[0.5, 0.5]]])
    shaped = directions * cornea_bulge(directions)[:, None]
    parts = []
    for index, (side, name) in enumerate(((1, "eye_left"), (-1, "eye_right"))):
        turned = np.concatenate([shaped @ gaze_frame(side, (0.0, 0.0)).T, [[0.0, 0.0, 0.0]]])
        operator = fit.operator(index, turned)
        parts.append(TemplatePart(name, "eye", operator, np.zeros((len(turned), 3)), triangles, uv))
    return parts


def _lash_uv(model: HeadModel, vertices: np.ndarray) -> np.ndarray:
    """u along the lid 0…1, v 0 at the tips … 1 at the roots."""
    points = model.topology.rest[vertices]
    skin = model.topology.rest[: model.topology.skin_count]
    lids = np.concatenate([skin[loop] for loop in model.anatomy.eye_loops])
    height = np.linalg.norm(points[:, None] - lids[None], axis=2).min(1)
    along = np.abs(points[:, 0])
    return np.stack([(along - along.min()) / np.ptp(along), 1 - height / height.max()], 1)


def expression_offsets(model: HeadModel, parts: list[TemplatePart], mean: np.ndarray) -> np.ndarray:
    """Blendshape offsets of all template vertices, float64 [52, N, 3], decimetres.

    Eyes turn with the ``eyeLook…`` shapes: their offsets are the chord to the rotation at weight 1.

    Args:
        mean: [V, 3] mean head vertices, for the eyes' place and size.
    """
    flat = model.expressions.reshape(len(ARKIT_NAMES), -1).astype(float)
    blocks = []
    fit = EyeFit(model.topology)
    directions, _ = eye_cap(24, 14)
    shaped = directions * cornea_bulge(directions)[:, None]
    for part in parts:
        if part.material != "eye":
            blocks.append((part.operator @ flat.T).T.reshape(len(ARKIT_NAMES), -1, 3))
            continue
        block = np.zeros((len(ARKIT_NAMES), len(part.uv), 3))
        index, side = (0, 1) if part.name == "eye_left" else (1, -1)
        radius = fit(mean)[index][1]
        straight = shaped @ gaze_frame(side, (0.0, 0.0)).T
        suffix = "Left" if side == 1 else "Right"
        for direction, amount in EYE_LOOK_RADIANS.items():
            gaze = {"Up": (0, amount), "Down": (0, -amount), "In": (-side * amount, 0), "Out": (side * amount, 0)}
            turned = shaped @ gaze_frame(side, gaze[direction]).T
            block[ARKIT_NAMES.index(f"eyeLook{direction}{suffix}"), :-1] = radius * (turned - straight)
        blocks.append(block)
    return np.concatenate(blocks, 1)


def landmark_points(parts: list[TemplatePart]) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (of the joined list) int [478] and barycentric coordinates [478, 3] of the landmarks."""
    skin_triangles, skin_bary = skin_landmarks()
    triangles, bary = list(parts[0].renumbered[skin_triangles]), list(skin_bary)
    starts = np.cumsum([0] + [len(part.triangles) for part in parts])
    names = [part.name for part in parts]
    directions, _ = eye_cap(24, 14)
    for name, azimuths in zip(("eye_right", "eye_left"), iris_azimuths(), strict=True):
        index = names.index(name)
        faces = parts[index].triangles
        for direction in iris_directions(azimuths):
            triangle, weights = _ray_hit(direction, directions, faces)
            triangles.append(starts[index] + triangle)
            bary.append(weights)
    return np.array(triangles), np.array(bary)


def _ray_hit(direction: np.ndarray, points: np.ndarray, triangles: np.ndarray) -> tuple[int, np.ndarray]:
    """Triangle of a star-shaped mesh around the origin that a direction passes, and where."""
    corners = points[triangles]
    weights = np.linalg.solve(corners.transpose(0, 2, 1), np.broadcast_to(direction[:, None], (len(triangles), 3, 1)))
    weights = weights[..., 0] / weights.sum(1)
    best = int(weights.min(1).argmax())
    return best, np.clip(weights[best], 0, 1)


def eye_description() -> dict:
    """How the runtime turns and paints the eyes."""
    return {
        "centre": "the last vertex of parts eye_left and eye_right; no triangle uses it",
        "texture_rim_radians": round(float(EYE_UV_ANGLE), 6),
        "iris_radians": IRIS_ANGLE,
        "convergence_radians": EYE_CONVERGENCE,
        "look_radians": EYE_LOOK_RADIANS,
    }
