"""Contact sheets of people, maps and photos, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from fitdiff.faces.appearance import HAIR_STYLES
from fitdiff.faces.dataset import F0_MAX, srgb_encode
from fitdiff.faces.expressions import ARKIT_NAMES, EYE_LOOK_RADIANS
from fitdiff.faces.figure import Look
from fitdiff.faces.generator import FaceGenerator, Person
from fitdiff.faces.selfie import View, neutral_view


def draw_grid(generator: FaceGenerator, kind: str, seeds: Sequence[int], columns: int, size: int = 200) -> np.ndarray:
    """Return a sheet uint8 [H, W, 3].

    Args:
        kind: "neutral" one frontal studio picture per person; "views" three studio pictures;
            "selfies" random photos; "maps" diffuse, specular and normal map; "expressions" the 52
            blendshapes of the first person.
        columns: people (or expressions) per row.
        size: side of one picture in pixels.
    """
    if kind == "expressions":
        return _sheet(_expressions(generator, generator.person(seeds[0]), size), columns)
    tiles = []
    for seed in seeds:
        person = generator.person(seed)
        if kind == "maps":
            tiles.append(_maps(person, size))
        elif kind == "selfies":
            view = generator.random_view(person, 0, size)
            tiles.append(generator.photo(person, view, 0, size).image)
        else:
            yaws = ((0, 0.0),) if kind == "neutral" else ((0, 0.0), (1, -28.0), (2, 24.0))
            views = [neutral_view(light, size, yaw) for light, yaw in yaws]
            tiles.append(np.hstack([generator.photo(person, view, 0, size).image for view in views]))
    return _sheet(tiles, columns)


def save_sheet(sheet: np.ndarray, path: Path) -> None:
    """Write a PNG."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path)


def expression_view(name: str, size: int) -> View:
    """Studio view of one blendshape at weight 1, with the gaze that belongs to it."""
    view = neutral_view(0, size, -12.0)
    weights = np.zeros(len(ARKIT_NAMES), np.float32)
    weights[ARKIT_NAMES.index(name)] = 1
    if name == "mouthClose":
        weights[ARKIT_NAMES.index("jawOpen")] = 1
    gaze = [0.0, 0.0]
    if name.startswith("eyeLook"):
        towards = name[len("eyeLook") :].replace("Left", "").replace("Right", "")
        amount = EYE_LOOK_RADIANS[towards]
        left = name.endswith("Left")
        if towards in ("Up", "Down"):
            gaze[1] = amount if towards == "Up" else -amount
        else:
            gaze[0] = amount * (1 if (towards == "Out") == left else -1)
    camera = replace(view.camera, half_extent=1.05)
    return replace(view, expression=weights, camera=camera, look=Look(gaze=(gaze[0], gaze[1])))


def _expressions(generator: FaceGenerator, person: Person, size: int) -> list[np.ndarray]:
    short = replace(person.appearance.shaven(), hair_style=HAIR_STYLES.index("cropped"))
    person = replace(person, appearance=short, maps=generator.painter.paint(person.seed, short))
    return [generator.photo(person, expression_view(name, size), 0, size).image for name in ARKIT_NAMES]


def _maps(person: Person, size: int) -> np.ndarray:
    maps = person.maps
    pictures = [
        srgb_encode(maps.diffuse),
        np.repeat((maps.specular / F0_MAX)[..., None], 3, 2),
        maps.normal * 0.5 + 0.5,
    ]
    pixels = [Image.fromarray(np.rint(np.clip(p, 0, 1) * 255).astype(np.uint8)).resize((size, size)) for p in pictures]
    return np.hstack([np.asarray(p) for p in pixels])


def _sheet(tiles: list[np.ndarray], columns: int) -> np.ndarray:
    while len(tiles) % columns:
        tiles.append(np.zeros_like(tiles[0]))
    return np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])
