"""Rasteriser for hair: procedural alpha-tested strands on shells, cards and lash strips (numba)."""

from __future__ import annotations

import numba as nb
import numpy as np

from fitdiff.faces.noise import lattice_hash, simplex

SHELL, CARD, LASH, CLOTH = 0, 1, 2, 3
"""Kinds of layers: fur shells over the scalp or beard, long-hair cards, eyelashes, clothing."""


@nb.njit(inline="always")
def _shell_strand(q0, q1, q2, layer, mask, top, seed, scale):
    """Returns (visible, strand value): noise stretched along the growth direction, thinner outwards."""
    along_top = simplex(q0 / scale, q1 / (scale * 4), q2 / (scale * 7), seed)
    along_side = simplex(q0 / (scale * 4) + 9, q1 / (scale * 7), q2 / scale, seed + 1)
    n = along_top * top + along_side * (1 - top)
    clump = simplex(q0 / 14, q1 / 14, q2 / 14, seed + 5)
    visible = 0.5 + 0.62 * n - (0.22 + 0.70 * layer * (1 + 0.25 * clump)) - (1 - mask) * 0.9
    return visible >= 0, 0.5 + 0.5 * n


@nb.njit(inline="always")
def _card_strand(across, along, strip, layer, mask, seed, scale):
    n = simplex(across / scale, along * 3.0, strip * 0.1, seed)
    lock = simplex(across / (scale * 5), along * 1.5, strip * 0.1 + 7, seed + 3)
    visible = 0.5 + 0.55 * n + 0.35 * lock - 1.05 * layer * layer * layer - (1 - mask) * 1.2
    return visible >= 0, 0.5 + 0.4 * n + 0.2 * lock


@nb.njit(inline="always")
def _lash_strand(across, layer, mask, seed, scale):
    phase = across / scale
    cell = np.floor(phase)
    h = lattice_hash(int(cell), 3, 5, seed) & 255
    offset = phase - cell - 0.18 * (h / 255.0 - 0.5)
    width = (0.17 if mask > 0.6 else 0.11) * (1 - layer) ** 0.8 + 0.02
    return abs(offset - 0.5) <= width and layer <= (0.6 + 0.4 * h / 255.0) * mask, 0.5


@nb.njit(cache=True)
def rasterize_hair(
    points, triangles, strand_data, kind, seed, scale, first_id, triangle_id, bary, inverse_depth, strand
):
    """Add one hair layer to the z-buffer.

    Args:
        points: [V, 3] pixel x, pixel y, depth.
        triangles: [T, 3]; shells are culled from behind, the others are two-sided.
        strand_data: [V, 6] canonical root x, y, z in millimetres (cards: position across in
            millimetres, along, strip), layer 0…1, mask 0…1, share of "top" strand direction.
        kind: SHELL, CARD, LASH or CLOTH.
        scale: strand spacing in millimetres.
        first_id: index of the first triangle in the joined triangle list.
        strand: [H, W] out, a random value per strand that varies its brightness.
    """
    height, width = triangle_id.shape
    data = np.zeros(6)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if (kind == SHELL and area >= 0) or abs(area) < 1e-9:
            continue
        x0 = max(0, int(np.ceil(min(ax, bx, cx) - 0.5)))
        x1 = min(width - 1, int(np.floor(max(ax, bx, cx) - 0.5)))
        y0 = max(0, int(np.ceil(min(ay, by, cy) - 0.5)))
        y1 = min(height - 1, int(np.floor(max(ay, by, cy) - 0.5)))
        if x0 > x1 or y0 > y1:
            continue
        ia, ib, ic, inverse = 1 / points[a, 2], 1 / points[b, 2], 1 / points[c, 2], 1 / area
        for y in range(y0, y1 + 1):
            py = y + 0.5
            for x in range(x0, x1 + 1):
                px = x + 0.5
                w0 = ((bx - px) * (cy - py) - (by - py) * (cx - px)) * inverse
                w1 = ((cx - px) * (ay - py) - (cy - py) * (ax - px)) * inverse
                w2 = 1 - w0 - w1
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                iz = w0 * ia + w1 * ib + w2 * ic
                if iz <= inverse_depth[y, x]:
                    continue
                u0, u1, u2 = w0 * ia / iz, w1 * ib / iz, w2 * ic / iz
                for k in range(6):
                    data[k] = u0 * strand_data[a, k] + u1 * strand_data[b, k] + u2 * strand_data[c, k]
                if kind == SHELL:
                    visible, value = _shell_strand(data[0], data[1], data[2], data[3], data[4], data[5], seed, scale)
                elif kind == CARD:
                    visible, value = _card_strand(data[0], data[1], data[2], data[3], data[4], seed, scale)
                elif kind == LASH:
                    visible, value = _lash_strand(data[0], data[3], data[4], seed, scale)
                else:
                    visible, value = data[3] >= 0, 0.5
                if not visible:
                    continue
                inverse_depth[y, x] = iz
                triangle_id[y, x] = first_id + t
                bary[y, x, 0], bary[y, x, 1], bary[y, x, 2] = u0, u1, u2
                strand[y, x] = value
