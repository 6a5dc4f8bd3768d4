"""The colour of a person's irises, read in the eyes of a photo.

The recogniser does not care for the colour of eyes, and the head's maps leave them out; to people it belongs to a
likeness. What a photo shows of an iris is dark, small, and behind the cornea's reflections, so that a network learns
to see through these, and answers with a mean of human iris colours whatever it is shown.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from face_nets.chip import SIZE as CHIP_SIZE

EYES = ((468, 33, 133), (473, 263, 362))
"""Landmarks of the right and the left eye: centre of the iris, outer and inner corner."""
GRID = (9, 17)
"""Rows and columns of the places that are looked at around each iris."""
EXTENT = (0.30, 0.52)
"""How far down and across these reach from the iris's centre, in distances between the eye's corners."""
DARK = 0.01
"""Linear light that is added before the logarithm, for the sake of noise."""
WIDTHS = (12, 16, 32)
"""Channels of the convolutions, and width of the hidden layer."""


def srgb_to_linear(encoded: Tensor) -> Tensor:
    """The curve of IEC 61966-2-1, of values 0 to 1."""
    return torch.where(encoded > 0.04045, ((encoded.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4, encoded / 12.92)


class IrisReader(nn.Module):
    """Chips [B,3,150,150], sRGB of 0 to 1, and landmarks in their pixels [B,478,2] to the irises' linear RGB [B,3]."""

    def __init__(self, colours: np.ndarray) -> None:
        """Make an untrained one that answers with weighted geometric means of these linear RGB [K,3]."""
        super().__init__()
        self.register_buffer("colours", torch.from_numpy(np.log(colours)).float())
        rows, columns = np.meshgrid(
            *(np.linspace(-reach, reach, n) for reach, n in zip(EXTENT, GRID, strict=True)), indexing="ij"
        )
        self.register_buffer("offsets", torch.from_numpy(np.stack([columns, rows], -1).reshape(1, -1, 2)).float())
        first, second, hidden = WIDTHS
        self.layers = nn.Sequential(
            nn.Conv2d(3, first, 3), nn.ReLU(), nn.Conv2d(first, second, 3, stride=2), nn.ReLU(), nn.Flatten()
        )
        height, width = ((side - 2 - 3) // 2 + 1 for side in GRID)  # what the convolutions leave
        self.hidden = nn.Linear(second * height * width, hidden)
        self.leave = nn.Linear(hidden, len(colours))

    def eyes(self, chip: Tensor, places: Tensor) -> Tensor:
        """What is to be seen around the right and the left iris [B,2,3,9,17], linear RGB; left eyes are mirrored."""
        seen = []
        for centre, outer, inner in EYES:
            across = places[:, inner] - places[:, outer]
            turned = torch.stack([-across[:, 1], across[:, 0]], dim=1)
            axes = torch.stack([across, -turned if seen else turned], dim=1)
            pixels = places[:, centre, None] + self.offsets @ axes
            # Pixel indices to -1 to 1 between the centres of the outermost ones.
            grid = (pixels * (2 / (CHIP_SIZE - 1)) - 1).reshape(-1, *GRID, 2)
            seen.append(F.grid_sample(chip, grid, align_corners=True, padding_mode="border"))
        return srgb_to_linear(torch.stack(seen, dim=1))

    def logarithm(self, eyes: Tensor) -> Tensor:
        """Logarithms of the irises' linear RGB [B,3] from what :meth:`eyes` gives.

        The mean over both eyes is taken away from the logarithms of light: it is the light's and the camera's.
        """
        light = (eyes + DARK).log()
        light = light - light.mean(dim=(1, 3, 4), keepdim=True)
        each = F.relu(self.hidden(self.layers(light.flatten(0, 1))))
        both = each.reshape(-1, 2, each.shape[1]).mean(dim=1)
        return self.leave(both).softmax(dim=1) @ self.colours

    def forward(self, chip: Tensor, places: Tensor) -> Tensor:
        return self.logarithm(self.eyes(chip, places)).exp()
