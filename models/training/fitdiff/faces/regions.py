"""Where things are on the texture: soft masks for lips, cheeks, scalp, beard and so on.

Masks are functions of the canonical position (decimetres on the base mesh: x to the person's left,
y up, z forward; |x| is used, so they are symmetric) except for the lips' outline, which is traced
in texture coordinates, and the lids, which follow the mesh's own openings.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.spatial import cKDTree

from fitdiff.faces.numerics import smoothstep
from fitdiff.faces.uv_bake import TexelGeometry

LIP_OUTLINE = np.array(
    [(256, 312.5), (261, 311), (266, 309.5), (272, 311.5), (280, 314.5), (290, 318.5), (300, 322.5), (308, 327),
     (314, 332.5), (318.5, 339), (318.5, 345), (314, 351), (308, 357), (300, 362.5), (290, 367), (280, 370),
     (268, 372), (256, 372.5), (250, 372.5), (250, 312)]
) / 512  # fmt: skip
"""Vermilion border of the left half (texture x right, y down, 0…1)."""

NOSTRIL_OUTLINE = np.array(
    [(266, 278), (272, 272), (282, 272), (292, 277), (298, 283), (290, 286), (280, 284), (270, 283)]
) / 512  # fmt: skip

UPPER_LID = np.array(
    [(295, 196.5), (300, 188), (310, 179), (322, 172.5), (335, 171), (345, 172.5), (353, 178), (358, 186)]
) / 512  # fmt: skip
LOWER_LID = np.array(
    [(358, 190), (354, 197), (346, 202.5), (336, 205), (325, 204.5), (312, 202), (303, 199.5), (295, 197.5)]
) / 512  # fmt: skip
"""Left lid margins, where lashes grow; between them lies the wet rim and the eye's opening."""


@dataclass(frozen=True)
class Regions:
    """Soft masks [S, S], float32, 0…1; distances in millimetres."""

    lip: np.ndarray
    lip_wide: np.ndarray
    eye_opening: np.ndarray
    upper_lid_mm: np.ndarray
    lower_lid_mm: np.ndarray
    cheek: np.ndarray
    cheek_wide: np.ndarray
    nose: np.ndarray
    nose_tip: np.ndarray
    ear: np.ndarray
    forehead: np.ndarray
    chin: np.ndarray
    glabella: np.ndarray
    t_zone: np.ndarray
    upper_lid: np.ndarray
    under_eye: np.ndarray
    perioral: np.ndarray
    nasolabial: np.ndarray
    neck: np.ndarray
    nostril: np.ndarray
    scalp_margin: np.ndarray  # signed distance to the hairline, decimetres, > 0 in the hair
    beard: np.ndarray
    moustache: np.ndarray
    goatee: np.ndarray


