"""The template head's file, its landmarks, and where landmarks fall in photos."""

import json

import numpy as np
import pytest
from faces_support import BUNDLE, generator, head_model, needs_source, small_basis
from scipy.spatial import cKDTree

from fitdiff.errors import TemplateError
from fitdiff.faces.expressions import ARKIT_NAMES
from fitdiff.faces.landmarks import landmark_mirror, skin_landmarks
from fitdiff.faces.neck_cut import cut_below, height_above_neckline
from fitdiff.faces.selfie import neutral_view
from fitdiff.faces.template import _pack, _section, load_template, pack_template


def test_packed_arrays_read_back(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "a": ("f32", rng.normal(size=(3, 5))),
        "b": ("u16", rng.integers(0, 65536, 7)),
        "c": ("i8", rng.integers(-127, 128, (2, 2))),
        "d": ("f16", np.zeros((0, 3))),
    }
    sections, content = _pack(arrays)
    assert all(entry["offset"] % 16 == 0 for entry in sections.values())
    for name, (_, values) in arrays.items():
        np.testing.assert_allclose(_section(content, sections[name], tmp_path, name), values, rtol=1e-6)


def test_a_number_that_does_not_fit_is_refused():
    with pytest.raises(TemplateError, match="70000 does not fit u16"):
        _pack({"triangles": ("u16", np.array([70000]))})


