"""One seed → one person: geometry, maps and photos. The entry point of this package."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from fitdiff.faces.appearance import Appearance, sample_appearance
from fitdiff.faces.figure import FigureBuilder, gaze_frame
from fitdiff.faces.geometry import HeadGeometry
from fitdiff.faces.hair import HairBuilder
from fitdiff.faces.head_model import HeadModel, load_head_model
from fitdiff.faces.identity import Traits
from fitdiff.faces.landmarks import iris_azimuths, iris_directions, skin_landmarks
from fitdiff.faces.optics import typology_angle
from fitdiff.faces.renderer import render, texture_levels
from fitdiff.faces.selfie import View, develop, sample_view
from fitdiff.faces.skin import SkinMaps, SkinPainter
from fitdiff.faces.streams import stream
from fitdiff.faces.uv_bake import bake_geometry


@dataclass(frozen=True)
class Person:
    """One synthetic person.

    Attributes:
        vertices: neutral head vertices float64 [V, 3], decimetres, MakeHuman's frame.
    """

    seed: int
    traits: Traits
    appearance: Appearance
    vertices: np.ndarray
    maps: SkinMaps

    @cached_property
    def levels(self) -> list[np.ndarray]:
        """Texture levels for rendering."""
        return texture_levels(self.maps)


@dataclass(frozen=True)
class Photo:
    """A rendered view.

    Attributes:
        image: uint8 [P, P, 3], sRGB.
        surface: posed subdivided skin [S, 3] in pixels and depth, for landmarks.
        pivot: [3] point of the head frame that the camera looks at.
    """

    image: np.ndarray
    surface: np.ndarray
    pivot: np.ndarray


class FaceGenerator:
    """Generates people at one map size."""

    def __init__(self, model: HeadModel, map_size: int = 256):
        self.model = model
        self.geometry = HeadGeometry(model.topology, model.targets)
        self.painter = SkinPainter(bake_geometry(model.topology, model.uv_map, map_size))
        hair = HairBuilder(model.topology, model.uv_map, self.painter)
        self.figures = FigureBuilder(model.topology, model.uv_map, hair)
        regions, chart = self.painter.regions, self.painter.geometry.chart
        self._neck = chart & (regions.neck > 0.8)
        self._cheeks = chart & (regions.cheek_wide > 0.5) & (regions.beard < 0.1)

    @classmethod
    def open(cls, root: Path, map_size: int = 256) -> FaceGenerator:
        """Open a MakeHuman source folder."""
        return cls(load_head_model(root), map_size)

    def person(self, seed: int) -> Person:
        """Generate a person; the same seed gives the same person."""
        traits = self.geometry.sampler.traits(seed)
        appearance = sample_appearance(seed, traits)
        vertices = self.geometry.person(seed, traits)
        return Person(seed, traits, appearance, vertices, self.painter.paint(seed, appearance))

    def skin_tone(self, person: Person) -> float:
        """Individual typology angle of the cheeks in degrees."""
        return float(typology_angle(person.maps.diffuse[self._cheeks].mean(0)))

    def random_view(self, person: Person, index: int, size: int = 208, scene_seed: int = 0) -> View:
        """Draw the view with this index of one person."""
        return sample_view(stream(person.seed, f"view {scene_seed}", index), size)

    def photo(self, person: Person, view: View, index: int = 0, size: int = 208, supersampling: int = 2) -> Photo:
        """Render one view of a person."""
        offsets = np.tensordot(view.expression, self.model.expressions, 1).astype(float)
        posed = person.vertices + offsets
        # Hair falls the same way in all views of a person.
        combing = stream(person.seed, "combing")
        figure = self.figures.build(posed, person.vertices, person.appearance, view.look, combing)
        neck = person.maps.diffuse[self._neck].mean(0).astype(float)
        linear, coverage = render(
            figure, person.levels, person.appearance, view.camera, view.lighting, view.surroundings, neck, size,
            supersampling,
        )  # fmt: skip
        pixels = view.camera.to_pixels(view.camera.to_camera(figure.skin_surface, figure.pivot), size)
        return Photo(develop(linear, coverage, view, stream(person.seed, "sensor", index)), pixels, figure.pivot)

    def landmarks(self, person: Person, view: View, photo: Photo, size: int = 208) -> np.ndarray:
        """Projected landmarks [478, 2] in pixels; pixel centres at +0.5."""
        triangles, bary = skin_landmarks()
        uv_map = self.model.uv_map
        corners = photo.surface[uv_map.source][uv_map.triangles[triangles]]
        # Perspective: interpolate homogeneous coordinates.
        weight = bary / corners[..., 2]
        skin = (corners[..., :2] * weight[..., None]).sum(1) / weight.sum(1, keepdims=True)
        pivot = photo.pivot
        eyes = []
        for side, azimuths in zip((1, 0), iris_azimuths(), strict=True):
            centre, radius = self.figures.eye_fit(person.vertices)[side]
            frame = gaze_frame(1 if side == 0 else -1, view.look.gaze)
            points = centre + radius * iris_directions(azimuths) @ frame.T
            eyes.append(view.camera.to_pixels(view.camera.to_camera(points, pivot), size)[:, :2])
        return np.concatenate([skin, *eyes]).astype(np.float32)
