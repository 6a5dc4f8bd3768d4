"""The canonical mesh's reader, against a protocol buffer written out by hand."""

import struct

import numpy as np
import pytest

from face_nets.canonical_mesh import read_canonical_mesh

VERTICES = np.array([[0, -3.5, 6, 0.25, 0.75], [1, 2, 3, 0.5, 0.125], [-1, 0, 2, 0, 1]], np.float32)


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def real(field: int, value: float) -> bytes:
    return varint(field << 3 | 5) + struct.pack("<f", value)


def message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def metadata() -> bytes:
    mesh = number(1, 0) + number(2, 0)
    mesh += b"".join(real(3, value) for value in VERTICES.ravel())
    mesh += b"".join(number(4, index) for index in (0, 1, 2, 2, 1, 300))
    basis = [message(2, number(1, landmark) + real(2, weight)) for landmark, weight in ((4, 0.5), (362, 0.25))]
    return message(1, mesh) + b"".join(basis)


def test_vertices_uv_triangles_and_alignment_weights_are_read():
    mesh = read_canonical_mesh(metadata())
    np.testing.assert_array_equal(mesh.vertices, VERTICES[:, :3])
    np.testing.assert_array_equal(mesh.uv, VERTICES[:, 3:])
    np.testing.assert_array_equal(mesh.triangles, [[0, 1, 2], [2, 1, 300]])
    np.testing.assert_array_equal(mesh.procrustes_landmarks, [4, 362])
    np.testing.assert_array_equal(mesh.procrustes_weights, [0.5, 0.25])


def test_obj_counts_from_one_and_has_its_texture_origin_at_the_bottom():
    lines = read_canonical_mesh(metadata()).to_obj().splitlines()
    assert lines[0] == "v 0.000000 -3.500000 6.000000"
    assert lines[3] == "vt 0.250000 0.250000"
    assert lines[-1] == "f 3/3 2/2 301/301"


def test_metadata_without_a_mesh_is_refused():
    with pytest.raises(ValueError, match="expected one canonical mesh, found 0"):
        read_canonical_mesh(message(2, number(1, 4)))
