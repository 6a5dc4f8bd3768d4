"""Figures of shape: alignment and regression against cases with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fitdiff.learning import metrics
from fitdiff.learning.shape_figures import regress, shape_figures


def test_alignment_removes_scale_rotation_and_place() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(4, 200, 3))
    turned = np.stack([1.3 * Rotation.random(rng=rng).apply(head) + rng.normal(size=3) for head in truth])
    assert metrics.aligned_vertex_error(turned, truth) == pytest.approx(np.zeros(4), abs=1e-9)


def test_alignment_does_not_mirror() -> None:
    truth = np.random.default_rng(2).normal(size=(1, 200, 3))
    assert metrics.aligned_vertex_error(truth * [-1.0, 1.0, 1.0], truth)[0] > 100


def test_alignment_keeps_what_is_left() -> None:
    # Corners of a cube moved in and out by turns: no similarity transform makes up for any of it.
    cube = np.stack(np.meshgrid([-1.0, 1.0], [-1.0, 1.0], [-1.0, 1.0]), -1).reshape(1, 8, 3)
    moved = cube * (1 + 0.01 * np.sign(cube.prod(-1, keepdims=True)))
    assert metrics.aligned_vertex_error(moved, cube)[0] == pytest.approx(1e3 * 0.01 * np.sqrt(3), rel=1e-3)


def test_regression_finds_a_linear_map_under_noise() -> None:
    rng = np.random.default_rng(3)
    people = rng.normal(size=(2000, 1, 16))
    values = people[:, 0] @ rng.normal(size=(16, 5)) + 2.0
    views = people + 0.01 * rng.normal(size=(2000, 2, 16))
    predicted = regress(views[100:], values[100:], views[:100, 0])
    assert np.abs(predicted - values[:100]).max() < 0.05 * np.abs(values).max()


def test_size_counts_only_without_alignment() -> None:
    mean_head = np.random.default_rng(4).normal(size=(300, 3))
    directions = np.stack([mean_head * 0.1, np.roll(mean_head, 1, axis=0) * 0.1], -1)
    truth, other = np.array([[1.0, 0.0]]), np.array([[0.0, 0.0]])
    figures = shape_figures(other, truth, truth, directions, mean_head)
    assert figures["shape error"][0] > 100
    assert figures["aligned shape error"][0] == pytest.approx(0, abs=1e-9)
    assert figures["shape error of a regression"][0] == 0