class FrontLookup:
    """Finds the texel of a point given by its frontal coordinates (x, y) on the base mesh."""

    def __init__(self, geometry: TexelGeometry):
        front = geometry.chart & (geometry.normal[..., 2] > 0.05) & (geometry.position[..., 2] > 0.6)
        self._texels = np.argwhere(front)
        self._depth = geometry.position[front][:, 2]
        self._tree = cKDTree(geometry.position[front][:, :2])

    def __call__(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [..., 2] in decimetres → (texel x, y [..., 2] with centres at +0.5, z [...])."""
        distance, index = self._tree.query(points, k=4)
        weight = 1 / (distance + 1e-4) ** 2
        weight /= weight.sum(-1, keepdims=True)
        texels = (self._texels[index] * weight[..., None]).sum(-2)
        return texels[..., ::-1] + 0.5, (self._depth[index] * weight).sum(-1)


def polygon_mask(size: int, outline: np.ndarray, blur: float, mirror: bool = True) -> np.ndarray:
    """Antialiased filled polygon.

    Args:
        size: side in texels.
        outline: [K, 2] texture coordinates (x right, y down, 0…1).
        blur: Gaussian sigma in texels of a 512 map.
        mirror: also fill the polygon mirrored at the middle.
    """
    oversampling = 4
    out = np.zeros((size, size), np.float32)
    for flip in (False, True) if mirror else (False,):
        points = np.stack([1 - outline[:, 0], outline[:, 1]], 1) if flip else outline
        image = Image.new("L", (oversampling * size, oversampling * size))
        ImageDraw.Draw(image).polygon([tuple(point) for point in points * oversampling * size], fill=255)
        filled = np.asarray(image, np.float32).reshape(size, oversampling, size, oversampling).mean((1, 3)) / 255
        out = np.maximum(out, filled)
    return ndimage.gaussian_filter(out, blur * size / 512) if blur else out


def build_regions(geometry: TexelGeometry) -> Regions:
    """Compute all masks for one map size."""
    size = geometry.size
    position = geometry.position
    x, y, z = np.abs(position[..., 0]), position[..., 1], position[..., 2]

    def blob(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
        distance = sum(((axis - c) / r) ** 2 for axis, c, r in zip((x, y, z), centre, radii, strict=True))
        return np.exp(-0.5 * distance)

    lip_wide = polygon_mask(size, LIP_OUTLINE, 3.0)
    opening = polygon_mask(size, np.concatenate([UPPER_LID, LOWER_LID]), 0.6)
    upper_mm = _polyline_distance(position, UPPER_LID)
    lower_mm = _polyline_distance(position, LOWER_LID)
    nose = smoothstep(0.23, 0.12, x) * smoothstep(7.35, 7.15, y) * smoothstep(6.76, 6.82, y) * smoothstep(1.33, 1.42, z)
    ear = (
        smoothstep(0.69, 0.76, x) * smoothstep(6.72, 6.85, y) * smoothstep(7.5, 7.38, y)
        * smoothstep(0.22, 0.34, z) * smoothstep(0.78, 0.66, z)
    )  # fmt: skip
    forehead = smoothstep(7.5, 7.62, y) * smoothstep(0.66, 0.5, x) * smoothstep(0.75, 1.0, z) * smoothstep(8.2, 8.0, y)
    chin = blob((0, 6.33, 1.46), (0.15, 0.12, 0.2))
    trough = blob((0.24, 7.17, 1.36), (0.09, 0.05, 0.2)) + 0.8 * blob((0.33, 7.155, 1.36), (0.12, 0.045, 0.2))
    below_lid = np.exp(-(((lower_mm - 4) / 4.0) ** 2)) * (y < 7.27) * smoothstep(0.55, 0.4, x)
    beard, moustache, goatee = _beard(x, y, z, blob)
    masks = {
        "lip": polygon_mask(size, LIP_OUTLINE, 0.9),
        "lip_wide": lip_wide,
        "eye_opening": opening,
        "upper_lid_mm": upper_mm,
        "lower_lid_mm": lower_mm,
        "cheek": blob((0.43, 6.98, 1.25), (0.16, 0.14, 0.3)),
        "cheek_wide": blob((0.45, 6.93, 1.1), (0.25, 0.25, 0.4)),
        "nose": nose,
        "nose_tip": np.clip(
            blob((0, 6.93, 1.66), (0.13, 0.11, 0.14)) + blob((0.155, 6.9, 1.5), (0.06, 0.07, 0.09)), 0, 1
        ),
        "ear": ear,
        "forehead": forehead,
        "chin": chin,
        "glabella": blob((0, 7.5, 1.5), (0.12, 0.12, 0.2)),
        "t_zone": np.clip(nose + 0.8 * forehead * smoothstep(0.4, 0.2, x) + 0.7 * chin, 0, 1),
        "upper_lid": np.exp(-((upper_mm / 5.5) ** 2)) * smoothstep(7.24, 7.30, y) * (1 - opening),
        "under_eye": np.clip(trough + 0.5 * below_lid, 0, 1) * (1 - opening),
        "perioral": np.exp(-(((x / 0.33) ** 2 + ((y - 6.61) / 0.2) ** 2) ** 2))
        * smoothstep(1.2, 1.35, z) * (1 - lip_wide),
        "nasolabial": blob((0.235, 6.86, 1.45), (0.045, 0.09, 0.15)),
        "neck": smoothstep(6.25, 6.05, y - 0.25 * (z - 1.0)),
        "nostril": polygon_mask(size, NOSTRIL_OUTLINE, 1.5),
        "scalp_margin": _scalp_margin(x, y, z) - 0.5 * ear,
        "beard": beard * (1 - lip_wide) * (1 - ear),
        "moustache": moustache * (1 - lip_wide),
        "goatee": goatee * (1 - lip_wide),
    }  # fmt: skip
    return Regions(**{field.name: masks[field.name].astype(np.float32) for field in fields(Regions)})


def _polyline_distance(position: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Surface distance in millimetres from each texel to the nearest texel under a polyline."""
    size = position.shape[0]
    away = np.ones((size, size), bool)
    for points in (line, np.stack([1 - line[:, 0], line[:, 1]], 1)):
        steps = np.linspace(0, len(points) - 1, 60 * len(points))
        columns = np.interp(steps, np.arange(len(points)), points[:, 0]) * size
        rows = np.interp(steps, np.arange(len(points)), points[:, 1]) * size
        away[np.clip(rows.astype(int), 0, size - 1), np.clip(columns.astype(int), 0, size - 1)] = False
    nearest = ndimage.distance_transform_edt(away, return_distances=False, return_indices=True)
    return np.linalg.norm(position - position[nearest[0], nearest[1]], axis=2) * 100


def _scalp_margin(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Distance inside of the hairline, decimetres: rounded front, temples, sideburns and nape."""
    front = y - (8.03 - 0.30 * smoothstep(0.28, 0.66, x))
    temple = np.minimum(1.05 - (z + 0.55 * np.clip(7.8 - y, 0, None)), 0.6 * (y - 7.05))
    temple = np.minimum(temple, 0.8 * (x - 0.56))
    back = np.minimum(0.56 - z, y + 0.25 * (z + 0.1) - 6.62)
    sides = np.maximum(temple, back)
    blend = 0.06
    # Smooth maximum: the corner between forehead and temple is round.
    return blend * np.logaddexp(front / blend, sides / blend)


def _beard(x, y, z, blob) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Full beard, moustache and goatee densities."""
    cheek_line = 6.62 + 0.55 * smoothstep(0.3, 0.72, x)
    cheeks = smoothstep(0.07, -0.09, y - cheek_line) * smoothstep(0.20, 0.36, x)
    below_lip = smoothstep(0.03, -0.04, y - 6.50)
    jaw = np.maximum(cheeks, below_lip * smoothstep(0.44, 0.3, x))
    jaw = jaw * smoothstep(5.95, 6.16, y - 0.1 * (z - 0.8)) * smoothstep(0.42, 0.64, z)
    soul_patch = 0.7 * blob((0, 6.47, 1.5), (0.05, 0.03, 0.2))
    corners = smoothstep(0.25, 0.29, x) * smoothstep(0.41, 0.33, x) * smoothstep(6.67, 6.58, y) * (y > 6.3) * (z > 1.2)
    sideburns = (
        smoothstep(0.63, 0.69, x) * smoothstep(0.58, 0.68, z) * smoothstep(0.92, 0.8, z)
        * smoothstep(7.28, 7.1, y) * smoothstep(6.3, 6.4, y)
    )  # fmt: skip
    full = np.clip(np.max([jaw, sideburns, soul_patch, corners], axis=0), 0, 1)
    moustache = (
        smoothstep(6.765, 6.725, y - 0.06 * smoothstep(0.0, 0.10, x) + 0.08 * smoothstep(0.12, 0.3, x))
        * smoothstep(0.33, 0.25, x) * smoothstep(6.55, 6.62, y) * smoothstep(1.3, 1.4, z)
    )  # fmt: skip
    goatee = full * smoothstep(0.36, 0.22, x) * smoothstep(6.58, 6.54, y)
    return full, moustache, goatee
