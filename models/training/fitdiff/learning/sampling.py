"""Deterministic DDIM sampling with classifier-free guidance, for evaluation.

DDIM: arXiv 2010.02502, equation 12 with eta = 0. Classifier-free guidance: arXiv 2207.12598, equation 6, written as
prediction = null + scale (conditional - null). The runtime has samplers of its own; this one is the reference that
figures of the model card are computed with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fitdiff.learning.schedule import Schedule
from fitdiff.learning.unet import JointUNet


@dataclass(frozen=True)
class Sample:
    """Generated reflectance latents [B,C,h,w] and whitened shape coefficients [B,K]."""

    reflectance: Tensor
    shape: Tensor


def trailing_timesteps(train_steps: int, steps: int) -> list[int]:
    """Evenly spaced training steps from the last one downwards ("trailing" spacing, arXiv 2305.08891, table 2)."""
    return [int(round(train_steps - n * train_steps / steps)) - 1 for n in range(steps)]


@torch.no_grad()
def sample(
    unet: JointUNet,
    schedule: Schedule,
    embedding: Tensor | None,
    count: int,
    steps: int,
    guidance_scale: float,
    seed: int,
    temperature: tuple[float, float] = (1.0, 1.0),
) -> Sample:
    """Generate `count` faces from identity embeddings [count,128], or unconditionally where `embedding` is None.

    A guidance scale of 1 is the plain conditional model. The noise depends on the seed alone.

    `temperature` scales the initial noise of reflectance and shape. Below 1 samples gather around what the embedding
    tells: for normally distributed data DDIM scales the deviation from the conditional mean by it.
    """
    device = next(unet.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    reflectance = temperature[0] * torch.randn(count, *unet.reflectance_shape, generator=generator).to(device)
    shape = temperature[1] * torch.randn(count, unet.shape_coefficients, generator=generator).to(device)
    if embedding is None:
        embedding = torch.zeros(count, unet.embedding_size, device=device)
        guidance_scale = 0.0

    def predict(timestep: int) -> tuple[Tensor, Tensor]:
        time = torch.full((count,), float(timestep), device=device)
        rows = [(scale, torch.full((count,), flag, device=device)) for scale, flag in weights]
        outputs = [unet(reflectance, shape, time, embedding, flag) for _, flag in rows]
        return tuple(sum(scale * out[i] for (scale, _), out in zip(rows, outputs, strict=True)) for i in range(2))

    weights = [(s, f) for s, f in ((guidance_scale, 1.0), (1.0 - guidance_scale, 0.0)) if s != 0.0]
    timesteps = trailing_timesteps(schedule.steps, steps)
    for timestep, following in zip(timesteps, [*timesteps[1:], None], strict=True):
        predictions = predict(timestep)
        index = torch.tensor([timestep], device=device)
        reflectance, shape = (
            _ddim_step(schedule, noised, prediction, index, following)
            for noised, prediction in zip((reflectance, shape), predictions, strict=True)
        )
    return Sample(reflectance, shape)


def _ddim_step(
    schedule: Schedule, noised: Tensor, prediction: Tensor, timestep: Tensor, following: int | None
) -> Tensor:
    """One DDIM step towards training step `following`, or to the clean sample where it is None."""
    clean = schedule.clean(noised, prediction, timestep)
    if following is None:
        return clean
    signal, level = schedule.levels(timestep, noised.dim())
    noise = (noised - signal * clean) / level
    bar = float(schedule.alphas_cumprod[following])
    return float(np.sqrt(bar)) * clean + float(np.sqrt(1 - bar)) * noise
