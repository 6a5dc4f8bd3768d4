"""Identity embeddings of a data set's chips, and what is done to them in training.

The gap between embeddings of rendered faces and of photos is the main risk of a denoiser conditioned on them. In
training every step draws one of an identity's views, adds noise of a random level, and sometimes mixes in a little of
another identity, so that the denoiser learns to read an embedding's neighbourhood and not the point alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from fitdiff.learning.checkpoint import atomic_write
from fitdiff.learning.data import FaceData
from fitdiff.learning.recogniser import Recogniser
from fitdiff.learning.trainer import Runtime

IDENTITIES_PER_BATCH = 16


@torch.no_grad()
def embed_images(recogniser: Recogniser, images: np.ndarray, device: torch.device) -> np.ndarray:
    """Embeddings float32 [B,128] of aligned chips uint8 [B,150,150,3]."""
    tensor = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255
    return recogniser(tensor)[0].float().cpu().numpy()


def dataset_embeddings(data: FaceData, recogniser: Recogniser, runtime: Runtime, path: Path) -> np.ndarray:
    """Embeddings of all chips, float32 [N,C,128]; computed once and kept in the file at `path`."""
    expected = (len(data), data.chips_per_identity, 128)
    if path.exists():
        stored = np.load(path)
        if stored.shape == expected:
            return stored
    recogniser = recogniser.to(runtime.device)
    rows = []
    for start in tqdm(range(0, len(data), IDENTITIES_PER_BATCH), desc="embeddings", unit="batch", dynamic_ncols=True):
        chips = data.chips(np.arange(start, min(start + IDENTITIES_PER_BATCH, len(data))))
        flat = embed_images(recogniser, chips.reshape(-1, *chips.shape[2:]), runtime.device)
        rows.append(flat.reshape(len(chips), -1, flat.shape[-1]))
    embeddings = np.concatenate(rows)
    with atomic_write(path) as file:
        np.save(file, embeddings)
    return embeddings


@dataclass(frozen=True)
class EmbeddingStatistics:
    """Centre [128], spread (root mean square distance to the centre over sqrt(128)) and standardised radius."""

    mean: np.ndarray
    scale: float
    radius: float

    @classmethod
    def of(cls, embeddings: np.ndarray, radius_quantile: float) -> EmbeddingStatistics:
        """Statistics of embeddings [...,128]; the radius is a quantile of the standardised lengths."""
        flat = embeddings.reshape(-1, embeddings.shape[-1]).astype(np.float64)
        mean = flat.mean(axis=0)
        scale = float(np.sqrt(np.mean((flat - mean) ** 2)))
        lengths = np.linalg.norm((flat - mean) / scale, axis=1)
        return cls(mean.astype(np.float32), scale, float(np.quantile(lengths, min(radius_quantile, 1.0))))


def augmented(
    embeddings: Tensor, others: Tensor, scale: float, noise: float, mixing: float, generator: torch.Generator
) -> Tensor:
    """Embeddings [B,128] with noise and another identity's share mixed in.

    Args:
        embeddings: the samples' own embeddings.
        others: embeddings of other identities [B,128].
        scale: spread of the training embeddings (Euclidean units per dimension).
        noise: upper end of the noise level, in units of `scale`; the level is uniform from 0 per sample.
        mixing: upper end of the share of `others`; uniform from 0 for half of the samples, none for the rest.
        generator: source of randomness.
    """
    count = len(embeddings)
    level = torch.rand(count, 1, generator=generator) * noise * scale
    share = torch.rand(count, 1, generator=generator) * mixing
    share = share * (torch.rand(count, 1, generator=generator) < 0.5)
    jitter = torch.randn(embeddings.shape, generator=generator)
    return torch.lerp(embeddings, others, share) + level * jitter
