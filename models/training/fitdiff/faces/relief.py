"""Fine relief of the skin: pores, lines, wrinkles, and the tangent-space normal map."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from fitdiff.faces.appearance import Appearance
from fitdiff.faces.noise import carve_creases
from fitdiff.faces.numerics import normalize, smoothstep
from fitdiff.faces.regions import FrontLookup, Regions
from fitdiff.faces.streams import stream
from fitdiff.faces.texel_noise import MILLIMETRES, TexelNoise
from fitdiff.faces.uv_bake import TexelGeometry

CURVE_STEPS = 12


class NormalMapper:
    """Height maps → tangent-space normals (OpenGL Y+, tangent along u, bitangent along v up)."""

    def __init__(self, geometry: TexelGeometry):
        along_u, along_v = geometry.along_u * MILLIMETRES, geometry.along_v * MILLIMETRES
        size = geometry.size
        self._uu = (along_u * along_u).sum(2)
        self._uv = (along_u * along_v).sum(2)
        self._vv = (along_v * along_v).sum(2)
        self._determinant = np.maximum(self._uu * self._vv - self._uv**2, 1e-3)
        tangent = normalize(along_u)
        tangent = normalize(tangent - geometry.normal * (tangent * geometry.normal).sum(2, keepdims=True))
        bitangent = np.cross(geometry.normal, tangent)
        self._frame = tuple((a * b).sum(2) for a in (along_u, along_v) for b in (tangent, bitangent))
        self.texel_mm = np.sqrt(np.sqrt(self._determinant)) / size
        # Where a texel spans several millimetres, its relief would only be noise.
        self._fade = smoothstep(2.6, 1.6, self.texel_mm * size / 512) * geometry.chart

    def __call__(self, height: np.ndarray) -> np.ndarray:
        """Height [S, S] in millimetres → unit normals [S, S, 3]; a flat height gives (0, 0, 1)."""
        size = height.shape[0]
        by_u, by_v = np.zeros_like(height), np.zeros_like(height)
        by_u[:, 1:-1] = (height[:, 2:] - height[:, :-2]) * size / 2
        by_v[1:-1] = -(height[2:] - height[:-2]) * size / 2
        # The gradient's components along u and v follow from the inverse of the first fundamental form.
        gradient_u = (self._vv * by_u - self._uv * by_v) / self._determinant
        gradient_v = (self._uu * by_v - self._uv * by_u) / self._determinant
        ut, ub, vt, vb = self._frame
        slope_x = (gradient_u * ut + gradient_v * vt) * self._fade
        slope_y = (gradient_u * ub + gradient_v * vb) * self._fade
        return normalize(np.stack([-slope_x, -slope_y, np.ones_like(height)], 2))


def pore_map(person: Appearance, regions: Regions, noise: TexelNoise, lip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pore depth 0…1.4 and the distance field of its cells (for the net of fine lines between)."""
    distance, identity = noise.cells(1.45, person.noise + 81, jitter=0.9)
    where = (
        0.9 * regions.nose
        + 0.75 * regions.cheek_wide
        + 0.5 * regions.forehead
        + 0.55 * regions.chin
        + 0.3 * regions.glabella
        + 0.12
    )
    where = np.clip(where, 0, 1) * (1 - lip) * (1 - regions.upper_lid) * (1 - 0.8 * regions.under_eye)
    return smoothstep(0.36, 0.10, distance) * (0.4 + 0.6 * identity) * where * person.pores, distance


