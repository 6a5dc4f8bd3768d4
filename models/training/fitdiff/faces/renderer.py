"""Software renderer: camera, visibility, texture levels, shadows and shading of one figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitdiff.faces.appearance import Appearance
from fitdiff.faces.figure import Figure
from fitdiff.faces.hair_raster import CARD, LASH, SHELL, rasterize_hair
from fitdiff.faces.numerics import rotation
from fitdiff.faces.occlusion import orthographic, project
from fitdiff.faces.raster import rasterize, rasterize_depth
from fitdiff.faces.shading import (
    BEARD,
    CLOTH,
    HAIR,
    MATERIAL_COUNT,
    MOUTH,
    NECK,
    SKIN,
    TEETH,
    TEETH_COLOUR,
    shade,
)
from fitdiff.faces.shading import (
    LASH as LASH_MATERIAL,
)
from fitdiff.faces.skin import SkinMaps

SHADOW_SIZE = 256
LASH_DEPTH_OFFSET = -0.004
"""Decimetres that lashes are drawn nearer, so that they win against the lid they grow from."""

MOUTH_COLOUR = (0.28, 0.07, 0.06)


@dataclass(frozen=True)
class Camera:
    """Pinhole camera on a turned head.

    Attributes:
        yaw, pitch, roll: the head's turn in degrees; positive turns the nose right, down, and tilts anticlockwise.
        field_of_view: vertical, degrees.
        half_extent: half height in decimetres that the image covers at the head's pivot.
        shift: movement of the head in the image plane, decimetres.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    field_of_view: float = 24.0
    half_extent: float = 1.35
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def turn(self) -> np.ndarray:
        """Head frame → camera frame, rotation."""
        return rotation(self.yaw, self.pitch, self.roll)

    def to_camera(self, positions: np.ndarray, pivot: np.ndarray) -> np.ndarray:
        """Head-frame positions [V, 3] → camera space (looking down -z)."""
        distance = self.half_extent / np.tan(np.radians(self.field_of_view / 2))
        return (positions - pivot) @ self.turn.T + [self.shift[0], self.shift[1], -distance]

    def to_pixels(self, camera_positions: np.ndarray, size: int) -> np.ndarray:
        """Camera space → (pixel x, pixel y, depth); pixel centres at +0.5."""
        focal = size / 2 / np.tan(np.radians(self.field_of_view / 2))
        depth = -camera_positions[:, 2]
        x = size / 2 + focal * camera_positions[:, 0] / depth
        y = size / 2 - focal * camera_positions[:, 1] / depth
        return np.stack([x, y, depth], 1)


@dataclass(frozen=True)
class Lighting:
    """Lights in camera space, linear colours.

    Attributes:
        directions: [L, 3] unit, towards the light. colours: [L, 3]. widths: [L] 0 sharp … 1 soft.
        ambient_up, ambient_down: [3] hemispherical light around the camera's up.
    """

    directions: np.ndarray
    colours: np.ndarray
    widths: np.ndarray
    ambient_up: np.ndarray
    ambient_down: np.ndarray


@dataclass(frozen=True)
class Surroundings:
    """Colours of a view that are not the person's.

    Attributes:
        cloth: linear RGB of the shirt.
        background: linear RGB [P, P, 3] at the supersampled size, or None for grey.
        pupil: radius of the pupil as a share of the iris.
    """

    cloth: np.ndarray
    background: np.ndarray | None = None
    pupil: float = 0.38


def texture_levels(maps: SkinMaps) -> list[np.ndarray]:
    """Four levels [S, S, 8] of albedo, F0, roughness, normal xy and the variance of the normals."""
    flat = np.zeros_like(maps.specular)
    stacked = [maps.diffuse, maps.specular[..., None], maps.roughness[..., None], maps.normal[..., :2], flat[..., None]]
    levels = [np.ascontiguousarray(np.concatenate(stacked, 2).astype(np.float32))]
    for _ in range(3):
        fine = levels[-1]
        size = fine.shape[0] // 2
        blocks = fine.reshape(size, 2, size, 2, 8)
        coarse = blocks.mean((1, 3))
        for channel in (5, 6):
            coarse[..., 7] += (blocks[..., channel] ** 2).mean((1, 3)) - coarse[..., channel] ** 2
        levels.append(np.ascontiguousarray(coarse))
    return levels


