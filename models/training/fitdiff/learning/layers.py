"""Building blocks shared by the autoencoder and the denoiser.

Only operations that export to plain ONNX operators at opset 18 with static shapes are used, because the exported graphs
run on two runtimes and are differentiated once more on the ONNX level.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUP_SIZE = 16
"""Channels per normalisation group; widths are multiples of it wherever there is a group norm."""


def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm with groups of `GROUP_SIZE` channels (fewer where the width is no multiple of it)."""
    return nn.GroupNorm(max(channels // GROUP_SIZE, 1) if channels % GROUP_SIZE == 0 else 1, channels, eps=1e-5)


def zero_initialised(layer: nn.Module) -> nn.Module:
    """Set the layer's parameters to zero, so that a residual branch starts as the identity."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class NormResidual(nn.Module):
    """Pre-norm residual block: [B,C,h,w] -> [B,C,h,w]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = group_norm(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = group_norm(channels)
        self.conv2 = zero_initialised(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h)))


class PlainResidual(nn.Module):
    """Residual block without normalisation, for the large resolutions where norms cost more than convolutions.

    Normalisation-free residual blocks are what super-resolution networks use for the same reason (EDSR,
    arXiv 1707.02921, section 3.1).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = zero_initialised(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.conv1(x)))


class PixelShuffleUp(nn.Module):
    """Sub-pixel convolution (arXiv 1609.05158): [B,C_in,h,w] -> [B,C_out,f h,f w].

    The weights start equal within each f x f cell, which avoids a checkerboard at the start of training
    (arXiv 1707.02937).
    """

    def __init__(self, channels_in: int, channels_out: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.conv = nn.Conv2d(channels_in, channels_out * factor**2, 3, padding=1)
        with torch.no_grad():
            seed = self.conv.weight[:channels_out].clone()
            self.conv.weight.copy_(seed.repeat_interleave(factor**2, dim=0))
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x), self.factor)


class Attention(nn.Module):
    """Multi-head self-attention over the positions of a feature map, residual: [B,C,h,w] -> [B,C,h,w]."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels cannot be split into {heads} heads")
        self.heads = heads
        self.norm = group_norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = zero_initialised(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        depth = channels // self.heads
        q, k, v = self.qkv(self.norm(x)).reshape(batch, 3 * self.heads, depth, height * width).chunk(3, 1)
        weights = torch.softmax((q.transpose(2, 3) @ k) * depth**-0.5, dim=-1)
        mixed = v @ weights.transpose(2, 3)
        return x + self.out(mixed.reshape(batch, channels, height, width))


def sinusoidal_features(timestep: Tensor, width: int) -> Tensor:
    """Sinusoidal timestep features (arXiv 1706.03762, section 3.5): [B] -> [B,width]."""
    half = width // 2
    frequencies = torch.exp(
        torch.arange(half, dtype=torch.float32, device=timestep.device) * (-math.log(10_000.0) / half)
    )
    angles = timestep[:, None] * frequencies[None]
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
