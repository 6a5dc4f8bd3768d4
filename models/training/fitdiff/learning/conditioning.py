"""From an identity embedding to what modulates the denoiser.

Embeddings of photos lie further from the centre than embeddings of the rendered faces the denoiser is trained on. The
embedding is therefore standardised with the training set's mean and spread, and shortened to the longest length that
training covers: the direction, which tells the person, stays.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EMBEDDING_SIZE = 128


class IdentityConditioning(nn.Module):
    """Embedding [B,128] and switch [B] -> state vector [B,E] and spatial map [B,S,g,g]."""

    mean: Tensor
    scale: Tensor
    radius: Tensor

    def __init__(self, state: int, spade_channels: int, spade_grid: int) -> None:
        super().__init__()
        self.spatial_shape = (spade_channels, spade_grid, spade_grid)
        self.register_buffer("mean", torch.zeros(EMBEDDING_SIZE))
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("radius", torch.full((1,), 1e6))
        self.null = nn.Parameter(torch.zeros(EMBEDDING_SIZE))
        self.vector = nn.Sequential(nn.Linear(EMBEDDING_SIZE, state), nn.SiLU(), nn.Linear(state, state))
        self.spatial = nn.Linear(EMBEDDING_SIZE, spade_channels * spade_grid**2)

    def set_statistics(self, mean: Tensor, scale: float, radius: float) -> None:
        """Set the training embeddings' mean [128], their spread (Euclidean units per unit of standardised value) and
        the greatest length of a standardised embedding."""
        self.mean.copy_(mean)
        self.scale.fill_(scale)
        self.radius.fill_(radius)

    def standardise(self, embedding: Tensor) -> Tensor:
        """Centre, scale and shorten embeddings [B,128]."""
        centred = (embedding - self.mean) / self.scale
        length = (centred.square().sum(dim=1, keepdim=True) + 1e-12).sqrt()
        return centred * (self.radius / torch.maximum(length, self.radius))

    def forward(self, embedding: Tensor, conditional: Tensor) -> tuple[Tensor, Tensor]:
        switch = conditional[:, None]
        seen = switch * self.standardise(embedding) + (1 - switch) * self.null
        return self.vector(seen), F.silu(self.spatial(seen)).reshape(-1, *self.spatial_shape)
