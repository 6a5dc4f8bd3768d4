"""Derives the landmark correspondence by running the landmark network on rendered heads.

Each person of a small population is rendered from several sides in neutral light. A landmark found
at a pixel is carried back to the skin under it and from there to the average head. Over all views,
weighted by how frontally the spot was seen, the medoid is taken, mirrored and averaged with its
counterpart (the mirror table is that of MediaPipe's canonical face mesh), and dropped onto the
nearest point of the average skin.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from face_nets.detector import SHORT_RANGE, FaceDetector
from face_nets.landmarks import FaceMesh, region_of_detection, region_of_landmarks
from fitdiff.faces.dataset import SEED_RANGES
from fitdiff.faces.expressions import ARKIT_NAMES
from fitdiff.faces.generator import FaceGenerator
from fitdiff.faces.landmarks import LEFT_IRIS, PATH, RIGHT_IRIS, SKIN_LANDMARKS, landmark_mirror
from fitdiff.faces.raster import interpolate, rasterize
from fitdiff.faces.regions import LOWER_LID, UPPER_LID
from fitdiff.faces.selfie import View, neutral_view

YAWS = (-38.0, -20.0, 0.0, 20.0, 38.0)
IMAGE_SIZE = 384
FACE_Z = 0.6
"""Landmarks lie in front of this (decimetres on the base mesh); ears and neck do not count."""

HIDDEN_WEIGHT = 1e-6

LID_CONTOURS = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246,
                263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)  # fmt: skip
"""Landmarks on the lid margins."""

UPPER_INNER_LIP = (191, 80, 81, 82, 13, 312, 311, 310, 415)
LOWER_INNER_LIP = (324, 318, 402, 317, 14, 87, 178, 88, 95)


def fit_landmarks(generator: FaceGenerator, bundle: Path, people: int = 60) -> dict:
    """Return the table for ``landmarks.json``.

    Args:
        generator: makes the people.
        bundle: folder with the detector and the landmark network.
        people: number of people, from the end of the population's seeds.
    """
    detector, mesh = FaceDetector(bundle, SHORT_RANGE), FaceMesh(bundle)
    mirror = landmark_mirror()
    found: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    rims: list[np.ndarray] = []
    for number, seed in enumerate(SEED_RANGES["population"][-people:]):
        person = generator.person(seed)
        for yaw in YAWS:
            view = neutral_view(number, IMAGE_SIZE, yaw)
            photo = generator.photo(person, view, 0, IMAGE_SIZE)
            detections = detector.detect(photo.image)
            if not detections:
                continue
            region = region_of_detection(detections[0])
            region = region_of_landmarks(mesh.locate(photo.image, region).points)
            pixels = mesh.locate(photo.image, region).points[:, :2] + 0.5
            canonical, weight = _skin_under(generator, photo.surface, view, pixels[:SKIN_LANDMARKS])
            # A turned head hides its far side; the network guesses those points in front of the near one.
            across = (pixels[:SKIN_LANDMARKS, 0] - pixels[mirror, 0]) / np.ptp(pixels[:, 0])
            hidden = (np.sign(yaw) * across > 0.15) & (yaw != 0)
            found.append(canonical)
            weights.append(np.where(hidden, HIDDEN_WEIGHT, weight))
            if yaw == 0:
                rims.append(
                    np.stack([pixels[first + 1 : first + 5] - pixels[first] for first in (RIGHT_IRIS, LEFT_IRIS)])
                )
    points = _medoid(np.stack(found), np.stack(weights))
    points = (points + points[mirror] * [-1, 1, 1]) / 2
    points = _snapped(generator, points)
    triangles, bary = _nearest_on_skin(generator, points)
    rim = np.mean(rims, axis=0)
    azimuths = np.round(np.arctan2(-rim[..., 1], rim[..., 0]) / (np.pi / 2)) * (np.pi / 2)
    return {
        "about": "478 face mesh landmarks on the template: triangle of the subdivided skin, barycentric coordinates; "
        "azimuths of the iris points. Derived by `python -m fitdiff faces landmarks`.",
        "mirror": mirror.tolist(),
        "triangles": triangles.tolist(),
        "bary": np.round(bary, 5).tolist(),
        "right_iris": np.round(azimuths[0], 5).tolist(),
        "left_iris": np.round(azimuths[1], 5).tolist(),
    }


def save_landmarks(table: dict, path: Path = PATH) -> None:
    """Write ``landmarks.json``."""
    path.write_text(json.dumps(table) + "\n")


def _skin_under(
    generator: FaceGenerator, surface: np.ndarray, view: View, pixels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Positions [N, 3] on the average head under pixels [N, 2], and how much each counts [N]."""
    topology, uv_map = generator.model.topology, generator.model.uv_map
    triangle_id = np.empty((IMAGE_SIZE, IMAGE_SIZE), np.int32)
    bary, depth = np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3)), np.zeros((IMAGE_SIZE, IMAGE_SIZE))
    points = surface[uv_map.source]
    rasterize(points, uv_map.triangles, IMAGE_SIZE, IMAGE_SIZE, triangle_id, bary, depth)
    average = (topology.subdivide @ topology.rest)[uv_map.source]
    canonical = np.zeros((IMAGE_SIZE, IMAGE_SIZE, 3))
    interpolate(triangle_id, bary, uv_map.triangles, average, canonical)
    covered = triangle_id >= 0
    nearest = ndimage.distance_transform_edt(~covered, return_distances=False, return_indices=True)
    columns = np.clip(pixels[:, 0].astype(int), 0, IMAGE_SIZE - 1)
    rows = np.clip(pixels[:, 1].astype(int), 0, IMAGE_SIZE - 1)
    rows, columns = nearest[:, rows, columns]
    corners = points[uv_map.triangles[triangle_id[rows, columns]]]
    a, b = (corners[:, 1] - corners[:, 0])[:, :2], (corners[:, 2] - corners[:, 0])[:, :2]
    rest = average[uv_map.triangles[triangle_id[rows, columns]]]
    true_area = np.linalg.norm(np.cross(rest[:, 1] - rest[:, 0], rest[:, 2] - rest[:, 0]), axis=1)
    scale = IMAGE_SIZE / 2 / view.camera.half_extent
    facing = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / np.maximum(true_area * scale**2, 1e-9)
    on_face = canonical[rows, columns, 2] > FACE_Z
    return canonical[rows, columns], np.where(on_face, np.clip(facing, 0, 1) ** 2, 0) + HIDDEN_WEIGHT


