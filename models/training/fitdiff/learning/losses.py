"""Losses of the reflectance autoencoder, all masked by what the texture's chart makes meaningful."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fitdiff.learning.autoencoder import BRANCHES
from fitdiff.learning.recogniser import CHIP_SIZE, PERCEPTUAL_LAYERS, Recogniser

FACE_WEIGHT = 2.0
"""Weight of texels on the front of the face; other texels of the chart weigh 1."""
OUTSIDE_WEIGHT = 0.02
"""Weight of texels outside of the chart, so that what bilinear filtering and mip maps fetch there stays tame."""
GRADIENT_SCALES = 3


def texel_weights(chart: np.ndarray, face: np.ndarray) -> Tensor:
    """Loss weights [1,1,S,S] from masks [S,S]."""
    weights = np.where(chart, 1.0, OUTSIDE_WEIGHT) + (FACE_WEIGHT - 1.0) * face
    return torch.from_numpy(weights.astype(np.float32))[None, None]


def masked_l1(difference: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of |difference| [B,C,h,w] under weights [1,1,h,w]."""
    return (difference.abs() * weights).sum() / (weights.sum() * difference.shape[0] * difference.shape[1])


def gradient_loss(difference: Tensor, weights: Tensor) -> Tensor:
    """L1 on the spatial gradients of the difference at full, half and quarter resolution, averaged.

    Gradients across the border of the chart count with the smaller of the two texels' weights.
    """
    total = difference.new_zeros(())
    for scale in range(GRADIENT_SCALES):
        if scale:
            difference, weights = F.avg_pool2d(difference, 2), F.avg_pool2d(weights, 2)
        across = torch.minimum(weights[..., :, 1:], weights[..., :, :-1])
        down = torch.minimum(weights[..., 1:, :], weights[..., :-1, :])
        total = total + masked_l1(difference[..., :, 1:] - difference[..., :, :-1], across)
        total = total + masked_l1(difference[..., 1:, :] - difference[..., :-1, :], down)
    return total / (2 * GRADIENT_SCALES)


def reconstruction_loss(
    predicted: Tensor,
    target: Tensor,
    weights: Tensor,
    branch_weights: tuple[float, ...],
    gradient_weight: float,
) -> dict[str, Tensor]:
    """Weighted loss of each branch; maps [B,6,S,S] in the network encoding."""
    channels = list(BRANCHES.values())
    differences = (predicted - target).split(channels, dim=1)
    return {
        name: weight * (masked_l1(part, weights) + gradient_weight * gradient_loss(part, weights))
        for name, part, weight in zip(BRANCHES, differences, branch_weights, strict=True)
    }


class FaceCropPerceptual(nn.Module):
    """Distance of recogniser activations between two diffuse maps, on the box around the face mask.

    The recogniser has never seen texture space, but its early layers are general detectors of edges and blobs at the
    scale of facial features; no network trained on other photos is needed.
    """

    def __init__(self, recogniser: Recogniser, face: np.ndarray) -> None:
        super().__init__()
        rows, columns = np.flatnonzero(face.any(axis=1)), np.flatnonzero(face.any(axis=0))
        self.box = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
        self.recogniser = recogniser.requires_grad_(False)

    def _activations(self, diffuse: Tensor) -> tuple[Tensor, ...]:
        crop = diffuse[..., self.box[0], self.box[1]] * 0.5 + 0.5
        image = F.interpolate(crop, size=(CHIP_SIZE, CHIP_SIZE), mode="bilinear", align_corners=False, antialias=True)
        return self.recogniser(image, PERCEPTUAL_LAYERS)

    def forward(self, predicted: Tensor, target: Tensor) -> Tensor:
        """Mean over layers of the mean absolute difference over the target's mean magnitude; diffuse maps [B,3,S,S]."""
        with torch.no_grad():
            wanted = self._activations(target)
        found = self._activations(predicted)
        terms = [(a - b).abs().mean() / (b.abs().mean() + 1e-6) for a, b in zip(found, wanted, strict=True)]
        return torch.stack(terms).mean()
