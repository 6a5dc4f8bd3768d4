"""Diffuse albedo from the photo itself, in texture space.

What the recogniser says of a face tells a coarse albedo. The photo's own colours, laid out as a texture, tell more of
the skin's tone and of what lies where on it; this network takes the light out of them. It also draws what all faces
share and the coarse albedo leaves out, such as the lines of the lids.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fitdiff.learning.layers import NormResidual, PixelShuffleUp, PlainResidual, zero_initialised

FACTOR = 2
"""Space-to-depth factor at the input, sub-pixel factor at the output."""
CENTRE = 0.5
"""Colours are given as differences from this."""


class AlbedoRefiner(nn.Module):
    """A U-Net [arXiv 1505.04597] whose finest level is half the texture's side.

    A texture puts every feature of a face at a fixed place, so that a learned bias per position says what is where.
    """

    def __init__(self, widths: tuple[int, ...], size: int) -> None:
        """Make one with these widths, from the finest level to the coarsest, for textures of `size` texels."""
        super().__init__()
        finest = widths[0]
        self.enter = nn.Conv2d(3 * FACTOR**2 + 3, finest, 3, padding=1)
        self.turn = nn.Linear(3, finest)
        self.place = nn.Parameter(torch.zeros(1, widths[1], size // FACTOR // 2, size // FACTOR // 2))
        blocks = [PlainResidual, *([NormResidual] * (len(widths) - 1))]
        levels = list(zip(blocks, widths, strict=True))
        self.down = nn.ModuleList(block(width) for block, width in levels)
        self.up = nn.ModuleList(block(width) for block, width in levels[:-1])
        steps = list(zip(widths, widths[1:], strict=False))
        self.shrink = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in steps)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2) for fine, coarse in steps)
        self.leave = PixelShuffleUp(finest, 3, FACTOR)
        zero_initialised(self.leave)

    @staticmethod
    def widths_of(state: dict[str, Tensor]) -> tuple[int, ...]:
        """The widths of a refiner with this state dict."""
        levels = sum(name.startswith("down.") and name.endswith(".conv1.bias") for name in state)
        return tuple(state[f"down.{level}.conv1.bias"].shape[0] for level in range(levels))

    def forward(self, texture: Tensor, albedo: Tensor, rotation: Tensor) -> Tensor:
        """Refine an albedo.

        Args:
            texture: what the photo shows [B,3,S,S], 0 to 1.
            albedo: what is known of the albedo [B,3,S/2,S/2].
            rotation: from the head to the camera [B,3]: which side of the face is seen.

        Returns:
            Albedo [B,3,S,S].
        """
        seen = F.pixel_unshuffle(texture - CENTRE, FACTOR)
        x = self.enter(torch.cat([seen, albedo - CENTRE], dim=1)) + self.turn(rotation)[:, :, None, None]
        levels = []
        for index, block in enumerate(self.down):
            if index:
                x = self.shrink[index - 1](x)
            x = block(x + self.place) if index == 1 else block(x)
            levels.append(x)
        for index in reversed(range(len(self.up))):
            x = self.up[index](self.grow[index](x) + levels[index])
        coarse = albedo.repeat_interleave(FACTOR, dim=2).repeat_interleave(FACTOR, dim=3)
        return coarse + self.leave(x)
