"""Subdivision, topology, texture layout, shape basis and expressions."""

import numpy as np
import pytest
from faces_support import generator, head_model, needs_source, small_basis

from fitdiff.errors import SourceDataError
from fitdiff.faces.expressions import ARKIT_NAMES
from fitdiff.faces.makehuman import MakeHumanData
from fitdiff.faces.shape_basis import face_shares, without_motion
from fitdiff.faces.subdivision import catmull_clark, triangulate, vertex_normals

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
CUBE_QUADS = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])


def grid(n):
    """A flat n × n grid of quads."""
    y, x = np.mgrid[0:n, 0:n]
    index = np.arange(n * n).reshape(n, n)
    quads = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], -1).reshape(-1, 4)
    return np.stack([x, y, 0 * x], -1).reshape(-1, 3).astype(float), quads


def test_a_subdivided_cube_has_the_published_points():
    smooth, quads, _ = catmull_clark(8, CUBE_QUADS)
    points = smooth @ CUBE
    assert len(points) == 8 + 12 + 6 and len(quads) == 24
    # Catmull and Clark's rules by hand: corners 5/9, edge points 3/4, face points 1.
    np.testing.assert_allclose(np.abs(points[:8]), 5 / 9)
    assert np.allclose(np.sort(np.abs(points[8:20]), 1), [0, 0.75, 0.75])
    assert np.allclose(np.sort(np.abs(points[20:]), 1), [0, 0, 1])


def test_subdivision_of_a_flat_grid_stays_flat_and_covers_the_same_interior():
    points, quads = grid(6)
    smooth, new_quads, linear = catmull_clark(len(points), quads)
    assert np.allclose((smooth @ points)[:, 2], 0)
    assert np.allclose(np.asarray(smooth.sum(1)), 1) and np.allclose(np.asarray(linear.sum(1)), 1)
    normals = vertex_normals(smooth @ points, triangulate(new_quads))
    assert np.allclose(np.abs(normals[:, 2]), 1)


def test_subdivision_preserves_mirror_symmetry():
    points, quads = grid(5)
    points = points - [2, 0, 0]
    points[:, 2] = points[:, 0] ** 2 + 0.3 * points[:, 1]
    smooth, _, _ = catmull_clark(len(points), quads)
    fine = smooth @ points
    mirrored = {tuple(p) for p in np.round(fine * [-1, 1, 1], 9) + 0.0}
    assert mirrored == {tuple(p) for p in np.round(fine, 9) + 0.0}


def test_a_missing_source_folder_says_what_to_do(tmp_path):
    with pytest.raises(SourceDataError, match="faces fetch"):
        MakeHumanData(tmp_path)


def test_a_corrupt_target_names_its_file(tmp_path):
    folder = tmp_path / "targets"
    folder.mkdir()
    data = MakeHumanData.__new__(MakeHumanData)
    data.root = tmp_path
    data.__dict__["target_paths"] = {"broken": folder / "broken.target"}
    (folder / "broken.target").write_text("# comment\n12 0.1 0.2 oops\n")
    with pytest.raises(SourceDataError, match=r"broken\.target"):
        data.target("broken")


@needs_source
def test_the_skin_is_mirror_symmetric_after_subdivision():
    topology = head_model().topology
    fine = topology.subdivide @ topology.rest
    rounded = {tuple(p) for p in np.round(fine, 5) + 0.0}
    mirrored = {tuple(p) for p in np.round(fine * [-1, 1, 1], 5) + 0.0}
    assert len(rounded ^ mirrored) < 0.01 * len(fine)


@needs_source
def test_the_texture_layout_has_no_flips_and_covers_the_square():
    uv_map = head_model().uv_map
    corners = uv_map.uv[uv_map.triangles]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2
    assert (area > 0).all()
    assert 0.88 < area.sum() < 0.93
    assert uv_map.uv.min() >= 0 and uv_map.uv.max() <= 1


@needs_source
def test_the_texture_layout_does_not_overlap():
    model = head_model()
    from fitdiff.faces.raster import rasterize_uv

    triangle, _ = rasterize_uv(model.uv_map.uv, model.uv_map.triangles, 512)
    corners = model.uv_map.uv[model.uv_map.triangles]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / 2
    # If triangles overlapped, they would cover fewer texels than their areas sum to.
    assert abs((triangle >= 0).mean() - area) < 0.002