def render(
    figure: Figure,
    levels: list[np.ndarray],
    person: Appearance,
    camera: Camera,
    lighting: Lighting,
    surroundings: Surroundings,
    neck_colour: np.ndarray,
    size: int = 256,
    supersampling: int = 2,
) -> tuple[np.ndarray, np.ndarray]:
    """Render one view.

    Returns:
        Linear radiance [size, size, 3] and coverage [size, size].
    """
    side = size * supersampling
    triangle_id = np.empty((side, side), np.int32)
    bary, inverse_depth = np.zeros((side, side, 3)), np.zeros((side, side))
    strand = np.zeros((side, side))
    mesh = _Mesh(camera, figure, side)
    mesh.add(figure.positions, figure.normals, figure.tangents, figure.details, figure.uv, figure.openness,
             figure.triangles, figure.materials)  # fmt: skip
    rasterize(mesh.pixels[0], figure.triangles, side, side, triangle_id, bary, inverse_depth)
    for layer in figure.hair:
        first = mesh.triangle_count
        if layer.kind == SHELL:
            material = BEARD if layer.is_beard else HAIR
            openness = np.clip(0.45 + 0.6 * layer.strand_data[:, 3], 0, 1)
        elif layer.kind == CARD:
            material, openness = HAIR, np.full(len(layer.positions), 0.8)
        else:
            material = LASH_MATERIAL if layer.kind == LASH else CLOTH
            openness = np.full(len(layer.positions), 0.8)
        mesh.add(layer.positions, layer.normals, layer.tangents, layer.tangents, layer.strand_data[:, [3, 5]],
                 openness, layer.triangles, np.full(len(layer.triangles), material, np.int8))  # fmt: skip
        pixels = mesh.pixels[-1].copy()
        if layer.kind == LASH:
            pixels[:, 2] += LASH_DEPTH_OFFSET
        rasterize_hair(pixels, layer.triangles, layer.strand_data, layer.kind, person.noise % 1000, layer.scale,
                       first, triangle_id, bary, inverse_depth, strand)  # fmt: skip
    arrays = mesh.joined()
    shadow_maps, shadow_matrices = _shadows(camera, figure, arrays["position"], lighting)
    out = np.zeros((side, side, 3))
    shade(
        triangle_id, bary, strand, arrays["triangles"], arrays["material"], arrays["position"], arrays["normal"],
        arrays["tangent"], arrays["detail"], arrays["uv"], arrays["openness"], *levels,
        _texture_level(arrays, levels[0].shape[0]), lighting.directions, lighting.colours, lighting.widths,
        lighting.ambient_up, lighting.ambient_down, camera.turn @ np.array([0, 1.0, 0]), shadow_maps,
        shadow_matrices, _iris(person, surroundings), _palette(person, surroundings, neck_colour), out,
    )  # fmt: skip
    background = surroundings.background if surroundings.background is not None else np.full((1, 1, 3), 0.12)
    covered = triangle_id >= 0
    image = np.where(covered[..., None], out, background)
    blocks = image.reshape(size, supersampling, size, supersampling, 3)
    coverage = covered.reshape(size, supersampling, size, supersampling).mean((1, 3))
    return blocks.mean((1, 3)), coverage


class _Mesh:
    """Collects parts in camera space."""

    def __init__(self, camera: Camera, figure: Figure, side: int):
        self.camera, self.pivot, self.side = camera, figure.pivot, side
        self.pixels: list[np.ndarray] = []
        self.triangle_count = 0
        self._vertex_count = 0
        self._columns: dict[str, list[np.ndarray]] = {}

    def add(self, positions, normals, tangents, details, uv, openness, triangles, materials) -> None:
        turn = self.camera.turn.T
        view = self.camera.to_camera(positions, self.pivot)
        self.pixels.append(self.camera.to_pixels(view, self.side))
        values = {
            "position": view, "normal": normals @ turn, "tangent": tangents @ turn, "detail": details, "uv": uv,
            "openness": openness, "triangles": triangles + self._vertex_count, "material": materials,
        }  # fmt: skip
        for name, value in values.items():
            self._columns.setdefault(name, []).append(value)
        self._vertex_count += len(positions)
        self.triangle_count += len(triangles)

    def joined(self) -> dict[str, np.ndarray]:
        arrays = {name: np.concatenate(parts) for name, parts in self._columns.items()}
        arrays["triangles"] = arrays["triangles"].astype(np.int32)
        arrays["pixels"] = np.concatenate(self.pixels)
        return arrays


def _texture_level(arrays: dict[str, np.ndarray], size: int) -> np.ndarray:
    """Texture level per triangle from the ratio of its texel and pixel areas; 0 where not textured."""
    skin = np.flatnonzero(arrays["material"] == SKIN)
    corners = arrays["triangles"][skin].T

    def area(points: np.ndarray) -> np.ndarray:
        a, b, c = (points[corner, :2] for corner in corners)
        return np.abs((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0]))

    ratio = np.maximum(area(arrays["uv"]) * size**2, 1e-9) / np.maximum(area(arrays["pixels"]), 1e-6)
    level = np.zeros(len(arrays["triangles"]), np.int8)
    level[skin] = np.clip(np.floor(0.5 * np.log2(ratio) + 0.35), 0, 3)
    return level


def _shadows(
    camera: Camera, figure: Figure, positions: np.ndarray, lighting: Lighting
) -> tuple[np.ndarray, np.ndarray]:
    count = min(4, len(lighting.directions))
    maps, matrices = np.empty((count, SHADOW_SIZE, SHADOW_SIZE)), np.zeros((count, 3, 4))
    occluders = camera.to_camera(figure.occluder_positions, figure.pivot)
    base = positions[: len(figure.positions)]
    low, high = base.min(0), base.max(0)
    for j in range(count):
        matrices[j] = orthographic(
            lighting.directions[j], (low + high) / 2, 0.4 * float(np.linalg.norm(high - low)), SHADOW_SIZE
        )
        rasterize_depth(project(matrices[j], occluders), figure.occluder_triangles, maps[j])
    return maps, matrices


def _iris(person: Appearance, surroundings: Surroundings) -> np.ndarray:
    ring = 0.45 + 0.4 * ((person.iris_pattern * 7) % 1)
    phase = 9 * person.iris_pattern
    return np.array([*person.iris, 0.435, phase, surroundings.pupil, ring, person.sclera_tint, person.sclera])


def _palette(person: Appearance, surroundings: Surroundings, neck_colour: np.ndarray) -> np.ndarray:
    palette = np.full((MATERIAL_COUNT, 3), 0.2)
    palette[TEETH] = TEETH_COLOUR
    palette[MOUTH] = MOUTH_COLOUR
    palette[CLOTH] = surroundings.cloth
    palette[HAIR] = person.hair_colour
    palette[BEARD] = person.beard_colour
    palette[LASH_MATERIAL] = np.array(person.brow_colour) * 0.06 + 0.006
    palette[NECK] = neck_colour
    return palette
