"""Training of the albedo refiner on photos laid out as textures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import trange

from fitdiff.learning.albedo_refiner import AlbedoRefiner
from fitdiff.learning.config import RegressorConfig
from fitdiff.learning.ema import Ema
from fitdiff.learning.losses import gradient_loss, masked_l1
from fitdiff.learning.trainer import Runtime, learning_rate, set_learning_rate, step_generator

WARMUP = 200
EMA_DECAY = 0.998
GRADIENT_WEIGHT = 1.0
GRADIENT_CLIP = 1.0
EXPOSURE, BALANCE = 0.25, 0.08
"""Deviations of the logarithms of a photo's exposure and of each channel's gain, which training varies."""
GAMMA = 2.2
"""The transfer curve, nearly."""


@dataclass(frozen=True)
class RefinerData:
    """What a refiner learns from: M photos of N people.

    Attributes:
        textures: photos laid out as textures, uint8 [M,3,S,S].
        coarse: what estimators that were not trained on the person read, float16 [M,3,S/2,S/2].
        rotation: from the head to the camera, float32 [M,3].
        person: index of each photo's person [M].
        albedo: diffuse albedo, uint8 [N,3,S,S].
        weights: of texels [1,1,S,S].
    """

    textures: np.ndarray
    coarse: np.ndarray
    rotation: np.ndarray
    person: np.ndarray
    albedo: np.ndarray
    weights: Tensor

    def of(self, photos: slice) -> RefinerData:
        """These photos alone."""
        parts = (self.textures, self.coarse, self.rotation, self.person)
        return RefinerData(*(part[photos] for part in parts), self.albedo, self.weights)

    def batch(self, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Textures [B,3,S,S] and coarse albedo [B,3,S/2,S/2], both of 0 to 1, rotations [B,3] and albedo [B,3,S,S]."""
        textures = torch.from_numpy(self.textures[rows]).float() / 255
        albedo = torch.from_numpy(self.albedo[self.person[rows]]).float() / 255
        return textures, torch.from_numpy(self.coarse[rows]).float(), torch.from_numpy(self.rotation[rows]), albedo


def train_refiner(refiner: AlbedoRefiner, config: RegressorConfig, data: RefinerData, runtime: Runtime) -> None:
    """Train a refiner in place; its weights are those averaged over the last steps."""
    network = runtime.place(refiner.train())
    ema = Ema(network, EMA_DECAY)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.refiner_learning_rate, betas=(0.9, 0.99))
    weights = data.weights.to(runtime.device)
    steps = trange(config.refiner_steps, desc="albedo refiner", unit="step", dynamic_ncols=True)
    mean = 0.0
    for step in steps:
        set_learning_rate(optimiser, learning_rate(config.refiner_learning_rate, step, WARMUP, config.refiner_steps))
        generator = step_generator(config.seed, step)
        rows = torch.randint(len(data.textures), (config.refiner_batch,), generator=generator).numpy()
        texture, coarse, rotation, albedo = (part.to(runtime.device) for part in varied(data.batch(rows), generator))
        with runtime.autocast():
            found = network(texture, coarse, rotation)
        difference = found.float() - albedo
        loss = masked_l1(difference, weights) + GRADIENT_WEIGHT * gradient_loss(difference, weights)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_CLIP)
        optimiser.step()
        ema.update(network)
        if step % 50 == 0:
            mean = float(loss.detach()) if step == 0 else 0.9 * mean + 0.1 * float(loss.detach())
            steps.set_postfix(loss=f"{mean:.4f}")
    refiner.load_state_dict(ema.network.state_dict())
    refiner.cpu().eval()


def varied(
    batch: tuple[Tensor, Tensor, Tensor, Tensor], generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A batch as other cameras would expose and balance it, half of it mirrored."""
    texture, coarse, rotation, albedo = batch
    count = len(texture)
    gain = EXPOSURE * torch.randn(count, 1, 1, 1, generator=generator)
    gain = (gain + BALANCE * torch.randn(count, 3, 1, 1, generator=generator)).exp()
    texture = (texture * gain ** (1 / GAMMA)).clamp(0, 1)
    mirror = torch.rand(count, generator=generator) < 0.5
    flipped = [torch.where(mirror[:, None, None, None], part.flip(3), part) for part in (texture, coarse, albedo)]
    rotation = torch.where(mirror[:, None], rotation * torch.tensor([1.0, -1.0, -1.0]), rotation)
    return flipped[0], flipped[1], rotation, flipped[2]
