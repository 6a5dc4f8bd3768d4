"""Exponential moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Ema:
    """Keeps a shadow copy whose weights follow the trained network's.

    The decay rises from 0 as (1 + n) / (10 + n) after n updates until it reaches `decay`, so that short trainings are
    not dominated by the initial weights. Buffers are copied as they are.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the shadow weights towards `network`'s."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        shadow = list(self.network.parameters())
        torch._foreach_lerp_(shadow, [p.detach() for p in network.parameters()], 1 - decay)
        for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(theirs)

    def state_dict(self) -> dict:
        """State for a checkpoint."""
        return {"updates": self.updates, "network": self.network.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Restore `state_dict`'s result."""
        self.updates = state["updates"]
        self.network.load_state_dict(state["network"])
