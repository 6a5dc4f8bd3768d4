"""Evaluation on held-out identities: every figure of the model card, with its baseline beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from fitdiff.faces.dataset import srgb_decode
from fitdiff.faces.optics import lab
from fitdiff.learning import metrics
from fitdiff.learning.autoencoder import Autoencoder
from fitdiff.learning.config import EvaluationConfig
from fitdiff.learning.data import FaceData, to_network
from fitdiff.learning.latents import LatentStatistics
from fitdiff.learning.sampling import Sample, sample
from fitdiff.learning.schedule import Schedule
from fitdiff.learning.shape_figures import regress, shape_figures
from fitdiff.learning.trainer import Runtime
from fitdiff.learning.unet import JointUNet

BATCH = 8
SAMPLING_BATCH = 50
MEAN_FACE_IDENTITIES = 400
"""Training identities that the mean maps are averaged over."""
THUMBNAIL = 32
"""Side of the albedo thumbnails that colour diversity is measured on."""
SMALLEST_GROUP = 10
"""Groups with fewer held-out members are not compared."""

Maps = dict[str, np.ndarray]
"""`diffuse` [B,3,S,S] sRGB-encoded 0..1, `specular` [B,1,S,S] as a share of the largest F0, `normals` [B,3,S,S]."""
Renderer = Callable[[np.ndarray, Maps], np.ndarray]
"""Shape coefficients [B,K] and maps to embeddings [B,128] of neutral renders."""


@dataclass(frozen=True)
class Subject:
    """The trained model and what it is evaluated on."""

    autoencoder: Autoencoder
    unet: JointUNet
    schedule: Schedule
    latents: LatentStatistics
    train: FaceData
    test: FaceData
    train_embeddings: np.ndarray
    """Embeddings of the training chips [N,C,128]."""
    test_embeddings: np.ndarray
    """Embeddings of the held-out chips [N,C,128]."""
    directions: np.ndarray
    """Shape basis times sigma at the face's vertices [V,3,K], metres."""
    mean_head: np.ndarray
    """The face's vertices of the mean head [V,3], metres."""
    runtime: Runtime


@dataclass(frozen=True)
class Result:
    """Figures per identity [N] and over the whole set, and the samples behind them."""

    identities: dict[str, np.ndarray]
    totals: dict[str, float]
    from_embedding: Sample
    unconditional: Sample


def stored_maps(data: FaceData, indices: np.ndarray) -> Maps:
    """The true maps of identities."""
    return network_to_maps(to_network(data.map_bytes(indices), torch.from_numpy(data.chart).float()))


def network_to_maps(encoded: Tensor) -> Maps:
    """Maps in the network encoding [B,6,S,S] as arrays."""
    values = encoded.float().cpu().numpy()
    xy = values[:, 4:]
    z = np.sqrt(np.maximum(1 - np.square(xy).sum(axis=1, keepdims=True), 1e-2))
    return {
        "diffuse": np.clip(values[:, :3] * 0.5 + 0.5, 0, 1),
        "specular": np.clip(values[:, 3:4] * 0.5 + 0.5, 0, 1),
        "normals": np.concatenate([xy, z], axis=1),
    }


@torch.no_grad()
def decode_maps(subject: Subject, latents: Tensor) -> Maps:
    """Maps of standardised latents [B,C,h,w]."""
    decoded = subject.autoencoder.decoder(subject.latents.restore(latents.cpu()).to(subject.runtime.device))
    return network_to_maps(torch.cat(decoded, dim=1))


@torch.no_grad()
def reconstruct(subject: Subject, data: FaceData, indices: np.ndarray) -> Maps:
    """Maps after a pass through the autoencoder."""
    chart = torch.from_numpy(data.chart).float().to(subject.runtime.device)
    maps = to_network(data.map_bytes(indices).to(subject.runtime.device), chart)
    return network_to_maps(subject.autoencoder(maps).maps)


def generate(subject: Subject, embeddings: np.ndarray | None, count: int, settings: EvaluationConfig) -> Sample:
    """Samples from embeddings [count,128] at the configured temperature, or unconditional ones at temperature 1."""
    temperature = (1.0, 1.0) if embeddings is None else settings.temperature
    parts = []
    for start in tqdm(range(0, count, SAMPLING_BATCH), desc="sampling", unit="batch", dynamic_ncols=True):
        size = min(SAMPLING_BATCH, count - start)
        rows = None
        if embeddings is not None:
            rows = torch.from_numpy(embeddings[start : start + size]).to(subject.runtime.device)
        parts.append(
            sample(
                subject.unet,
                subject.schedule,
                rows,
                size,
                settings.sampler_steps,
                settings.guidance_scale,
                settings.seed + start,
                temperature,
            )
        )
    return Sample(torch.cat([p.reflectance.cpu() for p in parts]), torch.cat([p.shape.cpu() for p in parts]))


