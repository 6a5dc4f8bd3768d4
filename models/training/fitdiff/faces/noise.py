"""Procedural noise on the canonical head: simplex fBm, cells, stamps, strokes and creases (numba).

All coordinates are millimetres on the average head, so that a feature has its size on skin wherever
it lies in the texture. Lattice values come from an integer hash and no fast-math is used: a seed
gives the same texture on any machine.
"""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(inline="always")
def lattice_hash(x, y, z, seed):
    """32-bit hash of a lattice cell."""
    h = (x * 374761393 + y * 668265263 + z * 2147483647 + seed * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 2246822519) & 0xFFFFFFFF
    return (h ^ (h >> 15)) & 0xFFFFFFFF


@nb.njit(inline="always")
def _gradient(h, x, y, z):
    h = h & 15
    u = x if h < 8 else y
    v = y if h < 4 else (x if (h == 12 or h == 14) else z)
    return (u if (h & 1) == 0 else -u) + (v if (h & 2) == 0 else -v)


@nb.njit(inline="always")
def _corner(x, y, z, h):
    a = 0.6 - x * x - y * y - z * z
    if a <= 0:
        return 0.0
    a *= a
    return a * a * _gradient(h >> 7, x, y, z)


@nb.njit(cache=True)
def simplex(x, y, z, seed):
    """3-D simplex noise (Perlin 2001), about -1…1."""
    skew = (x + y + z) / 3.0
    i, j, k = int(np.floor(x + skew)), int(np.floor(y + skew)), int(np.floor(z + skew))
    unskew = (i + j + k) / 6.0
    x0, y0, z0 = x - (i - unskew), y - (j - unskew), z - (k - unskew)
    if x0 >= y0:
        if y0 >= z0:
            i1, j1, k1, i2, j2, k2 = 1, 0, 0, 1, 1, 0
        elif x0 >= z0:
            i1, j1, k1, i2, j2, k2 = 1, 0, 0, 1, 0, 1
        else:
            i1, j1, k1, i2, j2, k2 = 0, 0, 1, 1, 0, 1
    else:
        if y0 < z0:
            i1, j1, k1, i2, j2, k2 = 0, 0, 1, 0, 1, 1
        elif x0 < z0:
            i1, j1, k1, i2, j2, k2 = 0, 1, 0, 0, 1, 1
        else:
            i1, j1, k1, i2, j2, k2 = 0, 1, 0, 1, 1, 0
    g = 1 / 6.0
    n = _corner(x0, y0, z0, lattice_hash(i, j, k, seed))
    n += _corner(x0 - i1 + g, y0 - j1 + g, z0 - k1 + g, lattice_hash(i + i1, j + j1, k + k1, seed))
    n += _corner(x0 - i2 + 2 * g, y0 - j2 + 2 * g, z0 - k2 + 2 * g, lattice_hash(i + i2, j + j2, k + k2, seed))
    n += _corner(x0 - 1 + 3 * g, y0 - 1 + 3 * g, z0 - 1 + 3 * g, lattice_hash(i + 1, j + 1, k + 1, seed))
    return 32.0 * n


@nb.njit(cache=True)
def fbm(points, frequency, octaves, gain, seed, out):
    """Sum of simplex octaves with about unit deviation.

    Args:
        points: [M, 3] millimetres.
        frequency: [3] cycles per millimetre along each axis.
        octaves: number of octaves, each 2.03 times as fine.
        gain: amplitude ratio of successive octaves.
        out: [M].
    """
    power, amplitude = 0.0, 1.0
    for _ in range(octaves):
        power += amplitude * amplitude
        amplitude *= gain
    scale = 2.35 / np.sqrt(power)
    for i in range(points.shape[0]):
        amplitude, f, total = 1.0, 0.62, 0.0
        for o in range(octaves):
            total += amplitude * simplex(
                points[i, 0] * frequency[0] * f + 17.3 * o + seed % 97,
                points[i, 1] * frequency[1] * f + 5.7 * o,
                points[i, 2] * frequency[2] * f + 31.1 * o,
                seed + o,
            )
            amplitude *= gain
            f *= 2.03
        out[i] = total * scale


@nb.njit(cache=True)
def cells(points, frequency, seed, jitter, distance, identity):
    """Worley noise: distance to the nearest cell point (in cells) and that cell's value 0…1."""
    for i in range(points.shape[0]):
        x, y, z = points[i, 0] * frequency, points[i, 1] * frequency, points[i, 2] * frequency
        # A rotated lattice: axis-aligned cells would line up with the face.
        px = 0.36 * x + 0.48 * y - 0.8 * z
        py = -0.8 * x + 0.6 * y
        pz = 0.48 * x + 0.64 * y + 0.6 * z
        ix, iy, iz = int(np.floor(px)), int(np.floor(py)), int(np.floor(pz))
        best, best_hash = 9.0, 0
        for dx in range(-1, 2):
            for dy in range(-1, 2):
                for dz in range(-1, 2):
                    cx, cy, cz = ix + dx, iy + dy, iz + dz
                    h = lattice_hash(cx, cy, cz, seed)
                    qx = cx + 0.5 + jitter * ((h & 1023) / 1023.0 - 0.5) - px
                    qy = cy + 0.5 + jitter * (((h >> 10) & 1023) / 1023.0 - 0.5) - py
                    qz = cz + 0.5 + jitter * (((h >> 20) & 1023) / 1023.0 - 0.5) - pz
                    d = qx * qx + qy * qy + qz * qz
                    if d < best:
                        best, best_hash = d, h
        distance[i] = np.sqrt(best)
        identity[i] = ((best_hash >> 5) & 1023) / 1023.0


