"""Noise fields evaluated at the texels of one map size."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from fitdiff.faces.noise import cells, fbm
from fitdiff.faces.uv_bake import TexelGeometry

MILLIMETRES = 100.0
"""Millimetres per decimetre."""

COARSE_SIZE = 128


class TexelNoise:
    """Evaluates procedural noise on the canonical head, in millimetres."""

    def __init__(self, geometry: TexelGeometry):
        self.size = geometry.size
        self.positions = np.ascontiguousarray(geometry.position * MILLIMETRES)
        self._flat = self.positions.reshape(-1, 3)
        step = max(1, self.size // COARSE_SIZE)
        self._coarse_step = step
        half = step // 2
        self._coarse = np.ascontiguousarray(self.positions[half::step, half::step]).reshape(-1, 3)

    def fbm(self, wavelength_mm, seed: int, octaves: int = 3, gain: float = 0.5, coarse: bool = False) -> np.ndarray:
        """Fractal noise [S, S] with about unit deviation.

        Args:
            wavelength_mm: size of the largest features, one number or one per axis.
            seed: lattice seed.
            octaves, gain: see :func:`fitdiff.faces.noise.fbm`.
            coarse: evaluate at 128² and enlarge; for wavelengths over 8 mm.
        """
        frequency = 1 / np.broadcast_to(np.asarray(wavelength_mm, float), 3)
        if coarse and self._coarse_step > 1:
            out = np.empty(len(self._coarse))
            fbm(self._coarse, frequency, octaves, gain, seed, out)
            side = self.size // self._coarse_step
            return ndimage.zoom(out.reshape(side, side), self._coarse_step, order=1, grid_mode=True, mode="nearest")
        out = np.empty(len(self._flat))
        fbm(self._flat, frequency, octaves, gain, seed, out)
        return out.reshape(self.size, self.size)

    def cells(self, spacing_mm: float, seed: int, jitter: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Worley cells: distance to the nearest point in units of the spacing, and a value per cell."""
        distance, identity = np.empty(len(self._flat)), np.empty(len(self._flat))
        cells(self._flat, 1 / spacing_mm, seed, jitter, distance, identity)
        return distance.reshape(self.size, self.size), identity.reshape(self.size, self.size)
