"""Principal components of head shape, after removing place, turn and size of each head.

Components are found, and heads are encoded, with whole heads brought together. They are decoded with their faces
brought together, which are what photos show: from each component, what similarity transforms of the face do to the
head, to first order in the code, is taken out.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fitdiff.faces.dataset import SEED_RANGES
from fitdiff.faces.geometry import EyeFit, HeadGeometry
from fitdiff.faces.head_model import HeadModel, cache_folder, code_digest, store_in_cache
from fitdiff.faces.masks import head_masks
from fitdiff.faces.topology import HeadTopology

COMPONENTS = 120
POPULATION = 4000
ALIGNED_ABOVE_Y = 6.1
"""Skin above this height on the base mesh (decimetres) counts in the alignment of heads: not the neck."""
MASK_SIZE = 256
"""Side in texels of the mask that tells what is face."""

_SOURCES = ("geometry", "identity", "macro", "masks", "regions", "shape_basis", "streams", "topology", "uv_bake")

REST_WEIGHT = 1e-3
"""Weight of a vertex outside of the skin (eyes, teeth …) against a mean skin vertex: they ride along."""


@dataclass(frozen=True)
class ShapeBasis:
    """Linear model of heads with their faces in one place: ``vertices = mean + sum_k code[k] * directions[k]``.

    The frame: decimetres, Y up, the face looks to +Z, origin between the ears of the mean head at eye height.

    Attributes:
        mean: float64 [V, 3].
        components: float32 [K, V, 3] of heads that are aligned as wholes, orthonormal in the weighted metric.
        sigma: float64 [K], population deviations in decreasing order.
        directions: float32 [K, V, 3], the components at one deviation, faces brought together.
        weights: float64 [V], metric: area per skin vertex over the mean area.
        head: float64 [skin_count], weights of the similarity alignment of whole heads.
        face: float64 [skin_count], weights of the similarity alignment of faces: all of their vertices count alike, and
            are dense where eyes, nose and mouth are.
    """

    mean: np.ndarray
    components: np.ndarray
    sigma: np.ndarray
    directions: np.ndarray
    weights: np.ndarray
    head: np.ndarray
    face: np.ndarray

    def align(self, vertices: np.ndarray) -> np.ndarray:
        """Move, turn and scale head vertices [V, 3] such that the face comes onto the mean's (weighted least
        squares): the frame of decoded heads."""
        return _align(vertices, self.mean, self.face)

    def encode(self, vertices: np.ndarray) -> np.ndarray:
        """Head vertices [V, 3] in any place and size → whitened code float32 [K]."""
        offset = (_align(vertices, self.mean, self.head) - self.mean) * self.weights[:, None]
        return (np.tensordot(self.components, offset, 2) / self.sigma).astype(np.float32)

    def decode(self, code: np.ndarray) -> np.ndarray:
        """Whitened code [K] → head vertices [V, 3]; fewer coefficients use the leading components."""
        return self.mean + np.tensordot(code, self.directions[: len(code)], 1)


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
    head = area * (topology.rest[:skin, 1] > ALIGNED_ABOVE_Y)
    mean = heads.mean(0).astype(float)
    size = _weighted_size(mean, head)
    for _ in range(3):
        for i in range(len(heads)):
            heads[i] = _align(heads[i], mean, head)
        mean = heads.mean(0).astype(float)
        # Alignment to a mean shrinks the next mean a little; keep the first mean's size.
        mean *= size / _weighted_size(mean, head)
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
    principal = centred.T @ vectors.astype(np.float32)
    principal /= np.linalg.norm(principal, axis=0)
    # The sign of an eigenvector is arbitrary: make the largest entry positive.
    largest = principal[np.abs(principal).argmax(0), np.arange(components)]
    principal = (principal * np.sign(largest) / root[:, None]).T.reshape(components, -1, 3)
    sigma = np.sqrt(values / population)
    face = face_shares(model)
    return ShapeBasis(
        mean=mean,
        components=principal,
        sigma=sigma,
        directions=without_motion(principal * sigma[:, None, None], mean, face).astype(np.float32),
        weights=weights,
        head=head,
        face=face,
    )


def face_shares(model: HeadModel) -> np.ndarray:
    """How much of the surface around each skin vertex is face by the mask of that name, 0…1 [skin_count]."""
    uv_map, subdivide = model.uv_map, model.topology.subdivide
    texels = np.clip((uv_map.uv * [1, -1] + [0, 1]) * MASK_SIZE, 0, MASK_SIZE - 1).astype(int)
    on_face = np.zeros(subdivide.shape[0])
    on_face[uv_map.source] = head_masks(model, MASK_SIZE)["face"][texels[:, 1], texels[:, 0]]
    around = subdivide.T @ np.stack([on_face, np.ones_like(on_face)], 1)
    return (around[:, 0] / np.maximum(around[:, 1], 1e-9))[: model.topology.skin_count]


def without_motion(offsets: np.ndarray, vertices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Offsets [K, V, 3] of vertices [V, 3] less the move, turn and growth of the whole that is in them.

    The seven fields of an infinitesimal similarity transform are fitted to each offset on the first vertices, which the
    weights are of, by weighted least squares, and taken from all vertices.
    """
    count, motions = len(weights), similarity_motions(vertices)
    root = np.sqrt(weights)[:, None]
    known = (motions[:, :count] * root).reshape(len(motions), -1)
    wanted = (offsets[:, :count] * root).reshape(len(offsets), -1)
    amounts, *_ = np.linalg.lstsq(known.T, wanted.T)
    return offsets - np.tensordot(amounts.T, motions, 1)


def similarity_motions(vertices: np.ndarray) -> np.ndarray:
    """What vertices [V, 3] do to first order under the three moves, three turns and growth, [7, V, 3]."""
    axes = np.eye(3)
    moves = np.broadcast_to(axes[:, None], (3, *vertices.shape))
    turns = np.stack([np.cross(axis, vertices) for axis in axes])
    return np.concatenate([moves, turns, vertices[None]])


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
