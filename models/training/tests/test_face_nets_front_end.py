"""The front-end's pre- and post-processing on analytic cases; no network runs here."""

import numpy as np
import pytest

from face_nets.chip import (
    SIZE,
    TEMPLATE_LANDMARKS,
    chip_similarity,
    extract_chip,
    fit_similarity,
    pixel_transform,
    scale_of,
    template_points,
)
from face_nets.detector import (
    FULL_RANGE,
    SHORT_RANGE,
    Detection,
    Letterbox,
    decode,
    intersection_over_union,
    weighted_suppression,
)
from face_nets.landmarks import INPUT_SIZE, Region, region_of_detection, region_of_landmarks, to_photo
from face_nets.warp import after_box_filter, box_filter, warp

IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])


def ramp(height: int, width: int) -> np.ndarray:
    """An image whose two channels are x and y of its pixels."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x, y], 2).astype(np.float64)


def similarity(scale: float, angle: float, shift: tuple[float, float]) -> np.ndarray:
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])


def moved(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ transform[:, :2].T + transform[:, 2]


def test_the_identity_warp_copies_the_image():
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    np.testing.assert_array_equal(warp(image, IDENTITY, 7, 5, replicate=False), image)


def test_a_warp_samples_where_its_transform_says():
    transform = similarity(0.7, 0.3, (6.0, 3.0))
    found = warp(ramp(20, 20), transform, 8, 9, replicate=False)
    np.testing.assert_allclose(found.reshape(-1, 2), moved(transform, ramp(9, 8).reshape(-1, 2)), atol=1e-12)


@pytest.mark.parametrize(("replicate", "expected"), [(False, [0, 5, 10, 5, 0]), (True, [10] * 5)])
def test_outside_is_zero_or_the_border_pixel(replicate, expected):
    image = np.full((1, 2, 1), 10.0)
    transform = np.array([[1, 0, -1.5], [0, 1, 0]])
    found = warp(image, transform, 5, 1, replicate=replicate)[0, :, 0]
    np.testing.assert_allclose(found, expected)


def test_the_box_filter_averages_squares_and_drops_the_rest():
    image = ramp(5, 7)
    np.testing.assert_array_equal(box_filter(image, 2), ramp(2, 3) * 2 + 0.5)


def test_a_transform_keeps_its_place_in_the_shrunk_image():
    image, transform = ramp(40, 40), similarity(3.1, 0.2, (9.0, 5.0))
    direct = warp(image, transform, 6, 6, replicate=False)
    shrunk = warp(box_filter(image, 3), after_box_filter(transform, 3), 6, 6, replicate=False)
    np.testing.assert_allclose(shrunk, direct, atol=1e-9)


@pytest.mark.parametrize(("model", "count"), [(SHORT_RANGE, 896), (FULL_RANGE, 2304)])
def test_anchor_counts(model, count):
    anchors = model.anchors()
    assert anchors.shape == (count, 2)
    assert ((anchors > 0) & (anchors < 1)).all()


def test_anchors_run_through_rows_of_cells_and_repeat_in_each_cell():
    anchors = SHORT_RANGE.anchors()
    np.testing.assert_allclose(anchors[:4], [[1 / 32, 1 / 32]] * 2 + [[3 / 32, 1 / 32]] * 2)
    np.testing.assert_allclose(anchors[32], [1 / 32, 3 / 32])
    np.testing.assert_allclose(anchors[512:518], [[1 / 16, 1 / 16]] * 6)
    np.testing.assert_allclose(anchors[-1], [15 / 16, 15 / 16])


def test_decoding_adds_the_anchor_and_drops_unlikely_answers():
    regressors = np.zeros((2, 16))
    regressors[0, :4] = [12.8, -6.4, 25.6, 12.8]
    regressors[0, 4:] = np.tile([0, 6.4], 6)
    boxes, keypoints, scores = decode(regressors, np.array([0.0, -0.1]), np.full((2, 2), 0.5), 128)
    np.testing.assert_allclose(boxes, [[0.5, 0.4, 0.7, 0.5]])
    np.testing.assert_allclose(keypoints, [[[0.5, 0.55]] * 6])
    np.testing.assert_allclose(scores, [0.5])


def test_overlapping_boxes_become_their_weighted_mean_and_others_stay():
    boxes = np.array([[0.6, 0.6, 0.8, 0.8], [0.1, 0.1, 0.3, 0.3], [0.13, 0.1, 0.33, 0.3]])
    keypoints = np.stack([np.full((6, 2), value) for value in (0.7, 0.2, 0.26)])
    first, second = weighted_suppression(boxes, keypoints, np.array([0.7, 0.8, 0.4]))
    assert (first.score, second.score) == (0.8, 0.7)
    np.testing.assert_allclose(first.box, [0.11, 0.1, 0.31, 0.3])
    np.testing.assert_allclose(first.keypoints, 0.22)
    np.testing.assert_allclose(second.box, boxes[0])


def test_no_likely_answer_is_no_face():
    assert weighted_suppression(np.zeros((0, 4)), np.zeros((0, 6, 2)), np.zeros(0)) == []


def test_intersection_over_union():
    box = np.array([0.0, 0, 2, 2])
    others = np.array([[0.0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]])
    np.testing.assert_allclose(intersection_over_union(box, others), [1, 1 / 3, 0])


def test_the_letterbox_is_centred_and_black_outside():
    photo = np.full((50, 100, 3), 200, np.uint8)
    letterbox = Letterbox.around(photo)
    np.testing.assert_array_equal(letterbox.corner, [0, -25])
    crop = letterbox.crop(photo, 100)
    assert (crop[:25] == 0).all() and (crop[75:] == 0).all() and (crop[25:75] == 200).all()
    np.testing.assert_array_equal(letterbox.to_photo(np.array([0.5, 0.5])), [50, 25])


def test_a_regions_crop_is_centred_and_turned():
    region = Region(np.array([40.0, 60.0]), 96.0, np.pi / 2)
    transform = region.transform(INPUT_SIZE)
    half = INPUT_SIZE / 2
    np.testing.assert_allclose(moved(transform, np.array([half, half])), [40, 60], atol=1e-9)
    np.testing.assert_allclose(moved(transform, np.array([half + 2, half])), [40, 61], atol=1e-9)


def test_landmarks_go_back_to_where_the_crop_was_taken():
    region = Region(np.array([40.0, 60.0]), 96.0, 0.6)
    crop_points = np.random.default_rng(0).uniform(0, INPUT_SIZE, (10, 3))
    found = to_photo(crop_points, region)
    np.testing.assert_allclose(found[:, :2], moved(region.transform(INPUT_SIZE), crop_points[:, :2]), atol=1e-9)
    np.testing.assert_allclose(found[:, 2], crop_points[:, 2] * 0.5)


def test_regions_are_half_again_the_longer_side_and_level_with_the_eyes():
    keypoints = np.zeros((6, 2))
    keypoints[1] = [3, 3]
    region = region_of_detection(Detection(1.0, np.array([10.0, 20, 50, 40]), keypoints))
    np.testing.assert_allclose([*region.centre, region.side, region.angle], [30, 30, 60, np.pi / 4])

    points = np.zeros((478, 3))
    points[0, :2], points[1, :2] = [10, 20], [50, 40]
    points[2:468, :2], points[468:, :2] = [30, 30], [500, 500]
    points[33, :2], points[263, :2] = [20, 30], [20, 35]
    region = region_of_landmarks(points)
    np.testing.assert_allclose([*region.centre, region.side, region.angle], [30, 30, 60, np.pi / 2])


def test_a_similarity_is_recovered_exactly():
    expected = similarity(1.7, -0.8, (30.0, -4.0))
    points = np.random.default_rng(0).normal(size=(5, 2)) * 20
    np.testing.assert_allclose(fit_similarity(points, moved(expected, points)), expected, atol=1e-10)


def test_a_fitted_similarity_has_the_least_squared_error():
    random = np.random.default_rng(1)
    points, target = random.normal(size=(2, 6, 2))
    fitted = fit_similarity(points, target)
    a, b, shift = fitted[0, 0], fitted[1, 0], fitted[:, 2]

    def error(a: float, b: float, x: float, y: float) -> float:
        return float(((moved(np.array([[a, -b, x], [b, a, y]]), points) - target) ** 2).sum())

    least = error(a, b, *shift)
    for step in np.vstack([np.eye(4), -np.eye(4)]) * 1e-3:
        assert error(*(np.array([a, b, *shift]) + step)) > least


def test_the_chips_template_is_found_in_a_face_that_is_the_template():
    expected = similarity(0.9, 0.25, (100.0, 80.0))
    points = np.zeros((478, 3))
    points[list(TEMPLATE_LANDMARKS), :2] = moved(expected, template_points())
    np.testing.assert_allclose(chip_similarity(points), expected, atol=1e-9)


@pytest.mark.parametrize("scale", [0.4, 1.0, 1.7, 3.3])
def test_chip_pixels_are_centred_and_span_one_photo_pixel_less_than_the_chip(scale):
    wanted = similarity(scale, 0.3, (50.0, 70.0))
    assert scale_of(wanted) == pytest.approx(scale)
    transform = pixel_transform(wanted)
    middle = (SIZE - 1) / 2
    np.testing.assert_allclose(moved(transform, np.full(2, middle)), moved(wanted, np.full(2, SIZE / 2)), atol=1e-9)
    ends = moved(transform, np.array([[0, middle], [SIZE - 1, middle]]))
    assert np.hypot(*(ends[1] - ends[0])) == pytest.approx(SIZE * scale - 1)


@pytest.mark.parametrize("scale", [1.5, 3.4])
def test_a_chip_shows_the_photo_in_place_whether_it_is_shrunk_first_or_not(scale):
    wanted = similarity(scale, 0.1, (60.0, 20.0))
    chip = extract_chip(ramp(640, 640), wanted)
    expected = moved(pixel_transform(wanted), ramp(SIZE, SIZE).reshape(-1, 2))
    np.testing.assert_allclose(chip.reshape(-1, 2), expected, atol=1e-9)
