"""The noise schedule, and the conversions between what the denoiser predicts and clean latents.

A noised sample at step n is x_n = a_n x_0 + s_n e with a_n^2 + s_n^2 = 1 and e unit normal. The cosine schedule is
that of Nichol and Dhariwal (arXiv 2102.09672, equation 17), with the usual cap on beta; v-prediction is that of
Salimans and Ho (arXiv 2202.00512, appendix D): v = a e - s x_0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

COSINE_OFFSET = 0.008
BETA_CAP = 0.999


def cosine_alphas_cumprod(steps: int) -> np.ndarray:
    """The products of (1 - beta) of the cosine schedule, float64 [steps], falling from near 1 to near 0."""

    def bar(time: float) -> float:
        return math.cos((time + COSINE_OFFSET) / (1 + COSINE_OFFSET) * math.pi / 2) ** 2

    betas = [min(1 - bar((n + 1) / steps) / bar(n / steps), BETA_CAP) for n in range(steps)]
    return np.cumprod(1.0 - np.asarray(betas))


@dataclass(frozen=True)
class Schedule:
    """Noise levels per training step and the prediction type."""

    alphas_cumprod: np.ndarray
    """a_n^2, float64 [steps]."""
    prediction: str
    """`v` or `epsilon`."""

    @classmethod
    def cosine(cls, steps: int, prediction: str) -> Schedule:
        """The cosine schedule over `steps` training steps."""
        if prediction not in ("v", "epsilon"):
            raise ValueError(f"unknown prediction type {prediction!r}")
        return cls(cosine_alphas_cumprod(steps), prediction)

    @property
    def steps(self) -> int:
        """Number of training steps."""
        return len(self.alphas_cumprod)

    def levels(self, timestep: Tensor, rank: int) -> tuple[Tensor, Tensor]:
        """Signal and noise levels (a, s) of integer steps [B], shaped [B,1,...] to multiply tensors of `rank`."""
        bar = torch.as_tensor(self.alphas_cumprod, dtype=torch.float32, device=timestep.device)[timestep]
        bar = bar.reshape(-1, *([1] * (rank - 1)))
        return bar.sqrt(), (1 - bar).sqrt()

    def add_noise(self, clean: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """x_n of clean samples [B,...] and unit normal noise of the same shape."""
        signal, level = self.levels(timestep, clean.dim())
        return signal * clean + level * noise

    def target(self, clean: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """What the denoiser has to predict."""
        if self.prediction == "epsilon":
            return noise
        signal, level = self.levels(timestep, clean.dim())
        return signal * noise - level * clean

    def clean(self, noised: Tensor, prediction: Tensor, timestep: Tensor) -> Tensor:
        """The clean sample that a prediction stands for."""
        signal, level = self.levels(timestep, noised.dim())
        if self.prediction == "epsilon":
            return (noised - level * prediction) / signal
        return signal * noised - level * prediction

    def describe(self) -> dict:
        """The schedule as the bundle's manifest states it."""
        return {
            "type": "cosine",
            "train_timesteps": self.steps,
            "prediction_type": self.prediction,
            "alphas_cumprod": [float(f"{value:.9g}") for value in self.alphas_cumprod],
        }
