"""Held-out photos and the truth behind them: alignment with the bundle's template, cameras, repeatability."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from faces_support import BUNDLE, SOURCE, needs_source
from PIL import Image

from fitdiff.cli import main
from fitdiff.errors import DatasetError
from fitdiff.faces.dataset import SEED_RANGES, srgb_decode
from fitdiff.faces.expressions import ARKIT_NAMES
from fitdiff.faces.numerics import rotation
from fitdiff.faces.renderer import Camera
from fitdiff.learning.heldout import (
    CANDIDATES,
    MAP_SIZE,
    HeldOutSpec,
    HeldOutWriter,
    bundle_template,
    stored_albedo,
    template_pose,
    write_heldout,
)
from fitdiff.learning.metrics import ITA_BINS

SPEC = HeldOutSpec(seed=5, size=256)
PHOTOS = {"selfie": "image", "other": "other_image"}

needs_bundle = pytest.mark.skipif(
    not (BUNDLE / "template.bin").exists(), reason="models/base has no template head and face networks"
)


def test_candidates_are_held_out_and_no_two_people_share_one():
    people = [list(SPEC.candidates(index)) for index in (0, 1, 2, 3000)]
    assert all(len(seeds) == CANDIDATES for seeds in people)
    together = sum(people, [])
    assert len(set(together)) == len(together)
    assert set(together) <= set(SEED_RANGES["test"])
    assert list(SPEC.candidates(1)) == people[1] != list(HeldOutSpec(seed=6).candidates(1))


def test_the_pose_sees_the_aligned_head_where_the_camera_sees_the_head():
    rng = np.random.default_rng(0)
    head, pivot = rng.normal(size=(50, 3)), np.array([0.1, 0.2, 0.3])
    camera = Camera(12.0, -7.0, 3.0, 40.0, 5.0, (0.1, -0.2))
    aligned = (head + [1.0, 2.0, 3.0]) @ rotation(1.0, 2.0, -3.0) * 1.1
    turn, shift = template_pose(camera, pivot, head, aligned)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(
        camera.to_pixels(aligned @ turn.T + shift, 256)[:, :2],
        camera.to_pixels(camera.to_camera(head, pivot), 256)[:, :2],
        atol=1e-8,
    )


def test_albedo_is_averaged_as_light():
    albedo = np.zeros((2 * MAP_SIZE, 2 * MAP_SIZE, 3))
    albedo[::2] = 2 * srgb_decode(128 / 255)
    assert (stored_albedo(albedo) == 128).all()


def test_the_command_line_refuses_a_negative_seed(tmp_path, capsys):
    assert main(["heldout", "--data", str(tmp_path), "--out", str(tmp_path), "--seed", "-1"]) == 2
    assert "--seed: expected 0" in capsys.readouterr().err


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A set of three people: folder, manifest, the bundle's template head."""
    folder = tmp_path_factory.mktemp("heldout")
    write_heldout(Path(SOURCE), BUNDLE, folder, SPEC, 3, processes=1, quiet=True)
    return folder, json.loads((folder / "manifest.json").read_text()), bundle_template(BUNDLE)[0]


def true_vertices(folder, entry):
    """The head at rest, [N, 3]."""
    return np.fromfile(folder / entry["files"]["vertices"], "<f4").reshape(-1, 3)


def projected_landmarks(template, vertices, photo, size):
    """Landmarks [478, 2] in pixels, from what the manifest says of a photo."""
    weights = np.array([photo["expression"].get(name, 0.0) for name in ARKIT_NAMES])
    points = template.landmarks(vertices + np.tensordot(weights, template.blendshapes, 1))
    x, y, z = np.array(photo["rotation"]) @ points.T + np.array(photo["translation"])[:, None]
    return size / 2 + photo["focal"] * np.stack([x / -z, y / z], 1)