def wrinkle_height(
    person: Appearance, seed: int, noise: TexelNoise, chart: np.ndarray, lookup: FrontLookup, height: np.ndarray
) -> None:
    """Carve age wrinkles and the folds that every face has into ``height`` (millimetres)."""
    curves = _Curves(stream(seed, "wrinkles"), lookup)
    strength, kinds = person.wrinkles, person.wrinkle_kinds
    rng = curves.rng
    if strength > 0.02:
        for i, y in enumerate((7.63, 7.71, 7.79, 7.87, 7.95)):
            end, start, shift = rng.uniform(0.38, 0.58), rng.uniform(-0.1, 0.12), 0.012 * rng.normal()
            line = [(start, y + shift), (0.2, y + 0.025 + shift), (0.4, y + 0.01 + shift), (end, y - 0.05 + shift)]
            curves.add(line, 0.26 * strength * kinds[0] * (1 - 0.1 * abs(i - 2)), 1.15)
        for x, share in ((0.045, 1.0), (0.095, 0.7)):
            curves.add([(x, 7.40), (x + 0.012, 7.47), (x + 0.02, 7.555)], 0.24 * strength * kinds[1] * share, 1.0)
        for dy in (0.11, 0.055, 0.0, -0.055, -0.10):
            reach = rng.uniform(0.09, 0.16)
            line = [(0.505, 7.285 + 0.35 * dy), (0.505 + reach / 2, 7.285 + 0.75 * dy)]
            curves.add([*line, (0.505 + reach, 7.285 + 1.25 * dy)], 0.20 * strength * kinds[2], 0.85)
        curves.add([(0.20, 7.215), (0.27, 7.18), (0.35, 7.172), (0.44, 7.195)], 0.16 * strength * kinds[3], 0.8)
        curves.add([(0.205, 7.175), (0.28, 7.135), (0.37, 7.13), (0.45, 7.155)], 0.14 * strength * kinds[3], 0.9)
        for x in (0.04, 0.08, 0.12, 0.165, 0.21):
            curves.add([(x, 6.722), (x * 1.04, 6.765)], 0.11 * max(0, strength - 0.35) * kinds[4], 0.6)
        for x in (0.03, 0.08, 0.14, 0.19):
            curves.add([(x, 6.50), (x * 1.02, 6.455)], 0.08 * max(0, strength - 0.4) * kinds[4], 0.6)
    nasolabial = [(0.205, 6.94), (0.262, 6.86), (0.315, 6.75), (0.345, 6.64), (0.345, 6.565)]
    curves.add(nasolabial, (0.10 + 0.42 * strength) * kinds[5], 1.7)
    curves.add([(0.292, 6.575), (0.318, 6.50), (0.325, 6.40)], (0.03 + 0.32 * strength) * kinds[6], 1.3)
    lid_fold = [(0.235, 7.345), (0.30, 7.392), (0.36, 7.395), (0.43, 7.365), (0.465, 7.33)]
    curves.add(lid_fold, 0.16 * (0.6 + 0.5 * kinds[7]), 0.8)
    if strength > 0.1:
        for y in (6.03, 5.92):
            line = [(-0.3, y + 0.07), (-0.1, y + 0.01), (0.1, y), (0.3, y + 0.06)]
            curves.add(line, 0.20 * strength * kinds[6], 1.4, both_sides=False)
    depths, widths = np.array(curves.depths), np.array(curves.widths)
    carve_creases(noise.positions, chart, np.array(curves.lines), depths, widths, height)


class _Curves:
    """Collects jittered wrinkle curves, left and right."""

    def __init__(self, rng: np.random.Generator, lookup: FrontLookup):
        self.rng = rng
        self.lookup = lookup
        self.lines: list[np.ndarray] = []
        self.depths: list[float] = []
        self.widths: list[float] = []

    def _wobble(self) -> np.ndarray:
        return 2 * ndimage.gaussian_filter1d(self.rng.normal(size=(CURVE_STEPS, 2)), 2.2, axis=0)

    def add(self, points: list[tuple[float, float]], depth: float, width: float, both_sides: bool = True) -> None:
        """Add a curve through frontal points (decimetres), depth and width in millimetres."""
        knots = np.array(points)
        steps = np.linspace(0, len(points) - 1, CURVE_STEPS)
        path = np.stack([np.interp(steps, np.arange(len(points)), knots[:, axis]) for axis in range(2)], 1)
        path = ndimage.gaussian_filter1d(path, 1.0, axis=0, mode="nearest")
        shared = self._wobble()
        depth *= np.exp(0.3 * self.rng.normal())
        width *= np.exp(0.15 * self.rng.normal())
        for side in (1, -1) if both_sides else (1,):
            line = path + 0.012 * (0.55 * shared + 0.4 * self._wobble())
            line[:, 0] *= side
            _, z = self.lookup(line)
            self.lines.append(np.c_[line, z] * MILLIMETRES)
            self.depths.append(float(depth * np.exp(0.15 * self.rng.normal())))
            self.widths.append(float(width))
