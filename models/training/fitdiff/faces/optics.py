"""Colour of skin from its pigments: a two-layer diffuse reflectance model over 400…700 nm.

Sources of the constants:
    melanin and baseline absorption, reduced scattering: Jacques, "Skin Optics" (OMLC, 1998);
    eumelanin/pheomelanin blend: Donner and Jensen, "A Spectral BSSRDF for Shading Human Skin" (2006);
    haemoglobin molar extinction: Prahl's compilation (OMLC, 1999);
    diffuse reflectance of a semi-infinite medium: Jensen et al., "A Practical Model for Subsurface
    Light Transport" (2001), total diffuse reflectance from the reduced albedo;
    CIE 1931 colour matching: Wyman, Sloan and Shirley (2013); D65: CIE 10 nm table;
    individual typology angle: Chardon et al. (1991).
"""

from __future__ import annotations

import numba as nb
import numpy as np

WAVELENGTHS = np.arange(400, 701, 10.0)
"""Nanometres; 31 bands."""

_HBO2 = np.array([266232, 466840, 480360, 246072, 102580, 62816, 44480, 33209.2, 26629.2, 23684.4, 20932.8, 20035.2,
                  24202.4, 39956.8, 53236, 43016, 32613.2, 44496, 50104, 14400.8, 3200, 1506, 942, 610, 442, 368,
                  319.6, 294, 277.6, 276, 290])  # fmt: skip
_HB = np.array([223296, 303956, 407560, 528600, 413280, 103292, 23388.8, 16156.4, 14550, 16684, 20862, 25773.6,
                31589.6, 39036.4, 46592, 53412, 53788, 45072, 37020, 28324.4, 14677.2, 9443.6, 6509.6, 5148.8,
                4345.2, 3750.12, 3226.56, 2795.12, 2407.92, 2051.96, 1794.28])  # fmt: skip
_D65 = np.array([82.75, 91.49, 93.43, 86.68, 104.86, 117.01, 117.81, 114.86, 115.92, 108.81, 109.35, 107.80, 104.79,
                 107.69, 104.41, 104.05, 100.0, 96.33, 95.79, 88.69, 90.01, 89.60, 87.70, 83.29, 83.70, 80.03, 80.21,
                 82.28, 78.28, 69.72, 71.61])  # fmt: skip
_XYZ_TO_RGB = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
)
HAEMOGLOBIN_ABSORPTION = 2.303 * 150 / 64500
"""Molar extinction → absorption of whole blood per cm (150 g/l, 64,500 g/mol)."""

EPIDERMIS_THICKNESS_CM = 0.008
REFRACTIVE_INDEX = 1.4
SURFACE_FLOOR = 0.016
"""Reflectance that no pigment removes (stratum corneum scatter)."""


def _lobe(centre: float, below: float, above: float) -> np.ndarray:
    offset = WAVELENGTHS - centre
    return np.exp(-0.5 * (offset / np.where(offset < 0, below, above)) ** 2)


def _rgb_weights() -> np.ndarray:
    x = 1.056 * _lobe(599.8, 37.9, 31.0) + 0.362 * _lobe(442.0, 16.0, 26.7) - 0.065 * _lobe(501.1, 20.4, 26.2)
    y = 0.821 * _lobe(568.8, 46.9, 40.5) + 0.286 * _lobe(530.9, 16.3, 31.1)
    z = 1.217 * _lobe(437.0, 11.8, 36.0) + 0.681 * _lobe(459.0, 26.0, 13.8)
    weights = np.stack([x, y, z], 1) * _D65[:, None] @ _XYZ_TO_RGB.T
    return weights / weights.sum(0)


RGB_WEIGHTS = _rgb_weights()
"""[31, 3]: reflectance spectrum → linear sRGB under D65; a perfect white gives exactly (1, 1, 1)."""


def spectrum(
    melanin: np.ndarray | float,
    blood: np.ndarray | float,
    oxygenation: np.ndarray | float = 0.75,
    eumelanin: float = 0.7,
    carotene: float = 0.0,
) -> np.ndarray:
    """Diffuse reflectance [..., 31] of skin; array arguments broadcast.

    Args:
        melanin: volume fraction of melanosomes in the epidermis, 0.003…1.2.
        blood: volume fraction of blood in the dermis, 0.002…0.14.
        oxygenation: share of oxygenated haemoglobin.
        eumelanin: share of eumelanin in the melanin, the rest is pheomelanin.
        carotene: extra absorption around 460 nm, per cm.

    The epidermis attenuates along a gamma-distributed path length: melanin sits in clumps, so dark
    skin saturates later than Beer's law says ("sieve effect").
    """
    melanin = np.asarray(melanin, float)[..., None]
    blood = np.asarray(blood, float)[..., None]
    oxygenation = np.asarray(oxygenation, float)[..., None]
    baseline = 0.244 + 85.3 * np.exp(-(WAVELENGTHS - 154) / 66.2)
    pigment = eumelanin * 6.6e11 * WAVELENGTHS**-3.33 + (1 - eumelanin) * 2.9e15 * WAVELENGTHS**-4.75
    epidermis = melanin * pigment + (1 - melanin) * baseline * 0.5
    path, spread = 1.6, 0.9
    transmission = (1 + spread * 2 * path * epidermis * EPIDERMIS_THICKNESS_CM) ** (-1 / spread)

    haemoglobin = HAEMOGLOBIN_ABSORPTION * (oxygenation * _HBO2 + (1 - oxygenation) * _HB)
    dermis = blood * haemoglobin + (1 - blood) * 0.25 * np.sqrt(baseline)
    dermis = dermis + carotene * np.exp(-0.5 * ((WAVELENGTHS - 460) / 30) ** 2)
    scattering = 1.25 * (2e5 * WAVELENGTHS**-1.5 + 2e12 * WAVELENGTHS**-4.0)
    albedo = scattering / (scattering + dermis)
    n = REFRACTIVE_INDEX
    internal = -1.440 / n**2 + 0.710 / n + 0.668 + 0.0636 * n
    boundary = (1 + internal) / (1 - internal)
    root = np.sqrt(3 * (1 - albedo))
    reflectance = albedo / 2 * (1 + np.exp(-4 / 3 * boundary * root)) * np.exp(-root)
    return SURFACE_FLOOR + (1 - SURFACE_FLOOR) * transmission * reflectance