@nb.njit(cache=True)
def stamp(positions, columns, rows, radius_mm, hardness, amount, window, out):
    """Draw round spots with a logistic edge; overlaps keep the larger value.

    Args:
        positions: [N, N, 3] millimetres per texel.
        columns, rows: [K] centre texels.
        radius_mm, hardness, amount: [K].
        window: [K] half side of the texel window to visit.
        out: [N, N].
    """
    size = positions.shape[0]
    for k in range(len(columns)):
        x0, y0, w = columns[k], rows[k], window[k]
        px, py, pz = positions[y0, x0, 0], positions[y0, x0, 1], positions[y0, x0, 2]
        for y in range(max(0, y0 - w), min(size, y0 + w + 1)):
            for x in range(max(0, x0 - w), min(size, x0 + w + 1)):
                dx, dy, dz = positions[y, x, 0] - px, positions[y, x, 1] - py, positions[y, x, 2] - pz
                d = np.sqrt(dx * dx + dy * dy + dz * dz) / radius_mm[k]
                if d < 1.6:
                    value = amount[k] / (1 + np.exp((d - 1) * hardness[k]))
                    if value > out[y, x]:
                        out[y, x] = value


@nb.njit(cache=True)
def draw_strokes(lines, width, alpha, out):
    """Composite tapered hairs over a coverage map: ``1 - (1 - a)(1 - b)``.

    Args:
        lines: [K, S, 2] polylines in texels (x, y).
        width: [K] root width in texels.
        alpha: [K] opacity.
        out: [N, N] coverage.
    """
    size = out.shape[0]
    segments = lines.shape[1] - 1
    for k in range(lines.shape[0]):
        for s in range(segments):
            ax, ay, bx, by = lines[k, s, 0], lines[k, s, 1], lines[k, s + 1, 0], lines[k, s + 1, 1]
            w = width[k] * (1 - 0.75 * s / segments)
            x0, x1 = max(0, int(min(ax, bx) - w - 1)), min(size - 1, int(max(ax, bx) + w + 2))
            y0, y1 = max(0, int(min(ay, by) - w - 1)), min(size - 1, int(max(ay, by) + w + 2))
            dx, dy = bx - ax, by - ay
            square = dx * dx + dy * dy + 1e-9
            for y in range(y0, y1 + 1):
                for x in range(x0, x1 + 1):
                    px, py = x + 0.5 - ax, y + 0.5 - ay
                    t = (px * dx + py * dy) / square
                    if t < 0 or t >= 1:
                        continue
                    d = abs(px * dy - py * dx) / np.sqrt(square)
                    coverage = min(max(w * 0.5 + 0.5 - d, 0.0), 1.0) * alpha[k]
                    out[y, x] = 1 - (1 - out[y, x]) * (1 - coverage)


@nb.njit(cache=True)
def carve_creases(positions, mask, curves, depth, width, height):
    """Carve wrinkles into a height map: a Gaussian groove with low shoulders, fading at both ends.

    Args:
        positions: [N, N, 3] millimetres; mask: bool [N, N], texels to visit.
        curves: [C, S, 3] polylines, millimetres.
        depth, width: [C] millimetres.
        height: [N, N] millimetres, changed in place.
    """
    rows, columns = mask.shape
    count, steps = curves.shape[0], curves.shape[1]
    for c in range(count):
        reach = width[c] * 3.2
        low = np.array([1e9, 1e9, 1e9])
        high = -low
        for s in range(steps):
            for a in range(3):
                low[a] = min(low[a], curves[c, s, a])
                high[a] = max(high[a], curves[c, s, a])
        for y in range(rows):
            for x in range(columns):
                if not mask[y, x]:
                    continue
                p0, p1, p2 = positions[y, x, 0], positions[y, x, 1], positions[y, x, 2]
                if p0 < low[0] - reach or p0 > high[0] + reach or p1 < low[1] - reach or p1 > high[1] + reach:
                    continue
                if p2 < low[2] - reach - 6 or p2 > high[2] + reach + 6:
                    continue
                best, best_t = 1e9, 0.0
                for s in range(steps - 1):
                    ax, ay, az = curves[c, s, 0], curves[c, s, 1], curves[c, s, 2]
                    dx, dy, dz = curves[c, s + 1, 0] - ax, curves[c, s + 1, 1] - ay, curves[c, s + 1, 2] - az
                    t = ((p0 - ax) * dx + (p1 - ay) * dy + (p2 - az) * dz) / (dx * dx + dy * dy + dz * dz + 1e-9)
                    t = min(max(t, 0.0), 1.0)
                    ex, ey, ez = p0 - ax - t * dx, p1 - ay - t * dy, (p2 - az - t * dz) * 0.5
                    d = ex * ex + ey * ey + ez * ez
                    if d < best:
                        best, best_t = d, (s + t) / (steps - 1)
                d = np.sqrt(best) / width[c]
                if d < 3.2:
                    fade = min(1.0, 4 * best_t * (1 - best_t) * 1.6)
                    shoulder = d - 1.7
                    profile = np.exp(-1.1 * d * d) - 0.38 * np.exp(-shoulder * shoulder)
                    height[y, x] -= depth[c] * fade * profile
