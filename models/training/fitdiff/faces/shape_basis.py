"""Principal components of head shape, after removing place, turn and size of each head."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fitdiff.faces.dataset import SEED_RANGES
from fitdiff.faces.geometry import EyeFit, HeadGeometry
from fitdiff.faces.head_model import HeadModel, cache_folder, code_digest, store_in_cache
from fitdiff.faces.topology import HeadTopology

COMPONENTS = 120
POPULATION = 4000
ALIGNED_ABOVE_Y = 6.1
"""Skin above this height on the base mesh (decimetres) counts in the alignment: not the neck."""

_SOURCES = ("geometry", "identity", "macro", "shape_basis", "streams", "topology")

REST_WEIGHT = 1e-3
"""Weight of a vertex outside of the skin (eyes, teeth …) against a mean skin vertex: they ride along."""


@dataclass(frozen=True)
class ShapeBasis:
    """Linear model of aligned heads: ``vertices = mean + sum_k code[k] * sigma[k] * components[k]``.

    The frame: decimetres, Y up, the face looks to +Z, origin between the ears at eye height.

    Attributes:
        mean: float64 [V, 3].
        components: float32 [K, V, 3], orthonormal in the weighted metric.
        sigma: float64 [K], population deviations in decreasing order.
        weights: float64 [V], metric: area per skin vertex over the mean area.
        alignment: float64 [skin_count], weights of the similarity alignment.
    """

    mean: np.ndarray
    components: np.ndarray
    sigma: np.ndarray
    weights: np.ndarray
    alignment: np.ndarray

    def align(self, vertices: np.ndarray) -> np.ndarray:
        """Move, turn and scale head vertices [V, 3] onto the mean (weighted least squares)."""
        return _align(vertices, self.mean, self.alignment)

    def encode(self, vertices: np.ndarray) -> np.ndarray:
        """Head vertices [V, 3] in any place and size → whitened code float32 [K]."""
        offset = (self.align(vertices) - self.mean) * self.weights[:, None]
        return (np.tensordot(self.components, offset, 2) / self.sigma).astype(np.float32)

    def decode(self, code: np.ndarray) -> np.ndarray:
        """Whitened code [K] → head vertices [V, 3]; fewer coefficients use the leading components."""
        count = len(code)
        return self.mean + np.tensordot(code * self.sigma[:count], self.components[:count], 1)


def load_shape_basis(model: HeadModel, use_cache: bool = True) -> ShapeBasis:
    """Compute the basis of a head model, or load it if it was computed before (40 s)."""
    path = cache_folder() / f"basis-{model.digest}-{code_digest(_SOURCES)}.pickle"
    if use_cache and path.exists():
        try:
            return pickle.loads(path.read_bytes())
        except (pickle.UnpicklingError, EOFError, AttributeError, ImportError):
            Path(path).unlink(missing_ok=True)
    basis = build_shape_basis(model)
    if use_cache:
        store_in_cache(path, basis)
    return basis


def build_shape_basis(model: HeadModel, population: int = POPULATION, components: int = COMPONENTS) -> ShapeBasis:
    """Sample a population, align it and take its principal components."""
    topology = model.topology
    geometry = HeadGeometry(topology, model.targets)
    seeds = SEED_RANGES["population"][:population]
    heads = np.stack([geometry.person(seed) for seed in seeds]).astype(np.float32)

    skin = topology.skin_count
    area = vertex_areas(topology)
    alignment = area * (topology.rest[:skin, 1] > ALIGNED_ABOVE_Y)
    mean = heads.mean(0).astype(float)
    size = _weighted_size(mean, alignment)
    for _ in range(3):
        for i in range(len(heads)):
            heads[i] = _align(heads[i], mean, alignment)
        mean = heads.mean(0).astype(float)
        # Alignment to a mean shrinks the next mean a little; keep the first mean's size.
        mean *= size / _weighted_size(mean, alignment)
    mean = heads.mean(0).astype(float)
    mean = (mean + mean[topology.mirror] * [-1, 1, 1]) / 2
    shift = head_origin(topology, mean)
    mean -= shift
    heads -= shift.astype(np.float32)

    weights = np.full(topology.vertex_count, REST_WEIGHT)
    weights[:skin] = area / area.mean()
    root = np.sqrt(np.repeat(weights, 3)).astype(np.float32)
    centred = (heads - mean.astype(np.float32)).reshape(population, -1) * root
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(float))
    values, vectors = values[::-1][:components], vectors[:, ::-1][:, :components]
    directions = centred.T @ vectors.astype(np.float32)
    directions /= np.linalg.norm(directions, axis=0)
    # The sign of an eigenvector is arbitrary: make the largest entry positive.
    largest = directions[np.abs(directions).argmax(0), np.arange(components)]
    directions = (directions * np.sign(largest) / root[:, None]).T
    return ShapeBasis(
        mean=mean,
        components=directions.reshape(components, -1, 3),
        sigma=np.sqrt(values / population),
        weights=weights,
        alignment=alignment,
    )


def vertex_areas(topology: HeadTopology) -> np.ndarray:
    """Surface area per skin vertex of the base mesh, square decimetres."""
    quads = topology.parts["skin"]
    a, b, c, d = (topology.rest[quads[:, i]] for i in range(4))
    area = 0.5 * np.linalg.norm(np.cross(c - a, d - b), axis=1)
    return np.bincount(quads.ravel(), np.repeat(area / 4, 4), topology.skin_count)


def head_origin(topology: HeadTopology, vertices: np.ndarray) -> np.ndarray:
    """Point between the ears at eye height, [3]."""
    eyes = EyeFit(topology)(vertices)
    height = (eyes[0][0][1] + eyes[1][0][1]) / 2
    x, y, z = topology.rest[: topology.skin_count].T
    ears = (np.abs(x) > 0.70) & (y > 6.75) & (y < 7.45) & (z > 0.3) & (z < 0.68)
    return np.array([0.0, height, float(vertices[: topology.skin_count][ears][:, 2].mean())])


def _weighted_size(vertices: np.ndarray, weights: np.ndarray) -> float:
    points = vertices[: len(weights)]
    centre = (points * weights[:, None]).sum(0) / weights.sum()
    return float(np.sqrt((weights * ((points - centre) ** 2).sum(1)).sum() / weights.sum()))


def _align(vertices: np.ndarray, reference: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Similarity transform of ``vertices`` to the reference (Umeyama 1991, weighted; equal sizes)."""
    count = len(weights)
    share = (weights / weights.sum())[:, None]
    source, target = vertices[:count].astype(float), reference[:count]
    source_centre, target_centre = (source * share).sum(0), (target * share).sum(0)
    source, target = source - source_centre, target - target_centre
    u, _, vt = np.linalg.svd((source * share).T @ target)
    turn = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
    scale = np.sqrt((share * target**2).sum() / (share * source**2).sum())
    return (vertices - source_centre) @ turn * scale + target_centre
