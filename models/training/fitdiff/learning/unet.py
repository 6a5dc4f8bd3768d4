"""The joint denoiser of reflectance latents and shape coefficients, conditioned on an identity embedding.

FitDiff (arXiv 2312.04465, section 3.2) denoises reflectance and shape together with a UNet whose layers are modulated
by the identity embedding through SPADE (arXiv 1903.07291). Here the reflectance latents [B,C,h,w] pass through a UNet
and the whitened shape coefficients [B,K] through a residual MLP at its side; at every UNet block the state of the MLP
joins the block's modulation, and at the coarsest resolution the MLP reads the pooled features, so each sees what the
other denoises.

SPADE: the embedding becomes a small spatial map, which is resized to each resolution; one shared convolution per
resolution and a 1x1 convolution per block give each position its scale and shift.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fitdiff.learning.conditioning import EMBEDDING_SIZE, IdentityConditioning
from fitdiff.learning.config import DiffusionConfig
from fitdiff.learning.layers import Attention, group_norm, sinusoidal_features, zero_initialised


class SpadeResidual(nn.Module):
    """Residual block [B,C_in,h,w] -> [B,C_out,h,w], modulated per channel (timestep, shape) and per position
    (identity)."""

    def __init__(self, channels_in: int, channels_out: int, state: int, spade: int) -> None:
        super().__init__()
        self.norm1 = group_norm(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.norm2 = group_norm(channels_out)
        self.per_channel = nn.Linear(state, 2 * channels_out)
        self.per_position = zero_initialised(nn.Conv2d(spade, 2 * channels_out, 1))
        self.conv2 = zero_initialised(nn.Conv2d(channels_out, channels_out, 3, padding=1))
        self.skip = nn.Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else nn.Identity()

    def forward(self, x: Tensor, state: Tensor, spade: Tensor) -> Tensor:
        h = self.norm2(self.conv1(F.silu(self.norm1(x))))
        modulation = self.per_channel(state)[:, :, None, None] + self.per_position(spade)
        scale, shift = modulation.chunk(2, dim=1)
        return self.skip(x) + self.conv2(F.silu(h * (1 + scale) + shift))


class Stage(nn.Module):
    """A SPADE residual block, and self-attention where the resolution has it."""

    def __init__(
        self, channels_in: int, channels_out: int, state: int, spade: int, attention: bool, heads: int
    ) -> None:
        super().__init__()
        self.residual = SpadeResidual(channels_in, channels_out, state, spade)
        self.attention = Attention(channels_out, heads) if attention else nn.Identity()

    def forward(self, x: Tensor, state: Tensor, spade: Tensor) -> Tensor:
        return self.attention(self.residual(x, state, spade))


class ShapeBlock(nn.Module):
    """Residual MLP block on the shape state [B,W], modulated by the time-and-identity state [B,E]."""

    def __init__(self, width: int, state: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = zero_initialised(nn.Linear(state, 2 * width))
        self.expand = nn.Linear(width, 2 * width)
        self.contract = zero_initialised(nn.Linear(2 * width, width))

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        scale, shift = self.modulation(state).chunk(2, dim=1)
        return x + self.contract(F.silu(self.expand(self.norm(x) * (1 + scale) + shift)))


class JointUNet(nn.Module):
    """Denoiser of reflectance latents and shape coefficients."""

    embedding_size = EMBEDDING_SIZE

    def __init__(
        self, config: DiffusionConfig, latent_channels: int, latent_size: int, shape_coefficients: int
    ) -> None:
        super().__init__()
        self.reflectance_shape = (latent_channels, latent_size, latent_size)
        self.shape_coefficients = shape_coefficients
        self.time_width = config.widths[0]
        state = 4 * config.widths[0]
        spade, width = config.spade_channels, config.shape_width
        self.conditioning = IdentityConditioning(state, spade, config.spade_grid)
        self.time = nn.Sequential(nn.Linear(self.time_width, state), nn.SiLU(), nn.Linear(state, state))
        self.sides = [latent_size >> level for level in range(len(config.widths))]
        self.spade_convs = nn.ModuleList(nn.Conv2d(spade, spade, 3, padding=1) for _ in config.widths)

        self.shape_enter = nn.Linear(shape_coefficients, width)
        self.shape_before = nn.ModuleList(ShapeBlock(width, state) for _ in range(2))
        self.shape_to_state = nn.Linear(width, state)
        self.pooled_to_shape = nn.Linear(config.widths[-1], width)
        self.shape_after = nn.ModuleList(ShapeBlock(width, state) for _ in range(3))
        self.shape_norm = nn.LayerNorm(width)
        self.shape_leave = zero_initialised(nn.Linear(width, shape_coefficients))

        def stage(channels_in: int, level: int) -> Stage:
            attention = config.attention[level]
            return Stage(channels_in, config.widths[level], state, spade, attention, config.heads)

        self.enter = nn.Conv2d(latent_channels, config.widths[0], 3, padding=1)
        channels, skips = config.widths[0], [config.widths[0]]
        self.down, self.downsample = nn.ModuleList(), nn.ModuleList()
        for level, level_width in enumerate(config.widths):
            blocks = nn.ModuleList()
            for _ in range(config.blocks):
                blocks.append(stage(channels, level))
                channels = level_width
                skips.append(channels)
            self.down.append(blocks)
            if level + 1 < len(config.widths):
                self.downsample.append(nn.Conv2d(channels, channels, 3, stride=2, padding=1))
                skips.append(channels)
        self.middle = nn.ModuleList(stage(channels, len(config.widths) - 1) for _ in range(2))
        self.up, self.upsample = nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(len(config.widths))):
            blocks = nn.ModuleList()
            for _ in range(config.blocks + 1):
                blocks.append(stage(channels + skips.pop(), level))
                channels = config.widths[level]
            self.up.append(blocks)
            if level:
                self.upsample.append(nn.Conv2d(channels, channels, 3, padding=1))
        self.norm = group_norm(channels)
        self.leave = zero_initialised(nn.Conv2d(channels, latent_channels, 3, padding=1))

    def forward(
        self, reflectance: Tensor, shape: Tensor, timestep: Tensor, embedding: Tensor, conditional: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predict `v` or noise for both parts.

        Args:
            reflectance: noised latents [B,C,h,w].
            shape: noised whitened shape coefficients [B,K].
            timestep: training step number as float [B], 0 to `train_timesteps` - 1.
            embedding: identity embedding as the recogniser gives it [B,128].
            conditional: 1 to use the embedding, 0 for the learned null embedding [B].

        Returns:
            Predictions shaped as `reflectance` and `shape`.
        """
        identity, spatial = self.conditioning(embedding, conditional)
        state = self.time(sinusoidal_features(timestep, self.time_width)) + identity
        spades = [
            F.silu(conv(F.interpolate(spatial, size=(side, side), mode="nearest")))
            for conv, side in zip(self.spade_convs, self.sides, strict=True)
        ]
        modulation = F.silu(state)
        s = self.shape_enter(shape)
        for block in self.shape_before:
            s = block(s, modulation)
        joint = F.silu(state + self.shape_to_state(s))

        h = self.enter(reflectance)
        skips = [h]
        for level, blocks in enumerate(self.down):
            for block in blocks:
                h = block(h, joint, spades[level])
                skips.append(h)
            if level < len(self.downsample):
                h = self.downsample[level](h)
                skips.append(h)
        for block in self.middle:
            h = block(h, joint, spades[-1])
        s = s + self.pooled_to_shape(h.mean(dim=(2, 3)))
        for index, blocks in enumerate(self.up):
            level = len(self.sides) - 1 - index
            for block in blocks:
                h = block(torch.cat([h, skips.pop()], dim=1), joint, spades[level])
            if level:
                side = self.sides[level - 1]
                h = self.upsample[index](F.interpolate(h, size=(side, side), mode="nearest"))
        for block in self.shape_after:
            s = block(s, modulation)
        return self.leave(F.silu(self.norm(h))), self.shape_leave(self.shape_norm(s))
