"""Geometry per texel of the average head: positions, normals, tangents, texel sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from fitdiff.faces.numerics import normalize
from fitdiff.faces.raster import interpolate, rasterize_uv
from fitdiff.faces.subdivision import scatter_add, vertex_normals
from fitdiff.faces.topology import HeadTopology
from fitdiff.faces.uv_solve import UvMap


@dataclass(frozen=True)
class TexelGeometry:
    """The base mesh's surface sampled at texel centres; outside of the chart, the nearest texel's.

    Attributes:
        position: float64 [S, S, 3], decimetres.
        normal: float64 [S, S, 3], unit.
        along_u, along_v: float64 [S, S, 3], surface derivatives by texture coordinate (v up).
        chart: bool [S, S], texel centre lies on the surface.
        triangle: int32 [S, S], triangle of the map.
        bary: float64 [S, S, 3], barycentric coordinates (0 outside of the chart).
    """

    position: np.ndarray
    normal: np.ndarray
    along_u: np.ndarray
    along_v: np.ndarray
    chart: np.ndarray
    triangle: np.ndarray
    bary: np.ndarray

    @property
    def size(self) -> int:
        """Side in texels."""
        return self.chart.shape[0]


def bake_geometry(topology: HeadTopology, uv_map: UvMap, size: int) -> TexelGeometry:
    """Sample the base mesh's own (average) surface at ``size`` × ``size`` texels."""
    surface = topology.subdivide @ topology.rest
    normals = vertex_normals(surface, topology.skin_triangles)
    triangle, bary = rasterize_uv(uv_map.uv, uv_map.triangles, size)
    chart = triangle >= 0
    nearest = ndimage.distance_transform_edt(~chart, return_distances=False, return_indices=True)
    along_u, along_v = _derivatives(uv_map, surface)
    values = np.concatenate([surface, normals, along_u, along_v], 1)[uv_map.source]
    texels = np.zeros((size, size, 12))
    interpolate(triangle, bary, uv_map.triangles, values, texels)
    texels = texels[nearest[0], nearest[1]]
    return TexelGeometry(
        position=np.ascontiguousarray(texels[..., :3]),
        normal=normalize(texels[..., 3:6]),
        along_u=np.ascontiguousarray(texels[..., 6:9]),
        along_v=np.ascontiguousarray(texels[..., 9:12]),
        chart=chart,
        triangle=triangle[nearest[0], nearest[1]],
        bary=bary,
    )


def _derivatives(uv_map: UvMap, surface: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per-vertex surface derivatives by u and v, averaged over triangles by their area in the map."""
    corners = surface[uv_map.source][uv_map.triangles]
    uv = uv_map.uv[uv_map.triangles]
    edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    (u1, v1), (u2, v2) = (uv[:, 1] - uv[:, 0]).T, (uv[:, 2] - uv[:, 0]).T
    area = np.maximum(u1 * v2 - v1 * u2, 1e-12)[:, None]
    by_u = edge1 * v2[:, None] - edge2 * v1[:, None]
    by_v = edge2 * u1[:, None] - edge1 * u2[:, None]
    triangles = uv_map.source[uv_map.triangles]
    total = np.maximum(scatter_add(area, triangles, len(surface)), 1e-12)
    return scatter_add(by_u, triangles, len(surface)) / total, scatter_add(by_v, triangles, len(surface)) / total
