"""The networks on the test photos: the committed reference, and what must hold for any right answer."""

import json
from pathlib import Path

import numpy as np
import pytest

from face_nets.chip import chip_similarity, extract_chip
from face_nets.landmarks import region_of_detection, region_of_landmarks
from face_nets.photos import PHOTOS, load_photo
from face_nets.reference import FrontEnd, reference, to_json

REPOSITORY = Path(__file__).parents[3]
BUNDLE = REPOSITORY / "models/base"
SELFIES = REPOSITORY / "assets/selfies"

TOLERANCE = 1e-4
"""For scores, angles and descriptors."""

PIXEL_TOLERANCE = 2e-3
"""For positions. Other kernels of ONNX Runtime (another CPU) move the second pass's landmarks by up to 1e-4 pixels."""

POSITIONS = ("box", "keypoints", "centre", "side", "landmarks", "similarity", "pixel_transform")


@pytest.fixture(scope="module")
def front_end() -> FrontEnd:
    return FrontEnd(BUNDLE)


@pytest.fixture(scope="module")
def committed() -> dict:
    return json.loads((REPOSITORY / "tests/reference/faces.json").read_text(encoding="utf-8"))


def embed(front_end: FrontEnd, photo: np.ndarray) -> np.ndarray:
    """The descriptor of the photo's most certain face."""
    detection = front_end.short_range.detect(photo)[0]
    face = front_end.mesh.locate(photo, region_of_detection(detection))
    face = front_end.mesh.locate(photo, region_of_landmarks(face.points))
    return front_end.recogniser.describe(extract_chip(photo, chip_similarity(face.points)))


def assert_close(found, expected, path: str) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for key in expected:
            assert_close(found[key], expected[key], f"{path}/{key}")
    elif isinstance(expected, list) and isinstance(expected[0], dict):
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_close(one, other, f"{path}/{number}")
    elif isinstance(expected, str):
        assert found == expected, path
    else:
        tolerance = PIXEL_TOLERANCE if path.rsplit("/", 1)[1] in POSITIONS else TOLERANCE
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance, err_msg=path)


def test_the_committed_reference_is_what_the_networks_give(committed):
    regenerated = reference(BUNDLE, SELFIES)
    for part in ("networks", "photos"):
        assert_close(regenerated[part], committed[part], part)


def test_the_json_layout_keeps_every_value(committed):
    assert to_json(committed) == (REPOSITORY / "tests/reference/faces.json").read_text(encoding="utf-8")


def test_the_detectors_and_the_mesh_agree_on_the_eyes(committed):
    for photo in committed["photos"]:
        points = np.array(photo["second_pass"]["landmarks"])
        eyes = np.stack([points[[33, 133], :2].mean(0), points[[362, 263], :2].mean(0)])
        for name in ("detection", "full_range_detection"):
            left, _, right, _ = photo[name]["box"]
            distance = np.linalg.norm(np.array(photo[name]["keypoints"][:2]) - eyes, axis=1)
            assert distance.max() < 0.1 * (right - left), (photo["file"], name)


def test_irises_lie_in_their_eyes(committed):
    for photo in committed["photos"]:
        points = np.array(photo["second_pass"]["landmarks"])[:, :2]
        for iris, corners in ((468, (33, 133)), (473, (362, 263))):
            middle, width = points[list(corners)].mean(0), np.linalg.norm(np.subtract(*points[list(corners)]))
            assert np.linalg.norm(points[iris] - middle) < width / 3, photo["file"]


def test_a_mirrored_photo_is_the_same_person_and_the_other_photo_is_not(front_end):
    photos = [load_photo(SELFIES / photo.file) for photo in PHOTOS]
    first, second = (embed(front_end, photo) for photo in photos)
    for photo, descriptor in zip(photos, (first, second), strict=True):
        assert np.linalg.norm(embed(front_end, photo[:, ::-1]) - descriptor) < 0.3
    assert np.linalg.norm(first - second) > 0.6


def test_a_photo_without_a_face_is_an_error(front_end):
    with pytest.raises(ValueError, match="short-range detector found no face"):
        front_end.describe(np.zeros((64, 64, 3), np.uint8))
