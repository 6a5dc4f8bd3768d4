"""Measures of the model card, as plain functions on arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ITA_BINS = (("very light", 55.0, 91.0), ("light", 41.0, 55.0), ("intermediate", 28.0, 41.0))
ITA_BINS += (("tan", 10.0, 28.0), ("brown", -30.0, 10.0), ("dark", -91.0, -30.0))
"""Skin-tone classes by individual typology angle, degrees (Del Bino and Bernerd 2013, doi 10.1111/bjd.12529)."""
AGE_BINS = (("18-29", 0.0, 30.0), ("30-44", 30.0, 45.0), ("45-59", 45.0, 60.0), ("60 and over", 60.0, 200.0))


def masked_mse(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    """Mean squared difference of [C,S,S] arrays over the texels of a mask [S,S]."""
    return float(np.mean(np.square(a[:, mask].astype(np.float64) - b[:, mask])))


def psnr(mse: float, peak: float = 1.0) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error."""
    return float(10 * np.log10(peak**2 / max(mse, 1e-12)))


def mean_angle(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    """Mean angle in degrees between normals [3,S,S] over a mask; vectors need not have unit length."""
    a, b = a[:, mask].astype(np.float64), b[:, mask].astype(np.float64)
    cosine = (a * b).sum(axis=0) / np.maximum(np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0), 1e-9)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean())


def vertex_error(difference: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Mean vertex distance in millimetres for differences of shape coefficients [B,K].

    `directions` [V,3,K] are the shape basis times its standard deviations, in metres, at the vertices that count.
    """
    offsets = np.einsum("vck,bk->bvc", directions, difference, optimize=True)
    return 1e3 * np.linalg.norm(offsets, axis=-1).mean(axis=-1)


def aligned_vertex_error(vertices: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean vertex distance in millimetres of heads [B,V,3] to the truth [B,V,3], metres, after the similarity
    transform that brings each nearest to its truth in the least-squares sense (Umeyama, IEEE PAMI 13(4), 1991).
    """
    own = vertices - vertices.mean(axis=1, keepdims=True)
    target = truth - truth.mean(axis=1, keepdims=True)
    left, spread, right = np.linalg.svd(np.einsum("bvi,bvj->bij", own, target))
    sign = np.ones_like(spread)
    sign[:, -1] = np.sign(np.linalg.det(left @ right))
    rotation = (left * sign[:, None]) @ right
    scale = (spread * sign).sum(axis=1) / np.square(own).sum(axis=(1, 2))
    moved = scale[:, None, None] * np.einsum("bvi,bij->bvj", own, rotation)
    return 1e3 * np.linalg.norm(moved - target, axis=-1).mean(axis=-1)


def mean_pairwise_distance(values: np.ndarray) -> float:
    """Mean Euclidean distance between different rows of [B,D]."""
    return float(_distances(values, values)[~np.eye(len(values), dtype=bool)].mean())


def nearest_distance(values: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Euclidean distance of each row [B,D] to the nearest row of [N,D]."""
    return _distances(values, references).min(axis=1)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(squared, 0))


def top1_rate(queries: np.ndarray, gallery: np.ndarray) -> float:
    """Share of queries [B,D] whose nearest gallery entry [B,D] is that of the same row."""
    return float(np.mean(_distances(queries, gallery).argmin(axis=1) == np.arange(len(queries))))


@dataclass(frozen=True)
class Groups:
    """A partition of identities: a name and a boolean mask [N] per group."""

    title: str
    members: dict[str, np.ndarray]


def identity_groups(attributes: np.ndarray) -> list[Groups]:
    """Groups by skin tone, age and gender of a structured attribute array [N]; empty groups are left out."""

    def binned(values: np.ndarray, bins: tuple[tuple[str, float, float], ...]) -> dict[str, np.ndarray]:
        masks = {name: (values >= low) & (values < high) for name, low, high in bins}
        return {name: mask for name, mask in masks.items() if mask.any()}

    gender = (("female", -1.0, 0.5), ("male", 0.5, 2.0))
    return [
        Groups("skin tone (ITA)", binned(attributes["ita"], ITA_BINS)),
        Groups("age", binned(attributes["age"], AGE_BINS)),
        Groups("gender", binned(attributes["male"], gender)),
    ]


def group_ratio(values: np.ndarray, groups: Groups, smallest: int) -> float:
    """Worst over best group mean of an error [N], over groups of at least `smallest` members; NaN for fewer than
    two."""
    means = [values[mask].mean() for mask in groups.members.values() if mask.sum() >= smallest]
    return float(max(means) / max(min(means), 1e-12)) if len(means) > 1 else float("nan")
