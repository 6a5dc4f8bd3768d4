"""The iris reader: where it looks, that it learns colours under any light, and its graph."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from learning_support import toy_config

from fitdiff.export.check import check_forward
from fitdiff.export.onnx_export import IRIS_INPUTS, IRIS_OUTPUTS, export_module, iris_example
from fitdiff.export.weights import store_half
from fitdiff.faces.dataset import srgb_decode, srgb_encode
from fitdiff.faces.irises import IRIS_COLOURS
from fitdiff.learning.iris_reader import EYES, GRID, IrisReader, srgb_to_linear
from fitdiff.learning.train_iris import recoloured, seen_eyes, train_iris_reader

PEOPLE = 150
SIZE = 150

pytestmark = pytest.mark.usefixtures("one_thread")


def _places(rng: np.random.Generator) -> np.ndarray:
    """Landmarks [478,2] of a face of which only the eyes matter, turned a little."""
    places = np.zeros((478, 2), np.float32)
    turn = rng.uniform(-0.2, 0.2)
    along = np.array([np.cos(turn), np.sin(turn)])
    for sign, (centre, outer, inner) in zip((-1, 1), EYES, strict=True):
        middle = np.array([75.0, 60.0]) + sign * 19 * along
        places[centre] = middle + rng.normal(size=2)
        places[outer], places[inner] = middle + sign * 12 * along, middle - sign * 12 * along
    return places


def _photo(rng: np.random.Generator, places: np.ndarray, iris: np.ndarray) -> np.ndarray:
    """A chip uint8 [3,150,150]: skin, whites and irises in a light of its own."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    light = np.exp(0.3 * rng.normal() + 0.1 * rng.normal(size=3))
    colour = np.tile((rng.uniform(0.2, 0.5) * np.array([1.0, 0.65, 0.5]))[:, None, None], (1, SIZE, SIZE))
    for centre, outer, inner in EYES:
        x, y = places[[outer, inner]].mean(0)
        colour[:, np.hypot((columns - x) / 12, (rows - y) / 6) < 1] = np.array([[0.45], [0.42], [0.40]])
        x, y = places[centre]
        colour[:, np.hypot(columns - x, rows - y) < 5] = iris[:, None]
    return np.rint(255 * srgb_encode(colour * light[:, None, None])).astype(np.uint8)


def _people() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    iris = IRIS_COLOURS[rng.integers(len(IRIS_COLOURS), size=PEOPLE)]
    places = np.stack([_places(rng) for _ in range(PEOPLE)])
    chips = np.stack([_photo(rng, *pair) for pair in zip(places, iris, strict=True)])
    return chips[:, None], places[:, None], iris


@pytest.fixture(scope="module")
def trained() -> IrisReader:
    """A reader that was trained on toy photos."""
    config = dataclasses.replace(toy_config().iris, batch=32, steps=400)
    return train_iris_reader(config, *_people()).eval()


def test_the_curve_is_that_of_the_standard() -> None:
    encoded = np.linspace(0, 1, 101)
    found = srgb_to_linear(torch.from_numpy(encoded))
    np.testing.assert_allclose(found, srgb_decode(encoded), atol=1e-7)


def test_it_looks_around_the_irises_along_the_eyes() -> None:
    reader = IrisReader(IRIS_COLOURS)
    rows, columns = np.mgrid[:SIZE, :SIZE] / (SIZE - 1)
    chip = torch.from_numpy(np.stack([columns, rows, 0 * rows])[None]).float()
    places = np.zeros((1, 478, 2), np.float32)
    for (centre, outer, inner), x, sign in zip(EYES, (50, 100), (-1, 1), strict=True):
        places[0, [centre, outer, inner]] = [(x, 60), (x + 10 * sign, 60), (x - 10 * sign, 60)]
    seen = srgb_encode(reader.eyes(chip, torch.from_numpy(places)).numpy()) * (SIZE - 1)
    assert seen.shape == (1, 2, 3, *GRID)
    middle = [side // 2 for side in GRID]
    for eye, x in enumerate((50, 100)):
        np.testing.assert_allclose(seen[0, eye, :2, middle[0], middle[1]], [x, 60], atol=1e-3)
        # Rows go down in both eyes, columns from the outer corner to the inner one.
        np.testing.assert_allclose(seen[0, eye, 1, :, 3], 60 + np.linspace(-6, 6, GRID[0]), atol=1e-3)
        inwards = np.linspace(-10.4, 10.4, GRID[1]) * (1 if eye == 0 else -1)
        np.testing.assert_allclose(seen[0, eye, 0, 4], x + inwards, atol=1e-3)


def test_other_cameras_keep_range_and_change_colours() -> None:
    eyes = torch.rand(40, 2, 3, *GRID, generator=torch.Generator().manual_seed(0))
    other = recoloured(eyes, torch.Generator().manual_seed(1))
    assert other.shape == eyes.shape and 0 <= other.min() and other.max() <= 1
    assert (other - eyes).abs().mean() > 0.02


@torch.no_grad()
def test_it_learns_colours_under_any_light(trained: IrisReader) -> None:
    chips, places, iris = _people()
    unseen = slice(int(0.9 * PEOPLE), None)
    found = trained.logarithm(seen_eyes(trained, chips[unseen, 0], places[unseen, 0]))
    error = (found - torch.from_numpy(np.log(iris[unseen])).float()).square().mean()
    spread = np.log(iris).var(0).mean()
    assert error < 0.25 * spread, f"{error} of {spread}"
    # A stronger, warmer light changes little.
    warm = srgb_encode(srgb_decode(chips[unseen, 0] / 255) * np.array([1.1, 0.85, 0.65])[:, None, None])
    again = trained.logarithm(seen_eyes(trained, np.rint(255 * warm).astype(np.uint8), places[unseen, 0]))
    assert (again - found).abs().mean() < 0.1


@torch.no_grad()
def test_whatever_it_sees_it_answers_with_a_human_colour(trained: IrisReader) -> None:
    chip = torch.rand(50, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) ** 4
    places = torch.from_numpy(np.stack([_places(np.random.default_rng(seed)) for seed in range(50)]))
    found = trained(chip, places).numpy()
    assert np.all(found >= IRIS_COLOURS.min(0) - 1e-6) and np.all(found <= IRIS_COLOURS.max(0) + 1e-6)


def test_the_graph_is_the_module(tmp_path: Path, trained: IrisReader) -> None:
    graph = export_module(trained, iris_example(), IRIS_INPUTS, IRIS_OUTPUTS, "iris_reader")
    assert {node.domain for node in graph.graph.node} == {""}, "operators of the standard domain only"
    path = tmp_path / "iris_reader.onnx"
    onnx.save(store_half(graph), path)
    assert set(check_forward(path, trained, iris_example(), IRIS_INPUTS, IRIS_OUTPUTS)) == set(IRIS_OUTPUTS)