def to_rgb(reflectance: np.ndarray) -> np.ndarray:
    """Spectra [..., 31] → linear sRGB [..., 3]."""
    return reflectance @ RGB_WEIGHTS


def lab(rgb: np.ndarray) -> np.ndarray:
    """Linear sRGB [..., 3] → CIE L*a*b* relative to D65."""
    to_xyz = np.linalg.inv(_XYZ_TO_RGB)
    x = (rgb @ to_xyz.T) / (to_xyz @ np.ones(3))
    f = np.where(x > 0.008856, np.cbrt(np.maximum(x, 1e-9)), 7.787 * x + 16 / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def typology_angle(rgb: np.ndarray) -> np.ndarray:
    """Individual typology angle (ITA) in degrees of linear sRGB [..., 3]; larger is lighter."""
    values = lab(rgb)
    return np.degrees(np.arctan2(values[..., 0] - 50, values[..., 2]))


MELANIN_RANGE = (0.003, 1.2)
BLOOD_RANGE = (0.002, 0.14)
OXYGENATION_RANGE = (0.3, 0.9)
OXYGENATION_STEPS = 4


class ColourTable:
    """Linear RGB tabulated over (oxygenation, log melanin, log blood) for one person's pigments."""

    def __init__(self, eumelanin: float, carotene: float, melanin_steps: int = 48, blood_steps: int = 40):
        melanin = np.geomspace(*MELANIN_RANGE, melanin_steps)[:, None]
        blood = np.geomspace(*BLOOD_RANGE, blood_steps)[None]
        self.table = np.stack(
            [
                to_rgb(spectrum(melanin, blood, oxygen, eumelanin, carotene))
                for oxygen in np.linspace(*OXYGENATION_RANGE, OXYGENATION_STEPS)
            ]
        )

    def colour(self, melanin: np.ndarray, blood: np.ndarray, oxygenation: np.ndarray) -> np.ndarray:
        """Pigment maps [N, N] → linear RGB [N, N, 3]."""
        out = np.empty((*melanin.shape, 3))
        _look_up(
            self.table,
            _log_index(melanin, MELANIN_RANGE, self.table.shape[1]),
            _log_index(blood, BLOOD_RANGE, self.table.shape[2]),
            (np.clip(oxygenation, *OXYGENATION_RANGE) - OXYGENATION_RANGE[0])
            / (OXYGENATION_RANGE[1] - OXYGENATION_RANGE[0])
            * (OXYGENATION_STEPS - 1),
            out,
        )
        return out


def _log_index(values: np.ndarray, bounds: tuple[float, float], steps: int) -> np.ndarray:
    low, high = np.log(bounds)
    return (np.log(np.clip(values, *bounds)) - low) / (high - low) * (steps - 1)


@nb.njit(cache=True)
def _look_up(table, melanin, blood, oxygen, out):
    for y in range(melanin.shape[0]):
        for x in range(melanin.shape[1]):
            o = min(int(oxygen[y, x]), table.shape[0] - 2)
            i = min(int(melanin[y, x]), table.shape[1] - 2)
            j = min(int(blood[y, x]), table.shape[2] - 2)
            fo, fi, fj = oxygen[y, x] - o, melanin[y, x] - i, blood[y, x] - j
            for c in range(3):
                value = 0.0
                for k in range(2):
                    low = table[o + k, i, j, c] * (1 - fj) + table[o + k, i, j + 1, c] * fj
                    high = table[o + k, i + 1, j, c] * (1 - fj) + table[o + k, i + 1, j + 1, c] * fj
                    value += ((1 - fo) if k == 0 else fo) * (low * (1 - fi) + high * fi)
                out[y, x, c] = value


def melanin_for_angle(angle: float, blood: float, oxygenation: float, eumelanin: float, carotene: float) -> float:
    """Melanosome fraction whose skin has a wanted typology angle, by bisection on its logarithm."""
    low, high = np.log(MELANIN_RANGE)
    for _ in range(24):
        middle = (low + high) / 2
        colour = to_rgb(spectrum(np.exp(middle), blood, oxygenation, eumelanin, carotene))
        if typology_angle(colour) > angle:
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))
