"""The regressor: what it makes of landmarks, that it learns what features tell, and its graph."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from learning_support import toy_config
from scipy.spatial.transform import Rotation

from fitdiff.export.check import check_forward
from fitdiff.export.onnx_export import REGRESSOR_INPUTS, REGRESSOR_OUTPUTS, export_module, regressor_example
from fitdiff.export.weights import store_half
from fitdiff.learning.photo_features import normalised_landmarks, pooled, recoloured
from fitdiff.learning.regressor import KINDS, Projection, Regressor, RegressorSizes, principal_directions
from fitdiff.learning.train_regressor import RegressorData, RegressorTraining, reduced, reduced_mask
from fitdiff.learning.trainer import Runtime

PEOPLE, PHOTOS, COLOURINGS, SHAPE = 120, 2, 2, 6
LENGTHS = {"descriptor": 128, "blk2": 800, "blk6": 1600, "blk9": 2048}

pytestmark = pytest.mark.usefixtures("one_thread")


def test_pose_size_and_place_are_taken_out_of_landmarks() -> None:
    rng = np.random.default_rng(0)
    template = 0.05 * rng.normal(size=(478, 3))
    own = template + 0.002 * rng.normal(size=template.shape)
    turn = Rotation.from_rotvec([0.1, -0.6, 0.2])
    photo = 900 * turn.apply(own) * [1, -1, -1] + [320, 200, 50]
    offsets, rotation = normalised_landmarks(photo, template)
    expected, _ = normalised_landmarks(own * [1, -1, -1], template)
    np.testing.assert_allclose(offsets, expected, atol=1e-12)
    assert np.abs(offsets).max() < 0.01
    # What little the offsets themselves turn the head is in both.
    np.testing.assert_allclose(rotation, [0.1, -0.6, 0.2], atol=2e-3)


def test_activations_are_averaged_over_their_grid() -> None:
    activations = {
        "blk2": torch.arange(35 * 35, dtype=torch.float32).reshape(1, 1, 35, 35),
        "blk6": torch.ones(1, 64, 17, 17),
        "blk9": torch.ones(1, 128, 8, 8),
    }
    found = pooled(activations)
    rows, columns = np.mgrid[0:35, 0:35]
    expected = (35 * rows + columns).reshape(5, 7, 5, 7).mean((1, 3)).ravel()
    np.testing.assert_allclose(found["blk2"][0], expected, rtol=1e-6)
    assert found["blk6"].shape == (1, 1600) and found["blk9"].shape == (1, 2048)


def test_another_camera_changes_colours_and_keeps_their_order() -> None:
    chip = np.linspace(0, 255, 150 * 150 * 3).reshape(150, 150, 3)
    other = recoloured(chip, np.random.default_rng(1))
    assert np.abs(other - chip).max() > 5
    assert 0 <= other.min() and other.max() <= 255
    assert np.all(np.diff(other[5:-5, 75].mean(1)) >= 0)


def test_other_cameras_sharpen_or_soften_and_some_know_no_colours() -> None:
    rng = np.random.default_rng(2)
    chip = 128 + 20 * rng.normal(size=(150, 150, 3)) + np.array([40, 0, -40])
    others = [recoloured(chip, rng) for _ in range(150)]
    grey = [np.ptp(other, axis=2).max() < 1e-6 for other in others]
    assert 0 < np.mean(grey) < 0.15
    detail = np.array([np.diff(other, axis=1).std() / other.mean() for other in others])
    before = np.diff(chip, axis=1).std() / chip.mean()
    assert (detail < 0.7 * before).any() and (detail > 1.3 * before).any()


def test_principal_directions_are_those_of_a_singular_value_decomposition() -> None:
    rng = np.random.default_rng(5)
    for shape in ((60, 20), (20, 60)):
        centred = rng.normal(size=shape) * np.geomspace(10, 0.1, shape[1])
        centred -= centred.mean(0)
        found, expected = principal_directions(centred, 4), np.linalg.svd(centred)[2][:4]
        np.testing.assert_allclose(np.abs(expected @ found), np.eye(4), atol=1e-6)


def test_projected_features_have_a_common_scale_and_a_greatest_length() -> None:
    rng = np.random.default_rng(2)
    features = (rng.normal(size=(500, 40)) * np.geomspace(100, 0.1, 40) + 7).astype(np.float32)
    projection = Projection.of(features, 10)
    projected = (features - projection.mean) @ projection.directions
    assert projected.var(0).sum() == pytest.approx(30, rel=1e-3)
    lengths = np.linalg.norm(projected, axis=1)
    assert 0.005 < np.mean(lengths > projection.radius) < 0.02


def test_features_far_outside_are_shortened() -> None:
    widths = {kind: (length, 4) for kind, length in LENGTHS.items()}
    sizes = widths | {"landmarks": (1434, 4), "rotation": (3, 3)}
    model = Regressor(RegressorSizes(sizes, SHAPE, 4, 16, hidden=16, estimators=1, refiner=(16, 16)))
    model.rotation_directions.copy_(torch.eye(3))
    features = {kind: torch.zeros(1, widths.get(kind, (1434, 0))[0]) for kind in KINDS} | {
        "rotation": torch.tensor([[30.0, 0.0, 40.0]])
    }
    found = model.project(features)[0]
    assert found.norm() == pytest.approx(1.0, rel=1e-3)
    assert found.abs().max() == pytest.approx(0.8, rel=1e-3)


def _training() -> tuple[RegressorTraining, np.ndarray]:
    """People whose shape is in their landmarks and whose tone is in their earliest activations."""
    rng = np.random.default_rng(3)
    shapes = rng.normal(size=(PEOPLE, SHAPE)).astype(np.float32)
    tone = rng.uniform(0.2, 0.8, PEOPLE)
    to_landmarks = 0.002 * rng.normal(size=(SHAPE, 478 * 3))

    def noisy(values: np.ndarray, noise: float) -> np.ndarray:
        return (values + noise * rng.normal(size=values.shape)).astype(np.float32)

    landmarks = np.repeat((shapes @ to_landmarks).reshape(PEOPLE, 1, 478, 3), PHOTOS, axis=1)
    features = {"landmarks": noisy(landmarks, 0.001), "rotation": noisy(np.zeros((PEOPLE, PHOTOS, 3)), 0.2)}
    for kind, length in LENGTHS.items():
        values = np.zeros((PEOPLE, PHOTOS, COLOURINGS, length))
        features[kind] = noisy(values + (tone[:, None, None, None] if kind == "blk2" else 0), 0.05)
    # Photos in which each face shows a stripe of its own on skin of any brightness.
    stripe = rng.uniform(-0.1, 0.1, PEOPLE)
    texture_places = rng.uniform(0.1, 0.9, (468, 2))
    places = np.tile(150 * np.pad(texture_places, ((0, 10), (0, 0))), (PEOPLE, PHOTOS, 1, 1))
    features["places"] = places.astype(np.float32)
    chip = np.tile(rng.uniform(0.3, 0.7, (PEOPLE, PHOTOS, 1, 1, 1)), (1, 1, 3, 150, 150))
    chip[..., 60:90, :] += stripe[:, None, None, None, None]
    features["chip"] = np.rint(255 * chip).astype(np.uint8)
    albedo = np.tile(tone[:, None, None, None], (1, 3, 128, 128))
    albedo[:, :, 51:77] += stripe[:, None, None, None]
    skin = np.zeros((128, 128), bool)
    skin[16:112, 16:112] = True
    config = dataclasses.replace(
        toy_config().regressor,
        components=12,
        albedo_components=1,
        hidden=32,
        estimators=3,
        batch=64,
        epochs=60,
        refiner_batch=8,
        refiner_steps=400,
    )
    data = RegressorData(
        features, shapes, np.rint(255 * albedo).astype(np.uint8), skin, skin, texture_places, np.eye(SHAPE)
    )
    return RegressorTraining(config, data, Runtime(torch.device("cpu"), mixed=False)), tone


@pytest.fixture(scope="module")
def trained() -> tuple[RegressorTraining, np.ndarray, Regressor]:
    training, tone = _training()
    return training, tone, training.run()


def test_it_learns_shape_and_albedo_and_knows_how_far_off_it_is(
    trained: tuple[RegressorTraining, np.ndarray, Regressor],
) -> None:
    training, tone, model = trained
    unseen = slice(training.training * training.per_person, None)
    repeat = training.person[unseen]
    projected = model.project({kind: torch.from_numpy(values) for kind, values in training.features.items()})
    shape, components = (values.detach() for values in model.regress(projected[unseen]))
    error = (shape - torch.from_numpy(training.data.shapes[repeat])).square().mean().sqrt()
    assert error < 0.5, "the shape's own deviation is 1"
    assert float(error) == pytest.approx(float(model.shape_deviation.square().mean().sqrt()), rel=1e-3)
    tones = model.diffuse(components)[:, :, 20, 20].mean(1)
    assert (tones - torch.from_numpy(tone[repeat])).square().mean().sqrt() < 0.08, "the tones' own deviation is 0.17"
    assert 0.01 < model.diffuse_deviation[0, 0, 40, 40] < 0.08


def test_it_reads_details_in_the_photo(trained: tuple[RegressorTraining, np.ndarray, Regressor]) -> None:
    training, _, model = trained
    features, found, expected = training.data.features, [], []
    for person in range(training.training, PEOPLE):
        own = [torch.from_numpy(features[name][person, :1]).float() for name in ("chip", "places", "rotation")]
        with torch.no_grad():
            grey = torch.full((1, 3, 64, 64), 0.5)
            albedo = model.refiner(model.unwrapping(own[0] / 255, own[1]), grey, own[2])
        found.append(float(albedo[0, 0, 55:72, 40:90].mean() - albedo[0, 0, 80:100, 40:90].mean()))
        truth = training.data.albedo[person, 0] / 255
        expected.append(truth[55:72, 40:90].mean() - truth[80:100, 40:90].mean())
    assert np.corrcoef(found, expected)[0, 1] > 0.75, "the stripe is in the photo alone"


def test_the_refiner_starts_from_what_was_not_trained_on(
    trained: tuple[RegressorTraining, np.ndarray, Regressor],
) -> None:
    training, _, model = trained
    projected = model.project({kind: torch.from_numpy(values) for kind, values in training.features.items()})
    folds = training.person[: training.training * training.per_person] % 3
    read = training._read_by_others(model, projected, folds)
    photo = 4 * PHOTOS
    row = projected[photo * COLOURINGS : photo * COLOURINGS + 1]
    with torch.no_grad():
        left_out = model.diffuse(model.split(model.estimators[4 % 3](row))[1])
    np.testing.assert_allclose(read[photo], left_out[0], atol=1e-3)
    assert len(read) == PEOPLE * PHOTOS


def test_training_again_gives_the_same(trained: tuple[RegressorTraining, np.ndarray, Regressor]) -> None:
    again = _training()[0].run().state_dict()
    for name, value in trained[2].state_dict().items():
        torch.testing.assert_close(value, again[name], rtol=0, atol=0)


def test_the_graph_is_the_module_and_a_state_dict_restores_it(
    tmp_path: Path, trained: tuple[RegressorTraining, np.ndarray, Regressor]
) -> None:
    model = Regressor.restore(trained[2].state_dict())
    example = regressor_example()
    graph = export_module(model, example, REGRESSOR_INPUTS, REGRESSOR_OUTPUTS, "regressor")
    assert {node.domain for node in graph.graph.node} == {""}, "operators of the standard domain only"
    path = tmp_path / "regressor.onnx"
    onnx.save(store_half(graph), path)
    errors = check_forward(path, model, example, REGRESSOR_INPUTS, REGRESSOR_OUTPUTS)
    assert set(errors) == set(REGRESSOR_OUTPUTS)


def test_reduced_maps_are_means_of_texels() -> None:
    maps = np.random.default_rng(4).integers(0, 256, (2, 3, 128, 128), dtype=np.uint8)
    found = reduced(maps, 64)
    assert found.shape == (2, 3, 64, 64)
    assert found[1, 2, 5, 7] == pytest.approx(maps[1, 2, 10:12, 14:16].mean())
    mask = np.zeros((128, 128), bool)
    mask[:, :3] = True
    assert reduced_mask(mask, 64)[:, :2].tolist() == [[True, False]] * 64