def mean_maps(data: FaceData) -> Maps:
    """Average maps of training identities, [1,...]: the baseline for everything about maps."""
    indices = np.linspace(0, len(data) - 1, min(MEAN_FACE_IDENTITIES, len(data))).astype(int)
    total: Maps = {}
    for start in tqdm(range(0, len(indices), BATCH), desc="mean maps", unit="batch", dynamic_ncols=True):
        for name, values in stored_maps(data, indices[start : start + BATCH]).items():
            total[name] = total.get(name, 0) + values.sum(axis=0, keepdims=True, dtype=np.float64)
    return {name: values / len(indices) for name, values in total.items()}


def mean_albedo(diffuse: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Linear albedo averaged over a mask: [B,3,S,S] sRGB-encoded -> [B,3]."""
    return srgb_decode(diffuse[:, :, mask]).mean(axis=-1)


def evaluate(subject: Subject, settings: EvaluationConfig, renderer: Renderer | None) -> Result:
    """Compute all figures; the retrieval test needs a renderer."""
    subject.runtime.place(subject.autoencoder)
    subject.runtime.place(subject.unet)
    count = min(settings.identities, len(subject.test))
    identities: dict[str, np.ndarray] = {}
    baseline = mean_maps(subject.train)
    checked = min(settings.autoencoder_identities, count)
    identities |= _autoencoder_figures(subject, checked, baseline)
    generated = generate(subject, subject.test_embeddings[:count, 0], count, settings)
    identities |= _identity_figures(subject, generated, count, baseline)
    unconditional = generate(subject, None, settings.unconditional, settings)
    totals = _diversity_figures(subject, unconditional)
    totals |= _embedding_figures(subject)
    if renderer is not None and settings.retrieval_identities:
        totals |= _retrieval_figures(subject, generated, min(settings.retrieval_identities, count), renderer)
    return Result(identities, totals, generated, unconditional)


def _batches(count: int) -> list[np.ndarray]:
    return [np.arange(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]


def _autoencoder_figures(subject: Subject, count: int, baseline: Maps) -> dict[str, np.ndarray]:
    rows: dict[str, list[float]] = {}
    chart = subject.test.chart
    for indices in tqdm(_batches(count), desc="autoencoder", unit="batch", dynamic_ncols=True):
        truth, rebuilt = stored_maps(subject.test, indices), reconstruct(subject, subject.test, indices)
        for row in range(len(indices)):
            for suffix, maps, index in (("", rebuilt, row), (" of the mean maps", baseline, 0)):
                figures = {
                    f"{name} PSNR{suffix}": metrics.psnr(metrics.masked_mse(maps[name][index], truth[name][row], chart))
                    for name in ("diffuse", "specular")
                }
                figures[f"normal angle{suffix}"] = metrics.mean_angle(
                    maps["normals"][index], truth["normals"][row], chart
                )
                for name, value in figures.items():
                    rows.setdefault(name, []).append(value)
    return {name: np.asarray(values) for name, values in rows.items()}


def _identity_figures(subject: Subject, generated: Sample, count: int, baseline: Maps) -> dict[str, np.ndarray]:
    truth = subject.test.shapes[:count]
    queries = subject.test_embeddings[:count, 0]
    shapes = regress(subject.train_embeddings, subject.train.shapes, queries)
    colours = regress(subject.train_embeddings, subject.train.attributes["albedo"], queries)
    skin = subject.test.skin
    average = mean_albedo(baseline["diffuse"], skin)[0]
    albedo, texel, albedo_baseline, albedo_regressed, texel_baseline = [], [], [], [], []
    colour, colour_baseline = [], []
    for indices in tqdm(_batches(count), desc="albedo", unit="batch", dynamic_ncols=True):
        true_maps = stored_maps(subject.test, indices)["diffuse"]
        maps = decode_maps(subject, generated.reflectance[indices])["diffuse"]
        true_albedo = mean_albedo(true_maps, skin)
        own_albedo = mean_albedo(maps, skin)
        albedo.append(np.abs(own_albedo - true_albedo).mean(axis=1))
        colour.append(np.linalg.norm(lab(own_albedo) - lab(true_albedo), axis=1))
        colour_baseline.append(np.linalg.norm(lab(average[None]) - lab(true_albedo), axis=1))
        albedo_baseline.append(np.abs(average - true_albedo).mean(axis=1))
        albedo_regressed.append(np.abs(colours[indices] - true_albedo).mean(axis=1))
        linear = srgb_decode(true_maps[:, :, skin])
        texel.append(np.abs(srgb_decode(maps[:, :, skin]) - linear).mean(axis=(1, 2)))
        texel_baseline.append(np.abs(srgb_decode(baseline["diffuse"][:, :, skin]) - linear).mean(axis=(1, 2)))
    return shape_figures(generated.shape.numpy(), truth, shapes, subject.directions, subject.mean_head) | {
        "albedo error": np.concatenate(albedo),
        "albedo error of the mean albedo": np.concatenate(albedo_baseline),
        "albedo error of a regression": np.concatenate(albedo_regressed),
        "albedo difference": np.concatenate(colour),
        "albedo difference of the mean albedo": np.concatenate(colour_baseline),
        "albedo error per texel": np.concatenate(texel),
        "albedo error per texel of the mean albedo": np.concatenate(texel_baseline),
    }


def _thumbnails(diffuse: np.ndarray, chart: np.ndarray) -> np.ndarray:
    """Linear albedo at low resolution, only texels that lie wholly on the chart: [B,3,S,S] -> [B,D]."""
    factor = diffuse.shape[-1] // THUMBNAIL
    batch = len(diffuse)

    def pooled(values: np.ndarray) -> np.ndarray:
        return values.reshape(*values.shape[:-2], THUMBNAIL, factor, THUMBNAIL, factor).mean(axis=(-3, -1))

    inside = pooled(chart.astype(np.float64)) > 0.999
    return pooled(srgb_decode(diffuse))[:, :, inside].reshape(batch, -1)


def _diversity_figures(subject: Subject, samples: Sample) -> dict[str, float]:
    count = min(len(samples.shape), len(subject.test))
    chart = subject.test.chart
    colours = {"samples": [], "data": []}
    for indices in _batches(count):
        maps = decode_maps(subject, samples.reflectance[indices])["diffuse"]
        colours["samples"].append(_thumbnails(maps, chart))
        colours["data"].append(_thumbnails(stored_maps(subject.test, indices)["diffuse"], chart))
    own, data = (np.concatenate(colours[name]) for name in ("samples", "data"))
    shapes = samples.shape[:count].numpy()

    def vertices(coefficients: np.ndarray) -> np.ndarray:
        return np.einsum("vck,bk->bvc", subject.directions, coefficients, optimize=True).reshape(len(coefficients), -1)

    true_vertices = vertices(subject.test.shapes[:count])
    own_vertices = vertices(shapes)
    nearest = metrics.nearest_distance(shapes, subject.train.shapes).mean()
    nearest_data = metrics.nearest_distance(subject.test.shapes[:count], subject.train.shapes).mean()
    return {
        "shape diversity against the data": metrics.mean_pairwise_distance(own_vertices)
        / metrics.mean_pairwise_distance(true_vertices),
        "albedo diversity against the data": metrics.mean_pairwise_distance(own) / metrics.mean_pairwise_distance(data),
        "distance to the nearest training shape against the data's": float(nearest / nearest_data),
    }


def _embedding_figures(subject: Subject) -> dict[str, float]:
    """How well the recogniser itself tells held-out identities apart: the ceiling of what an embedding carries."""
    embeddings = subject.test_embeddings
    if embeddings.shape[1] < 2:
        return {}
    within = np.linalg.norm(embeddings[:, 0] - embeddings[:, 1], axis=-1).mean()
    return {
        "embedding distance of two views": float(within),
        "embedding distance of two people": metrics.mean_pairwise_distance(embeddings[:200, 0]),
    }


def _retrieval_figures(subject: Subject, generated: Sample, count: int, renderer: Renderer) -> dict[str, float]:
    """Top-1 rate of neutral renders against the gallery of selfies, for generated avatars and for true heads.

    The gallery holds one selfie per identity, another one than the avatar was generated from where there are several.
    """
    view = 1 if subject.test_embeddings.shape[1] > 1 else 0
    gallery = subject.test_embeddings[:count, view]
    queries = {"avatar": [], "true head": []}
    for indices in tqdm(_batches(count), desc="retrieval", unit="batch", dynamic_ncols=True):
        own = decode_maps(subject, generated.reflectance[indices])
        queries["avatar"].append(renderer(generated.shape[indices].numpy(), own))
        queries["true head"].append(renderer(subject.test.shapes[indices], stored_maps(subject.test, indices)))
    rates = {name: metrics.top1_rate(np.concatenate(rows), gallery) for name, rows in queries.items()}
    return {
        "top-1 of the avatar": rates["avatar"],
        "top-1 of the true head": rates["true head"],
        "top-1 against the true head's": rates["avatar"] / max(rates["true head"], 1e-12),
    }


def bundle_size(folder: Path) -> float:
    """Size of a bundle's files in MB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
