"""Patch discriminator for the autoencoder's optional adversarial loss (hinge form, as in VQGAN, arXiv 2012.09841)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from fitdiff.learning.autoencoder import MAP_CHANNELS

WIDTHS = (32, 64, 128)


class PatchDiscriminator(nn.Module):
    """Stacked maps [B,6,S,S] -> realness of patches [B,1,S/16,S/16].

    Space-to-depth at the input keeps it as cheap as the autoencoder; spectral norms keep it from outrunning the
    decoder.
    """

    def __init__(self) -> None:
        super().__init__()
        first, second, third = WIDTHS
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv2d(MAP_CHANNELS * 4, first, 3, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(first, second, 4, stride=2, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(second, third, 4, stride=2, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(third, third, 4, stride=2, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(third, 1, 3, padding=1)),
        )

    def forward(self, maps: Tensor) -> Tensor:
        return self.layers(F.pixel_unshuffle(maps, 2))


def discriminator_loss(real: Tensor, generated: Tensor) -> Tensor:
    """Hinge loss of the discriminator."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + generated).mean())


def generator_loss(generated: Tensor) -> Tensor:
    """Hinge loss of the decoder."""
    return -generated.mean()


def masked(maps: Tensor, chart: Tensor) -> Tensor:
    """Maps without what lies outside of the chart, which the discriminator must not judge."""
    return torch.where(chart > 0, maps, torch.zeros_like(maps))