@needs_source
@needs_bundle
def test_people_are_described_and_their_tones_take_turns(written):
    folder, manifest, template = written
    assert manifest["vertices"] == len(template.positions)
    people = manifest["people"]
    assert [entry["ita_bin"] for entry in people] == [name for name, _, _ in ITA_BINS[:3]]
    for entry, (_, low, high) in zip(people, ITA_BINS, strict=False):
        assert low <= entry["ita"] < high
        assert 10 <= abs(entry["other"]["yaw"]) <= 20
        assert entry["other"]["yaw"] * entry["selfie"]["yaw"] < 0
        assert entry["other"]["expression"] == {}
        for role in PHOTOS.values():
            assert Image.open(folder / entry["files"][role]).size == (SPEC.size, SPEC.size)
        assert Image.open(folder / entry["files"]["diffuse"]).size == (MAP_SIZE, MAP_SIZE)


@needs_source
@needs_bundle
def test_vertices_are_those_of_the_bundles_template_up_to_what_its_basis_leaves(written):
    folder, manifest, template = written
    face = np.fromfile(folder / manifest["face_vertices"], np.uint8) > 0
    skin, _ = template.parts["skin"]
    assert len(face) == len(template.positions) and not face[skin.stop :].any() and 5000 < face.sum() < 9000
    basis = template.basis[:, face].reshape(len(template.basis), -1).T
    for entry in manifest["people"]:
        offset = (true_vertices(folder, entry) - template.positions)[face]
        code = np.linalg.lstsq(basis, offset.ravel())[0]
        residual = np.linalg.norm(offset - (basis @ code).reshape(-1, 3), axis=1).mean()
        assert residual < 0.6e-3 < np.linalg.norm(offset, axis=1).mean()
        assert np.sqrt(np.mean(code**2)) < 5, "a plausible head"


@needs_source
@needs_bundle
def test_true_landmarks_fall_on_the_face_that_the_landmark_network_finds(written):
    from face_nets.detector import SHORT_RANGE, FaceDetector
    from face_nets.landmarks import FaceMesh, region_of_detection, region_of_landmarks

    folder, manifest, template = written
    detector, mesh = FaceDetector(BUNDLE, SHORT_RANGE), FaceMesh(BUNDLE)
    errors = []
    for entry in manifest["people"]:
        for name, role in PHOTOS.items():
            image = np.asarray(Image.open(folder / entry["files"][role]))
            truth = projected_landmarks(template, true_vertices(folder, entry), entry[name], SPEC.size)
            assert truth.min() > 0 and truth.max() < SPEC.size
            assert entry[name]["face_height"] == pytest.approx(np.ptp(truth[:468, 1]), rel=0.03)
            region = region_of_detection(detector.detect(image)[0])
            found = mesh.locate(image, region_of_landmarks(mesh.locate(image, region).points))
            between_eyes = np.linalg.norm(truth[263] - truth[33])
            errors.append(np.linalg.norm(found.points[:, :2] + 0.5 - truth, axis=1) / between_eyes)
    assert np.median(errors) < 0.05
    assert np.percentile(errors, 95) < 0.2


@needs_source
@needs_bundle
def test_a_person_does_not_depend_on_the_run(written, tmp_path):
    folder, manifest, template = written
    writer = HeldOutWriter(Path(SOURCE), BUNDLE, SPEC)
    entry = writer.write(tmp_path, 1)
    assert json.loads(json.dumps(entry)) == manifest["people"][1]
    for name in entry["files"].values():
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name
    person = writer.find_person(1)
    _, _, exact = writer.other(person, writer.selfie(person)[0])
    own = projected_landmarks(template, true_vertices(folder, entry), entry["other"], SPEC.size)
    np.testing.assert_allclose(own[:468], exact[:468], atol=0.05)


@needs_source
@needs_bundle
def test_a_second_run_writes_only_what_is_missing(written):
    folder, manifest, _ = written
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    content = (folder / "001_other.png").read_bytes()
    os.unlink(folder / "001_other.png")
    write_heldout(Path(SOURCE), BUNDLE, folder, SPEC, 2, processes=1, quiet=True)
    assert (folder / "001_other.png").read_bytes() == content
    assert all((folder / name).stat().st_mtime_ns == before[name] for name in ("000.png", "002.png"))
    assert json.loads((folder / "manifest.json").read_text()) == manifest


@needs_source
@needs_bundle
def test_another_set_in_the_folder_is_not_mixed_with(written):
    with pytest.raises(DatasetError, match="holds another held-out set"):
        write_heldout(Path(SOURCE), BUNDLE, written[0], HeldOutSpec(seed=6, size=256), 1, quiet=True)
