"""Triangle rasterisers and attribute interpolation (numba, one thread)."""

from __future__ import annotations

import numba as nb
import numpy as np

NO_TRIANGLE = -1


@nb.njit(cache=True)
def rasterize(points, triangles, width, height, triangle_id, bary, inverse_depth):
    """Fill z-buffer, triangle index and perspective-correct barycentric coordinates.

    Args:
        points: [V, 3] pixel x (right), y (down) and depth w > 0 along the view axis.
        triangles: [T, 3]; those that are clockwise on the screen are culled.
        triangle_id: int32 [height, width] out, -1 where empty.
        bary: [height, width, 3] out.
        inverse_depth: [height, width] out, 0 where empty.
    """
    inverse_depth[:] = 0.0
    triangle_id[:] = -1
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area >= 0:
            continue
        x0 = max(0, int(np.ceil(min(ax, bx, cx) - 0.5)))
        x1 = min(width - 1, int(np.floor(max(ax, bx, cx) - 0.5)))
        y0 = max(0, int(np.ceil(min(ay, by, cy) - 0.5)))
        y1 = min(height - 1, int(np.floor(max(ay, by, cy) - 0.5)))
        if x0 > x1 or y0 > y1:
            continue
        ia, ib, ic, scale = 1 / points[a, 2], 1 / points[b, 2], 1 / points[c, 2], 1 / area
        for y in range(y0, y1 + 1):
            py = y + 0.5
            for x in range(x0, x1 + 1):
                px = x + 0.5
                w0 = ((bx - px) * (cy - py) - (by - py) * (cx - px)) * scale
                w1 = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) * scale
                w2 = 1 - w0 - w1
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                iz = w0 * ia + w1 * ib + w2 * ic
                if iz > inverse_depth[y, x]:
                    inverse_depth[y, x] = iz
                    triangle_id[y, x] = t
                    bary[y, x, 0] = w0 * ia / iz
                    bary[y, x, 1] = w1 * ib / iz
                    bary[y, x, 2] = w2 * ic / iz


@nb.njit(cache=True)
def rasterize_depth(points, triangles, depth):
    """Orthographic depth map for shadows and occlusion: the largest z wins, both faces count.

    Args:
        points: [V, 3] pixel x, pixel y, height towards the light.
        triangles: [T, 3].
        depth: [N, N] out, -1e9 where empty.
    """
    depth[:] = -1e9
    size = depth.shape[0]
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-12:
            continue
        x0 = max(0, int(np.ceil(min(ax, bx, cx) - 0.5)))
        x1 = min(size - 1, int(np.floor(max(ax, bx, cx) - 0.5)))
        y0 = max(0, int(np.ceil(min(ay, by, cy) - 0.5)))
        y1 = min(size - 1, int(np.floor(max(ay, by, cy) - 0.5)))
        scale = 1 / area
        for y in range(y0, y1 + 1):
            py = y + 0.5
            for x in range(x0, x1 + 1):
                px = x + 0.5
                w0 = ((bx - px) * (cy - py) - (by - py) * (cx - px)) * scale
                w1 = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) * scale
                w2 = 1 - w0 - w1
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                z = w0 * points[a, 2] + w1 * points[b, 2] + w2 * points[c, 2]
                if z > depth[y, x]:
                    depth[y, x] = z


@nb.njit(cache=True)
def interpolate(triangle_id, bary, triangles, values, out):
    """Interpolate per-vertex values [V, C] to pixels [H, W, C]; empty pixels keep their value."""
    for y in range(triangle_id.shape[0]):
        for x in range(triangle_id.shape[1]):
            t = triangle_id[y, x]
            if t < 0:
                continue
            for c in range(values.shape[1]):
                out[y, x, c] = (
                    bary[y, x, 0] * values[triangles[t, 0], c]
                    + bary[y, x, 1] * values[triangles[t, 1], c]
                    + bary[y, x, 2] * values[triangles[t, 2], c]
                )


def rasterize_uv(uv: np.ndarray, triangles: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Rasterise a texture layout (v up) at texel centres.

    Returns:
        triangle_id int32 [size, size] (row 0 is the top, v = 1) and bary float64 [size, size, 3].
    """
    points = np.stack([uv[:, 0] * size, (1 - uv[:, 1]) * size, np.ones(len(uv))], 1)
    triangle_id = np.empty((size, size), np.int32)
    bary = np.zeros((size, size, 3))
    rasterize(points, triangles, size, size, triangle_id, bary, np.zeros((size, size)))
    return triangle_id, bary