def _medoid(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted geometric medoid over the first axis: values [S, N, 3], weights [S, N] → [N, 3].

    A median per axis could fall inside of the head where the samples lie around an edge.
    """
    out = np.empty(values.shape[1:])
    for n in range(values.shape[1]):
        distance = np.linalg.norm(values[:, None, n] - values[None, :, n], axis=2)
        out[n] = values[int((distance @ weights[:, n] + 1e3 * (weights[:, n] < 2 * HIDDEN_WEIGHT)).argmin()), n]
    return out


def _snapped(generator: FaceGenerator, points: np.ndarray) -> np.ndarray:
    """Move lid landmarks to the nearest point of the lid margins."""
    positions = generator.painter.geometry.position
    size = len(positions)
    margins = []
    for line in (UPPER_LID, LOWER_LID):
        steps = np.linspace(0, len(line) - 1, 200)
        texels = np.stack([np.interp(steps, np.arange(len(line)), line[:, axis]) for axis in (1, 0)]) * size - 0.5
        curve = np.stack([ndimage.map_coordinates(positions[..., axis], texels, order=1) for axis in range(3)], 1)
        margins += [curve, curve * [-1, 1, 1]]
    margin = np.concatenate(margins)
    out = points.copy()
    index = list(LID_CONTOURS)
    out[index] = margin[cKDTree(margin).query(out[index])[1]]
    return out


def _nearest_on_skin(generator: FaceGenerator, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest triangle of the average skin and barycentric coordinates per point.

    The closed lips touch: landmarks of the inner lips only take triangles of their own lip.
    """
    model = generator.model
    topology, uv_map = model.topology, model.uv_map
    average = (topology.subdivide @ topology.rest)[uv_map.source]
    opening = -(topology.subdivide @ model.expressions[ARKIT_NAMES.index("jawOpen")])[uv_map.source, 1]
    corners = average[uv_map.triangles]
    with_jaw = opening[uv_map.triangles].mean(1) > 0.5 * opening.max()
    everywhere = np.ones(len(corners), bool)
    allowed = {n: ~with_jaw for n in UPPER_INNER_LIP} | {n: with_jaw for n in LOWER_INNER_LIP}
    _, candidates = cKDTree(corners.mean(1)).query(points, k=80)
    triangles, bary = np.empty(len(points), int), np.empty((len(points), 3))
    for n, point in enumerate(points):
        best = float("inf")
        for triangle in candidates[n][allowed.get(n, everywhere)[candidates[n]]]:
            weights = _closest_bary(point, corners[triangle])
            distance = float(np.linalg.norm(weights @ corners[triangle] - point))
            if distance < best:
                best, triangles[n], bary[n] = distance, triangle, weights
    return triangles, bary


def _closest_bary(point: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Barycentric coordinates of the triangle's point that is closest to ``point``."""
    a, b = corners[1] - corners[0], corners[2] - corners[0]
    u, v = np.linalg.lstsq(np.stack([a, b], 1), point - corners[0], rcond=None)[0]
    if u >= 0 and v >= 0 and u + v <= 1:
        return np.array([1 - u - v, u, v])
    best, best_distance = np.array([1.0, 0, 0]), np.inf
    for i, j in ((0, 1), (1, 2), (2, 0)):
        edge = corners[j] - corners[i]
        t = float(np.clip((point - corners[i]) @ edge / (edge @ edge), 0, 1))
        distance = float(np.linalg.norm(corners[i] + t * edge - point))
        if distance < best_distance:
            best, best_distance = np.zeros(3), distance
            best[i], best[j] = 1 - t, t
    return best
