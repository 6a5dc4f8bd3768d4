"""Which texels mean something: chart ⊃ skin ⊃ face."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from scipy import ndimage

from fitdiff.faces.head_model import HeadModel
from fitdiff.faces.regions import Regions, build_regions
from fitdiff.faces.uv_bake import TexelGeometry, bake_geometry

HAIRLINE_MARGIN = 0.02
"""Decimetres inside of the mean hairline where skin ends."""

NECK_END_Y = 5.86
"""The skin mask ends at this height (decimetres on the base mesh), above the cut of the neck."""


def build_masks(geometry: TexelGeometry, regions: Regions) -> dict[str, np.ndarray]:
    """Return bool [S, S] by name; they are mirror-symmetric up to the rasterisation of texel centres.

    ``chart``: the texel's centre lies on the head's surface and outside of the eyes' openings.
    ``skin``: chart without scalp, the lids' wet rim and the end of the neck.
    ``face``: the front of the face, from the hairline to under the chin, without ears.
    """
    position = geometry.position
    x, y, z = np.abs(position[..., 0]), position[..., 1], position[..., 2]
    eyes = regions.eye_opening > 0.5
    chart = geometry.chart & ~eyes
    near_rim = ndimage.binary_dilation(eyes, iterations=max(1, geometry.size // 256))
    skin = chart & ~near_rim & (regions.scalp_margin < HAIRLINE_MARGIN) & (y > NECK_END_Y) & (z > 0.2)
    under_chin = 6.12 + 0.25 * np.clip(1.2 - z, 0, 1)
    face = skin & (z > 0.72) & (y > under_chin) & (x < 0.72) & (regions.ear < 0.3)
    return {"chart": chart, "skin": skin, "face": face}


def head_masks(model: HeadModel, size: int) -> dict[str, np.ndarray]:
    """The masks of :func:`build_masks` at this side in texels."""
    geometry = bake_geometry(model.topology, model.uv_map, size)
    return build_masks(geometry, build_regions(geometry))


def masks_png(masks: dict[str, np.ndarray]) -> bytes:
    """The masks as an RGB PNG: red chart, green skin, blue face."""
    picture = np.stack([masks[name] for name in ("chart", "skin", "face")], 2).astype(np.uint8) * 255
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
