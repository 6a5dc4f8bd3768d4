"""Training of the iris reader: a minute on any machine, on the photos that the regressor is trained on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from tqdm import trange

from fitdiff.faces.irises import IRIS_COLOURS
from fitdiff.learning.config import IrisConfig
from fitdiff.learning.iris_reader import IrisReader

HELD_OUT = 0.1
"""Share of the people that the error is measured on."""
BATCH = 96
"""Photos whose eyes are sampled at once."""
EXPOSURE, BALANCE, GAMMA, SATURATION = 0.25, 0.08, 0.2, 0.3
"""Deviations of the logarithms of a photo's exposure, of each channel's gain, of its contrast and of its saturation,
which training varies: cameras and scans differ more than the synthetic photos do."""
GREY = 0.02
"""Share of the photos that are seen without colour."""


def recoloured(eyes: Tensor, generator: torch.Generator) -> Tensor:
    """Eyes [B,2,3,h,w], linear RGB of 0 to 1, as other cameras would show them; both of a photo alike."""

    def factor(deviation: float, channels: int = 1) -> Tensor:
        return (deviation * torch.randn(len(eyes), 1, channels, 1, 1, generator=generator)).exp()

    exposed = (eyes * factor(EXPOSURE) * factor(BALANCE, 3)).clamp(1e-4, 1) ** factor(GAMMA)
    grey = exposed.mean(dim=2, keepdim=True)
    coloured = torch.rand(len(eyes), 1, 1, 1, 1, generator=generator) >= GREY
    return (grey + factor(SATURATION) * coloured * (exposed - grey)).clamp(1e-4, 1)


@torch.no_grad()
def seen_eyes(reader: IrisReader, chips: np.ndarray, places: np.ndarray) -> Tensor:
    """The eyes of all photos, as :meth:`IrisReader.eyes` gives them."""
    batches = (slice(start, start + BATCH) for start in range(0, len(chips), BATCH))
    return torch.cat(
        [reader.eyes(torch.from_numpy(chips[some]).float() / 255, torch.from_numpy(places[some])) for some in batches]
    )


def train_iris_reader(config: IrisConfig, chips: np.ndarray, places: np.ndarray, iris: np.ndarray) -> IrisReader:
    """Train on photos, and print the error on people that training does not see.

    Args:
        config: length and rates.
        chips: the photos' chips of each person, uint8 [N,C,3,150,150].
        places: landmarks in their pixels, float32 [N,C,478,2].
        iris: linear RGB of the irises [N,3].
    """
    torch.manual_seed(config.seed)
    people, photos = chips.shape[:2]
    reader = IrisReader(IRIS_COLOURS)
    eyes = seen_eyes(reader, chips.reshape(-1, *chips.shape[2:]), places.reshape(-1, *places.shape[2:]))
    wanted = torch.from_numpy(np.log(np.repeat(iris, photos, axis=0))).float()
    training = int(round(people * (1 - HELD_OUT))) * photos
    optimiser = torch.optim.AdamW(reader.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, config.steps)
    generator = torch.Generator().manual_seed(config.seed)
    for _ in trange(config.steps, desc="iris reader", unit="step", dynamic_ncols=True):
        rows = torch.randint(training, (config.batch,), generator=generator)
        found = reader.logarithm(recoloured(eyes[rows], generator))
        loss = (found - wanted[rows]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    reader.eval().requires_grad_(False)
    error = reader.logarithm(eyes[training:]) - wanted[training:]
    explained = 1 - error.square().sum(0) / (wanted[training:] - wanted[:training].mean(0)).square().sum(0)
    print(
        "held-out people: logarithms of red, green and blue off by "
        + ", ".join(f"{value:.2f}" for value in error.square().mean(0).sqrt().tolist())
        + "; explained "
        + ", ".join(f"{value:.0%}" for value in explained.tolist())
    )
    return reader
