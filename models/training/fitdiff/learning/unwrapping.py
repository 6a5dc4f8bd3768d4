"""A photo's face laid out as the template's texture: what the photo shows at each texel, as far as landmarks tell.

Every landmark has a place on the template and so in its texture. Between them, texels follow linearly, over a Delaunay
triangulation in the texture: no head needs to be fitted.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.spatial import Delaunay
from torch import Tensor, nn

from face_nets.chip import SIZE as CHIP_SIZE
from fitdiff.faces.landmarks import SKIN_LANDMARKS
from fitdiff.faces.template import Template


def landmark_texture_places(template: Template) -> np.ndarray:
    """Texture coordinates [468,2] of the skin's landmarks, 0 to 1, origin top-left."""
    corners = template.triangles[template.landmark_triangles[:SKIN_LANDMARKS]]
    return (template.uv[corners] * template.landmark_bary[:SKIN_LANDMARKS, :, None]).sum(1)


def texel_landmarks(places: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The landmarks that each texel's centre lies between.

    Args:
        places: texture coordinates [L,2] of the landmarks.
        size: side of the texture in texels.

    Returns:
        Their indices [size*size,3], their shares [size*size,3], and which texels lie within the landmarks' hull, bool
        [size*size]; shares elsewhere are 0.
    """
    triangulation = Delaunay(places)
    rows, columns = np.divmod(np.arange(size * size), size)
    centres = (np.column_stack([columns, rows]) + 0.5) / size
    triangle = triangulation.find_simplex(centres)
    inside = triangle >= 0
    transform = triangulation.transform[triangle]
    two = np.einsum("tij,tj->ti", transform[:, :2], centres - transform[:, 2])
    shares = np.column_stack([two, 1 - two.sum(1)])
    return triangulation.simplices[triangle], np.where(inside[:, None], shares, 0), inside


class Unwrapping(nn.Module):
    """Chips [B,3,150,150] and landmarks in their pixels [B,478,2] to textures [B,3,S,S]; 0 outside of the landmarks."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("corners", torch.zeros(size * size, 3, dtype=torch.int32))
        self.register_buffer("shares", torch.zeros(size * size, 3))
        self.register_buffer("inside", torch.zeros(1, 1, size, size))

    def place(self, landmarks: np.ndarray) -> None:
        """Take landmarks at these texture coordinates [L,2]."""
        corners, shares, inside = texel_landmarks(landmarks, self.size)
        self.corners.copy_(torch.from_numpy(corners))
        self.shares.copy_(torch.from_numpy(shares))
        self.inside.copy_(torch.from_numpy(inside).reshape(self.inside.shape))

    def forward(self, chip: Tensor, places: Tensor) -> Tensor:
        corners = places.index_select(1, self.corners.flatten()).reshape(-1, self.size * self.size, 3, 2)
        pixels = (corners * self.shares[:, :, None]).sum(dim=2)
        # Pixel indices to -1 to 1 between the centres of the outermost ones.
        grid = (pixels * (2 / (CHIP_SIZE - 1)) - 1).reshape(-1, self.size, self.size, 2)
        return F.grid_sample(chip, grid, align_corners=True, padding_mode="border") * self.inside
