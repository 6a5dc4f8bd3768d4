"""Latents of a whole data set, standardised per channel, as the denoiser is trained on them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from fitdiff.learning.autoencoder import Autoencoder
from fitdiff.learning.checkpoint import atomic_write
from fitdiff.learning.data import FaceData, to_network
from fitdiff.learning.errors import RecipeError
from fitdiff.learning.trainer import Runtime

BATCH = 16
MINIMAL_SCALE = 1e-4
"""Smallest standard deviation a latent channel is divided by."""


@dataclass(frozen=True)
class LatentStatistics:
    """Mean [C] and standard deviation [C] of each latent channel over the training set; standardised latents have zero
    mean and unit variance."""

    mean: Tensor
    scale: Tensor

    def standardise(self, latents: Tensor) -> Tensor:
        """Encoder output [B,C,h,w] to standardised latents."""
        return (latents - self.mean[:, None, None]) / self.scale[:, None, None]

    def restore(self, latents: Tensor) -> Tensor:
        """Standardised latents to what the decoder takes."""
        return latents * self.scale[:, None, None] + self.mean[:, None, None]


@dataclass(frozen=True)
class LatentSet:
    """Standardised latents float16 [N,C,h,w] of a data set."""

    values: np.ndarray
    statistics: LatentStatistics


@torch.no_grad()
def dataset_latents(data: FaceData, autoencoder: Autoencoder, runtime: Runtime, path: Path, digest: str) -> LatentSet:
    """Encode every identity; computed once per autoencoder (`digest`) and kept in the file at `path`."""
    if path.exists():
        return load_latents(path, digest)
    encoder = runtime.place(autoencoder.encoder)
    chart = torch.from_numpy(data.chart).float().to(runtime.device)
    rows = []
    for start in tqdm(range(0, len(data), BATCH), desc="latents", unit="batch", dynamic_ncols=True):
        stored = data.map_bytes(np.arange(start, min(start + BATCH, len(data))))
        rows.append(encoder(to_network(stored.to(runtime.device), chart)).float().cpu())
    latents = torch.cat(rows)
    autoencoder.encoder.cpu()
    statistics = LatentStatistics(
        latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3), correction=0).clamp_min(MINIMAL_SCALE)
    )
    values = statistics.standardise(latents).half().numpy()
    with atomic_write(path) as file:
        np.savez(
            file, values=values, mean=statistics.mean.numpy(), scale=statistics.scale.numpy(), digest=np.array(digest)
        )
    return LatentSet(values, statistics)


def load_latents(path: Path, digest: str) -> LatentSet:
    """Read what `dataset_latents` stored."""
    try:
        with np.load(path) as file:
            if str(file["digest"]) != digest:
                raise RecipeError(
                    f"{path} was made by another configuration (digest {file['digest']}, expected {digest}); "
                    "delete it or use another --work folder"
                )
            statistics = LatentStatistics(torch.from_numpy(file["mean"]), torch.from_numpy(file["scale"]))
            return LatentSet(file["values"], statistics)
    except FileNotFoundError as error:
        raise RecipeError(f"{path} does not exist; run train-diffusion first") from error
    except (ValueError, KeyError, OSError) as error:
        raise RecipeError(f"{path} is damaged; delete it and run again ({error})") from error