@needs_source
def test_decoding_a_code_restores_a_head_of_the_model_in_any_place_and_size():
    basis = small_basis()
    code = np.random.default_rng(0).normal(size=40)
    head = basis.decode(code)
    turn = np.array([[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 1]])
    again = basis.encode(1.3 * head @ turn.T + [3, -2, 1])
    # Alignment removes a little of what components of a few people hold.
    assert np.abs(again - basis.encode(head)).max() < 1e-3
    error = np.linalg.norm(basis.decode(again) - basis.align(head), axis=1)
    assert error.mean() * 100 < 0.1, "mean error in millimetres"


@needs_source
def test_decoded_heads_have_their_faces_in_one_place():
    basis = small_basis()
    codes = np.random.default_rng(1).normal(size=(8, 40))
    face = np.flatnonzero(basis.face)

    def motion(heads: np.ndarray) -> float:
        """Mean distance on the face, in millimetres, that bringing heads to the mean's face moves them by."""
        return 100 * np.mean([np.linalg.norm(basis.align(head) - head, axis=1)[face].mean() for head in heads])

    as_wholes = [basis.mean + np.tensordot(code * basis.sigma, basis.components, 1) for code in codes]
    assert motion([basis.decode(code) for code in codes]) < 0.1 < 1 < motion(as_wholes)
    # The same faces, 2 to 4 mm from the mean's, but for what the first order leaves out.
    for code, head in zip(codes, as_wholes, strict=True):
        assert 100 * np.linalg.norm(basis.align(head) - basis.decode(code), axis=1)[face].mean() < 0.4


@needs_source
def test_the_face_is_what_the_mask_shows():
    model = head_model()
    share, rest = face_shares(model), model.topology.rest[: model.topology.skin_count]
    assert share.shape == (len(rest),) and share.min() == 0 and share.max() == 1
    assert share[rest[:, 2].argmax()] == 1, "the tip of the nose"
    ears, nape, crown = np.abs(rest[:, 0]) > 0.8, rest[:, 2] < 0.3, rest[:, 1] > 8.3
    assert ears.any() and nape.any() and crown.any() and not share[ears | nape | crown].any()
    assert np.abs(share - share[model.topology.mirror[: len(rest)]]).mean() < 0.01


def test_moves_turns_and_growth_are_taken_out_and_nothing_else():
    rng = np.random.default_rng(2)
    vertices, weights = rng.normal(size=(30, 3)), rng.uniform(size=20)
    own = without_motion(rng.normal(size=(1, 30, 3)), vertices, weights)
    turn, move, growth = rng.normal(size=3), rng.normal(size=3), 0.7
    moved = own + np.cross(turn, vertices) + move + growth * vertices
    np.testing.assert_allclose(without_motion(moved, vertices, weights), own, atol=1e-12)


@needs_source
def test_more_components_reconstruct_better():
    basis = small_basis()
    geometry = generator().geometry
    head = basis.align(geometry.person(2_000_001))
    code = basis.encode(head)
    errors = [np.linalg.norm(basis.decode(code[:k]) - head, axis=1).mean() for k in (1, 5, 15, 40)]
    assert errors == sorted(errors, reverse=True)


@needs_source
def test_blendshapes_are_apples_52_and_zero_weights_change_nothing():
    expressions = head_model().expressions
    assert expressions.shape[0] == len(ARKIT_NAMES) == len(set(ARKIT_NAMES)) == 52
    assert np.abs(np.tensordot(np.zeros(52), expressions, 1)).max() == 0
    silent = [name for name, shape in zip(ARKIT_NAMES, expressions, strict=True) if np.abs(shape).max() < 1e-3]
    assert silent == []


@needs_source
def test_left_and_right_blendshapes_mirror_each_other():
    model = head_model()
    for name in ARKIT_NAMES:
        if name.endswith("Left"):
            left = model.expressions[ARKIT_NAMES.index(name)]
            right = model.expressions[ARKIT_NAMES.index(name[:-4] + "Right")]
            np.testing.assert_allclose(left[model.topology.mirror] * [-1, 1, 1], right, atol=1e-6, err_msg=name)


@needs_source
def test_mouth_close_seals_the_open_jaw():
    model = head_model()
    both = sum(model.expressions[ARKIT_NAMES.index(name)] for name in ("jawOpen", "mouthClose"))
    loop = model.anatomy.mouth_loop
    # All of the inner lip margin moves as one: the lips touch as they do at rest.
    assert np.ptp(both[loop], axis=0).max() < 1e-3