def test_landmark_table_is_complete_and_its_mirror_is_an_involution():
    triangles, bary = skin_landmarks()
    assert triangles.shape == (468,) and bary.shape == (468, 3)
    assert (bary >= 0).all() and np.allclose(bary.sum(1), 1, atol=1e-4)
    mirror = landmark_mirror()
    assert (mirror[mirror] == np.arange(468)).all()


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A template with a small basis, written and read back, and its folder."""
    folder = tmp_path_factory.mktemp("template")
    description, content = pack_template(head_model(), small_basis())
    (folder / "template.bin").write_bytes(content)
    (folder / "template.json").write_text(json.dumps(description))
    return load_template(folder), folder


@needs_source
def test_the_template_reproduces_the_model_it_was_packed_from(template):
    template, _ = template
    model, basis = head_model(), small_basis()
    code = np.random.default_rng(3).normal(size=40)
    expected = (model.topology.subdivide @ basis.decode(code))[model.uv_map.source] / 10
    vertices, _ = template.parts["skin"]
    skin = template.vertices(code)[vertices]
    whole = cKDTree(expected).query(skin)[0] < 1e-4
    cut = template.positions[vertices][~whole]
    assert whole.mean() > 0.98, "vertices stay where they are, metres"
    assert len(cut) and (np.abs(height_above_neckline(10 * cut)) < 1e-3).all(), "but for those of the cut neck"
    height = height_above_neckline((model.topology.subdivide @ basis.mean)[model.uv_map.source])
    assert cKDTree(skin).query(expected[height > 0])[0].max() < 1e-4, "nothing is lost above the neckline"


@needs_source
def test_the_neck_ends_evenly(template):
    template, _ = template
    vertices, triangles = template.parts["skin"]
    points = np.round(template.positions[vertices], 7)
    _, welded = np.unique(points, axis=0, return_inverse=True)
    faces = welded.ravel()[template.triangles[triangles]]
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
    edges, uses = np.unique(edges, axis=0, return_counts=True)
    assert uses.max() == 2
    place = np.zeros((welded.max() + 1, 3))
    place[welded.ravel()] = points
    rim = edges[(uses == 1) & (place[edges[:, 0], 1] < -0.1)]
    assert (np.bincount(rim.ravel(), minlength=len(place))[np.unique(rim)] == 2).all(), "one closed line"
    height = height_above_neckline(10 * place[np.unique(rim)]) / 10
    assert np.abs(height).max() < 1e-3, "within a millimetre of the neckline"


def test_cutting_a_square_leaves_the_part_above():
    """Two triangles, cut at a quarter of their height; areas, places and order are known."""
    points = np.array([[0.0, 0.0], [1, 0], [1, 1], [0, 1], [0, 2]])
    triangles = np.array([[3, 2, 4], [0, 1, 2], [0, 2, 3]])
    rows, cut, renumbered = cut_below(points[:, 1] - 0.25, triangles)
    left = rows @ points
    a, b, c = (left[cut[:, i]] for i in range(3))
    area = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    assert (area > 0).all() and np.isclose(area.sum(), 0.75 + 0.5), "the winding stays"
    assert left[:, 1].min() == 0.25 and renumbered.tolist() == [0, -1, -1]
    assert np.allclose(left[cut[0]], points[triangles[0]])
    on_line = cut_below(np.array([0.0, 0.0, 1.0]), np.array([[0, 1, 2]]))
    assert on_line[1].tolist() == [[0, 1, 2]] and on_line[0].shape == (3, 3), "what ends on the line is whole"


@needs_source
def test_the_template_stands_upright_in_metres_and_faces_forward(template):
    template, _ = template
    vertices, _ = template.parts["skin"]
    skin = template.positions[vertices]
    assert 0.22 < np.ptp(skin[:, 1]) < 0.32
    landmarks = template.landmarks(template.positions)
    nose, left_eye, right_eye, chin = landmarks[1], landmarks[473], landmarks[468], landmarks[152]
    assert nose[2] > 0.1 and abs(nose[0]) < 1e-3
    assert left_eye[0] > 0.02 > -0.02 > right_eye[0]
    assert abs(left_eye[1]) < 0.003 and chin[1] < -0.08


@needs_source
def test_landmarks_are_mirror_symmetric_on_the_mean_head(template):
    template, _ = template
    skin = template.landmarks(template.positions)[:468]
    assert np.abs(skin[landmark_mirror()] * [-1, 1, 1] - skin).max() < 2e-3


@needs_source
def test_eye_corners_and_nose_base_lie_where_the_anatomy_says(template):
    template, _ = template
    model, basis = head_model(), small_basis()
    landmarks = template.landmarks(template.positions)
    smooth = (model.topology.subdivide @ basis.mean)[: model.topology.skin_count] / 10
    for landmark, name in ((263, "ex_l"), (362, "en_l"), (33, "ex_r"), (133, "en_r"), (2, "sn")):
        distance = np.linalg.norm(landmarks[landmark] - smooth[model.anatomy.points[name]])
        assert distance < 0.008, (landmark, name, distance)


@needs_source
def test_eyes_turn_with_their_blendshapes_and_skin_blinks(template):
    template, _ = template
    weights = np.zeros(52)
    weights[ARKIT_NAMES.index("eyeLookOutLeft")] = 1
    moved = template.landmarks(template.vertices(np.zeros(40), weights)) - template.landmarks(template.positions)
    assert moved[473, 0] > 0.004 and abs(moved[468]).max() < 1e-6
    weights[:] = 0
    weights[ARKIT_NAMES.index("eyeBlinkLeft")] = 1
    moved = template.landmarks(template.vertices(np.zeros(40), weights)) - template.landmarks(template.positions)
    assert moved[386, 1] < -0.005, "the upper lid closes"
    assert np.abs(moved[374]).max() < 0.002, "the lower lid stays"


@needs_source
def test_the_open_jaw_parts_the_inner_lips(template):
    template, _ = template
    weights = np.zeros(52)
    weights[ARKIT_NAMES.index("jawOpen")] = 1
    landmarks = template.landmarks(template.vertices(np.zeros(40), weights))
    for upper, lower in ((13, 14), (81, 178), (311, 402)):
        assert landmarks[upper, 1] - landmarks[lower, 1] > 0.008, (upper, lower)
    closed = template.landmarks(template.positions)
    assert abs(closed[13, 1] - closed[14, 1]) < 0.004


@needs_source
def test_a_damaged_template_is_refused(template):
    _, folder = template
    content = bytearray((folder / "template.bin").read_bytes())
    content[1000] ^= 1
    broken = folder / "broken"
    broken.mkdir()
    (broken / "template.bin").write_bytes(content)
    (broken / "template.json").write_text((folder / "template.json").read_text())
    with pytest.raises(TemplateError, match="expected sha256"):
        load_template(broken)
    with pytest.raises(TemplateError, match="does not exist"):
        load_template(folder / "nowhere")


@needs_source
@pytest.mark.skipif(not (BUNDLE / "face_mesh_478.onnx").exists(), reason="models/base has no face networks")
def test_projected_landmarks_agree_with_the_landmark_network():
    from face_nets.detector import SHORT_RANGE, FaceDetector
    from face_nets.landmarks import FaceMesh, region_of_detection, region_of_landmarks

    made, size = generator(), 256
    detector, mesh = FaceDetector(BUNDLE, SHORT_RANGE), FaceMesh(BUNDLE)
    errors = []
    for seed in (2_000_000, 2_000_003):
        person = made.person(seed)
        view = neutral_view(0, size, 10.0)
        photo = made.photo(person, view, 0, size)
        truth = made.landmarks(person, view, photo, size)
        region = region_of_detection(detector.detect(photo.image)[0])
        found = mesh.locate(photo.image, region_of_landmarks(mesh.locate(photo.image, region).points))
        between_eyes = np.linalg.norm(truth[263] - truth[33])
        errors.append(np.linalg.norm(found.points[:, :2] + 0.5 - truth, axis=1) / between_eyes)
    assert np.median(errors) < 0.05
    assert np.percentile(errors, 95) < 0.15
