"""Reads MediaPipe's canonical face mesh: the average face that its 468 landmarks lie on.

The mesh is part of a `GeometryPipelineMetadata` protocol buffer (MediaPipe, face_geometry). Only the few wire types and
fields that the mesh needs are read.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

WIRE_VARINT = 0
WIRE_BYTES = 2
WIRE_FLOAT = 5
"""Wire types of the protocol buffer encoding that occur in the file."""

METADATA_MESH = 1
METADATA_PROCRUSTES = 2
"""Field numbers of `GeometryPipelineMetadata`: `canonical_mesh`, `procrustes_landmark_basis`."""

MESH_VERTEX_BUFFER = 3
MESH_INDEX_BUFFER = 4
"""Field numbers of `Mesh3d`: `vertex_buffer` (x, y, z, u, v for each vertex), `index_buffer` (triangles)."""

BASIS_LANDMARK = 1
BASIS_WEIGHT = 2
"""Field numbers of `WeightedLandmarkRef`: `landmark_id`, `weight`."""

FLOATS_PER_VERTEX = 5

Value = int | float | bytes


@dataclass(frozen=True)
class CanonicalMesh:
    """The average face.

    `vertices` float32 [468, 3]: centimetres, Y up, the face looks to +Z. `uv` float32 [468, 2]: origin top left.
    `triangles` int32 [898, 3]. `procrustes_landmarks` int64 [33] and `procrustes_weights` float64 [33]: the landmarks
    by which MediaPipe aligns the mesh with a face.
    """

    vertices: np.ndarray
    uv: np.ndarray
    triangles: np.ndarray
    procrustes_landmarks: np.ndarray
    procrustes_weights: np.ndarray

    def to_obj(self) -> str:
        """Wavefront OBJ, whose texture coordinates have their origin bottom left."""
        lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in self.vertices]
        lines += [f"vt {u:.6f} {1 - v:.6f}" for u, v in self.uv]
        lines += ["f " + " ".join(f"{i}/{i}" for i in triangle) for triangle in self.triangles + 1]
        return "\n".join(lines) + "\n"


def read_canonical_mesh(data: bytes) -> CanonicalMesh:
    """Parses a serialised `GeometryPipelineMetadata`. Raises `ValueError` if it holds no mesh."""
    metadata = list(_fields(data))
    meshes = [value for number, value in metadata if number == METADATA_MESH and isinstance(value, bytes)]
    if len(meshes) != 1:
        raise ValueError(f"expected one canonical mesh, found {len(meshes)}")
    mesh = list(_fields(meshes[0]))
    vertices = np.array([value for number, value in mesh if number == MESH_VERTEX_BUFFER], np.float32)
    indices = np.array([value for number, value in mesh if number == MESH_INDEX_BUFFER], np.int32)
    vertices = vertices.reshape(-1, FLOATS_PER_VERTEX)
    basis = [
        dict(_fields(value)) for number, value in metadata if number == METADATA_PROCRUSTES and isinstance(value, bytes)
    ]
    return CanonicalMesh(
        vertices=vertices[:, :3],
        uv=vertices[:, 3:],
        triangles=indices.reshape(-1, 3),
        procrustes_landmarks=np.array([reference[BASIS_LANDMARK] for reference in basis], np.int64),
        procrustes_weights=np.array([reference[BASIS_WEIGHT] for reference in basis], np.float64),
    )


def _fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """(field number, value) of every field of one message, in file order."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire_type = key >> 3, key & 7
        if wire_type == WIRE_VARINT:
            value, position = _varint(data, position)
            yield number, value
        elif wire_type == WIRE_BYTES:
            length, position = _varint(data, position)
            yield number, data[position : position + length]
            position += length
        elif wire_type == WIRE_FLOAT:
            yield number, struct.unpack_from("<f", data, position)[0]
            position += 4
        else:
            raise ValueError(f"byte {position}: no reader for wire type {wire_type}")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """An unsigned integer, seven bits per byte, lowest first, and the offset after it."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
