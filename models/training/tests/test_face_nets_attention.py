"""The attention mesh's custom operators against their definition in numpy, and the merge into 478 landmarks."""

import numpy as np
import onnxruntime
import pytest

from face_nets.landmark_merge import merge_order, refined_landmarks
from face_nets.tflite_model import Operator, Tensor, TfliteModel, UnsupportedModel
from face_nets.tflite_onnx import convert

PATCH = 16
MAP = 48
SCALE = 1.5
SUBSET = (7, 20, 300, 467)
CORNERS = np.array([[-6, -4], [6, -4], [6, 4], [-6, 4]], np.float64)


def attention_model() -> TfliteModel:
    """Landmarks -> patch transform; features and transform -> patch; patch points and transform -> map points."""
    tensors = (
        Tensor("landmarks", (1, 468, 3)),
        Tensor("features", (1, MAP, MAP, 2)),
        Tensor("points", (1, 5, 2)),
        Tensor("transform", (1, 4, 4)),
        Tensor("patch", (1, PATCH, PATCH, 2)),
        Tensor("moved", (1, 5, 2)),
    )
    size = {"output_width": PATCH, "output_height": PATCH}
    box = {
        "subset_idxs": list(SUBSET),
        "left_rotation_idx": 100,
        "right_rotation_idx": 101,
        "scale_x": SCALE,
        "scale_y": SCALE,
        "target_rotation_radians": 0.0,
    }
    operators = (
        Operator("Landmarks2TransformMatrix", (0,), (3,), box | size),
        Operator("TransformTensorBilinear", (1, 3), (4,), size),
        Operator("TransformLandmarks", (2, 3), (5,)),
    )
    return TfliteModel(tensors, operators, (0, 1, 2), (4, 5))


def run(centre: tuple[float, float], angle: float, features: np.ndarray, points: np.ndarray) -> list[np.ndarray]:
    """Patch [16, 16, 2] and moved points [5, 2] for a 12x8 box of landmarks turned by `angle` about `centre`."""
    rotation = turn(angle)
    landmarks = np.zeros((1, 468, 3), np.float32)
    landmarks[0, list(SUBSET), :2] = CORNERS @ rotation.T + centre
    landmarks[0, 100, :2] = rotation @ [-3, 1] + centre
    landmarks[0, 101, :2] = rotation @ [2, 1] + centre
    data = convert(attention_model(), "test").SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    feeds = {
        "landmarks": landmarks,
        "features": features.transpose(2, 0, 1)[None].astype(np.float32),
        "points": points[None].astype(np.float32),
    }
    patch, moved = session.run(["patch", "moved"], feeds)
    return [patch[0].transpose(1, 2, 0), moved[0]]


def turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def expected_position(patch_points: np.ndarray, centre: tuple[float, float], angle: float) -> np.ndarray:
    """Map position of patch points: the patch covers the 12x8 box grown by 1.5, turned and centred."""
    return (patch_points / PATCH - 0.5) * np.array([12, 8]) * SCALE @ turn(angle).T + centre


@pytest.mark.parametrize("angle", [0.0, 0.4, -1.2, 3.0])
def test_patch_points_land_in_the_turned_and_grown_box(angle):
    points = np.array([[0, 0], [16, 0], [16, 16], [8, 8], [3, 11]], np.float64)
    _, moved = run((25, 22), angle, np.zeros((MAP, MAP, 2)), points)
    np.testing.assert_allclose(moved, expected_position(points, (25, 22), angle), atol=1e-4)


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_a_patch_samples_the_map_at_half_pixel_centres(angle):
    rows, columns = np.mgrid[0:MAP, 0:MAP]
    patch, _ = run((24, 23), angle, np.stack([columns, rows], 2), np.zeros((5, 2)))
    y, x = np.mgrid[0:PATCH, 0:PATCH] + 0.5
    expected = expected_position(np.stack([x, y], 2).reshape(-1, 2), (24, 23), angle) - 0.5
    np.testing.assert_allclose(patch.reshape(-1, 2), expected, atol=1e-3)


def test_a_patch_is_zero_as_soon_as_it_leaves_the_map():
    patch, _ = run((1, 24), 0.0, np.ones((MAP, MAP, 2)), np.zeros((5, 2)))
    x = expected_position(np.stack([np.arange(PATCH) + 0.5, np.zeros(PATCH)], 1), (1, 24), 0.0)[:, 0] - 0.5
    assert (x < 0).any()
    np.testing.assert_allclose(patch[8, :, 0], (x >= 0).astype(float), atol=1e-5)


def test_refined_parts_replace_their_landmarks_and_irises_follow():
    rows = merge_order([[5, 7], [1], [2]])
    assert rows.shape == (478,)
    assert [rows[5], rows[7], rows[1], rows[2]] == [468, 469, 470, 471]
    np.testing.assert_array_equal(rows[468:], np.arange(472, 482))
    untouched = np.setdiff1d(np.arange(468), [1, 2, 5, 7])
    np.testing.assert_array_equal(rows[untouched], untouched)


def test_the_model_itself_says_which_landmarks_are_refined():
    def patch(first: int, landmarks: list[int]) -> Operator:
        return Operator("Landmarks2TransformMatrix", (), (), {"left_rotation_idx": first, "subset_idxs": landmarks})

    operators = (patch(362, [263, 249]), patch(61, [61, 146]), patch(33, [33, 7]))
    model = TfliteModel((), operators, (), ())
    assert refined_landmarks(model) == ([61, 146], [33, 7], [263, 249])
    with pytest.raises(UnsupportedModel, match="expected patches turned by landmarks"):
        refined_landmarks(TfliteModel((), operators[:2], (), ()))
