"""The reflectance autoencoder: stacked maps <-> latents of 1/16 size, with one decoder branch per map.

The stacked maps are [B,6,S,S] in the *network encoding*, every channel in [-1, 1]: diffuse albedo (sRGB-encoded, 3),
specular albedo (F0 as a share of the bundle's largest F0, 1), tangent-space normal x and y (2). FitDiff (arXiv
2312.04465, section 3.1) uses one VQGAN-like autoencoder with a decoder branch per modality; here all convolutions run
at S/4 and below: space-to-depth at the input and sub-pixel convolutions at the output bridge the rest.

The latents are regularised like those of a variational autoencoder whose posterior variance is fixed: noise of a
fixed standard deviation is added in training and the squared norm is penalised, which is the KL divergence to a unit
normal up to a constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fitdiff.learning.config import AutoencoderConfig
from fitdiff.learning.layers import NormResidual, PixelShuffleUp, PlainResidual, group_norm

BRANCHES: dict[str, int] = {"diffuse": 3, "specular": 1, "normals": 2}
"""Map names and their channels in the network encoding, in stacking order."""
MAP_CHANNELS = sum(BRANCHES.values())
LATENT_FACTOR = 16
"""Map side over latent side."""
OUTER_FACTOR = 4
"""Space-to-depth factor at the input, sub-pixel factor at the output."""
LATENT_NOISE = 0.1
"""Standard deviation of the noise on latents in training (the fixed posterior)."""


class Encoder(nn.Module):
    """Stacked maps [B,6,S,S] -> latents [B,C,S/16,S/16]."""

    def __init__(self, widths: tuple[int, int, int], latent_channels: int) -> None:
        super().__init__()
        quarter, eighth, sixteenth = widths
        self.stages = nn.Sequential(
            nn.Conv2d(MAP_CHANNELS * OUTER_FACTOR**2, quarter, 3, padding=1),
            PlainResidual(quarter),
            nn.Conv2d(quarter, eighth, 4, stride=2, padding=1),
            NormResidual(eighth),
            nn.Conv2d(eighth, sixteenth, 4, stride=2, padding=1),
            NormResidual(sixteenth),
            NormResidual(sixteenth),
            group_norm(sixteenth),
            nn.SiLU(),
            nn.Conv2d(sixteenth, latent_channels, 3, padding=1),
        )

    def forward(self, maps: Tensor) -> Tensor:
        return self.stages(F.pixel_unshuffle(maps, OUTER_FACTOR))


class Branch(nn.Module):
    """One map's decoder: trunk features at 1/8 [B,T,S/8,S/8] -> map [B,channels,S,S], network encoding, not clipped."""

    def __init__(self, trunk: int, width: int, blocks: int, channels: int) -> None:
        super().__init__()
        self.up = PixelShuffleUp(trunk, width, 2)
        self.blocks = nn.Sequential(*(PlainResidual(width) for _ in range(blocks)))
        self.head = PixelShuffleUp(width, channels, OUTER_FACTOR)

    def forward(self, features: Tensor) -> Tensor:
        return self.head(F.silu(self.blocks(self.up(features))))


class Decoder(nn.Module):
    """Latents [B,C,S/16,S/16] -> (diffuse [B,3,S,S], specular [B,1,S,S], normals xy [B,2,S,S]).

    A UV map puts every feature of a face at a fixed place, so the trunk has a learned bias per position at both of its
    resolutions: what all faces share need not pass through the latents.
    """

    def __init__(
        self,
        latent_channels: int,
        latent_size: int,
        trunk_widths: tuple[int, int],
        branch_widths: tuple[int, int, int],
        branch_blocks: tuple[int, int, int],
    ) -> None:
        super().__init__()
        coarse, fine = trunk_widths
        self.enter = nn.Conv2d(latent_channels, coarse, 3, padding=1)
        self.place_coarse = nn.Parameter(torch.zeros(1, coarse, latent_size, latent_size))
        self.coarse = nn.Sequential(NormResidual(coarse), NormResidual(coarse))
        self.up = PixelShuffleUp(coarse, fine, 2)
        self.place_fine = nn.Parameter(torch.zeros(1, fine, 2 * latent_size, 2 * latent_size))
        self.fine = NormResidual(fine)
        self.branches = nn.ModuleDict(
            {
                name: Branch(fine, width, blocks, channels)
                for (name, channels), width, blocks in zip(BRANCHES.items(), branch_widths, branch_blocks, strict=True)
            }
        )

    def forward(self, latents: Tensor) -> tuple[Tensor, ...]:
        coarse = self.coarse(self.enter(latents) + self.place_coarse)
        fine = self.fine(self.up(coarse) + self.place_fine)
        return tuple(branch(fine) for branch in self.branches.values())


@dataclass(frozen=True)
class AutoencoderOutput:
    """Result of a training pass: the reconstruction [B,6,S,S] and the latents before noise."""

    maps: Tensor
    latents: Tensor


class Autoencoder(nn.Module):
    """Encoder and branched decoder."""

    def __init__(self, config: AutoencoderConfig, map_size: int) -> None:
        super().__init__()
        self.encoder = Encoder(config.encoder_widths, config.latent_channels)
        self.decoder = Decoder(
            config.latent_channels,
            map_size // LATENT_FACTOR,
            config.trunk_widths,
            config.branch_widths,
            config.branch_blocks,
        )

    def forward(self, maps: Tensor, noise: Tensor | None = None) -> AutoencoderOutput:
        """Reconstruct stacked maps; `noise` (unit normal, shaped as the latents) perturbs the latents."""
        latents = self.encoder(maps)
        seen = latents if noise is None else latents + LATENT_NOISE * noise
        return AutoencoderOutput(torch.cat(self.decoder(seen), dim=1), latents)
