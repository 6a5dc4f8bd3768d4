"""The template head for the runtime: ``template.bin`` and its description in the manifest.

The file is a sequence of arrays; the description (stored under ``"template"`` in ``bundle.json``)
names each array's offset, type and shape. All numbers are little-endian, arrays are C-contiguous
and start at multiples of 16 bytes. With N vertices, T triangles and K components:

====================== ========= ==============================================================
positions              f32       [N, 3] mean head, metres
triangles              u16       [T, 3] counter-clockwise from outside
uv                     f32       [N, 2] origin top-left
basis_f16              f16       [K16, N, 3] leading components of the shape basis, stored scaled
basis_i8               i8        [K - K16, N, 3] the other components, stored scaled
basis_scale            f32       [K] metres per stored unit, at one standard deviation
sigma                  f32       [K] standard deviations (decimetres, weighted norm; information)
blendshape_start       u32       [53] first entry of each blendshape in the two arrays below
blendshape_vertices    u16       [E]
blendshape_offsets     f16       [E, 3] metres at weight 1
landmark_triangles     u16       [478]
landmark_bary          f32       [478, 3]
masks_png              u8        PNG, 512², RGB: red chart, green skin, blue face
====================== ========= ==============================================================

``vertices(code, weights) = positions + sum_k code[k] * basis_scale[k] * basis[k]
+ sum_j weights[j] * blendshape_j``, where ``code`` is whitened (unit variance per component).
Components are whole meshes one after the other, so that a shorter code reads only the front.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fitdiff.errors import TemplateError
from fitdiff.faces.expressions import ARKIT_NAMES
from fitdiff.faces.head_model import HeadModel, load_head_model, store_atomically
from fitdiff.faces.masks import head_masks, masks_png
from fitdiff.faces.shape_basis import ShapeBasis, load_shape_basis
from fitdiff.faces.template_mesh import (
    build_parts,
    expression_offsets,
    eye_description,
    join_vertices,
    landmark_points,
)

FILE_NAME = "template.bin"
DESCRIPTION_NAME = "template.json"
VERSION = 1
METRES = 0.1
"""Metres per decimetre."""

ALIGNMENT = 16
F16_COMPONENTS = 32
"""Leading components stored as f16; the others move no vertex by more than a millimetre: 8 bits do."""

MASK_SIZE = 512
SMALLEST_OFFSET = 2e-5
"""Blendshape offsets below this many metres are left out."""

_DTYPES: dict[str, np.dtype] = {"f32": np.dtype("<f4"), "f16": np.dtype("<f2"), "i8": np.dtype("i1"),
           "u8": np.dtype("u1"),
           "u16": np.dtype("<u2"), "u32": np.dtype("<u4")}  # fmt: skip

FRAME = (
    "metres, Y up, the face looks to +Z, right-handed, origin between the mean head's ears at eye height; left is the "
    "person's left, +X; the faces of all shapes are brought together by similarity transforms"
)


@dataclass(frozen=True)
class Template:
    """A template head read back, lengths in metres.

    Attributes:
        positions: float32 [N, 3], mean head.
        triangles: int64 [T, 3]. uv: float32 [N, 2], origin top-left.
        basis: float32 [K, N, 3], metres per standard deviation.
        blendshapes: float32 [52, N, 3] in the order of ``blendshape_names``.
        landmark_triangles: int64 [478]; landmark_bary: float32 [478, 3].
        masks: "chart", "skin", "face" → bool [512, 512].
        parts: name → (vertex slice, triangle slice).
    """

    positions: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    basis: np.ndarray
    blendshapes: np.ndarray
    blendshape_names: list[str]
    landmark_triangles: np.ndarray
    landmark_bary: np.ndarray
    masks: dict[str, np.ndarray]
    parts: dict[str, tuple[slice, slice]]

    def vertices(self, code: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Whitened code [K] and blendshape weights [52] → positions [N, 3], metres."""
        out = self.positions + np.tensordot(code, self.basis[: len(code)], 1)
        return out if weights is None else out + np.tensordot(weights, self.blendshapes, 1)

    def landmarks(self, vertices: np.ndarray) -> np.ndarray:
        """Landmarks [478, 3] of a head's vertices [N, 3]."""
        corners = vertices[self.triangles[self.landmark_triangles]]
        return (corners * self.landmark_bary[..., None]).sum(1)


def write_template(root: Path, folder: Path) -> dict:
    """Build the template from a MakeHuman folder; write ``template.bin`` and ``template.json``.

    ``template.json`` holds the returned description, to be copied into the bundle's manifest.
    """
    model = load_head_model(root)
    description, content = pack_template(model, load_shape_basis(model))
    store_atomically(Path(folder) / FILE_NAME, content)
    store_atomically(Path(folder) / DESCRIPTION_NAME, (json.dumps(description, indent=1) + "\n").encode())
    return description


def pack_template(model: HeadModel, basis: ShapeBasis) -> tuple[dict, bytes]:
    """Return the description and the file's bytes."""
    parts = build_parts(model, basis.mean)
    mean = join_vertices(parts, basis.mean) * METRES
    flat = basis.directions.reshape(len(basis.directions), -1).astype(float)
    components = np.concatenate([(p.operator @ flat.T).T.reshape(len(flat), -1, 3) for p in parts], 1) * METRES
    peak = np.abs(components).max((1, 2))
    scale = np.where(np.arange(len(peak)) < F16_COMPONENTS, peak, peak / 127)
    stored = components / scale[:, None, None]
    starts = np.cumsum([0] + [len(p.uv) for p in parts])
    triangles = np.concatenate([p.triangles + start for p, start in zip(parts, starts, strict=False)])
    offsets = expression_offsets(model, parts, basis.mean) * METRES
    moved = [np.flatnonzero(np.abs(shape).max(1) > SMALLEST_OFFSET) for shape in offsets]
    landmark_triangles, bary = landmark_points(parts)
    arrays = {
        "positions": ("f32", mean),
        "triangles": ("u16", triangles),
        "uv": ("f32", np.concatenate([p.uv for p in parts])),
        "basis_f16": ("f16", stored[:F16_COMPONENTS]),
        "basis_i8": ("i8", np.rint(stored[F16_COMPONENTS:])),
        "basis_scale": ("f32", scale),
        "sigma": ("f32", basis.sigma),
        "blendshape_start": ("u32", np.cumsum([0] + [len(m) for m in moved])),
        "blendshape_vertices": ("u16", np.concatenate(moved)),
        "blendshape_offsets": ("f16", np.concatenate([o[m] for o, m in zip(offsets, moved, strict=True)])),
        "landmark_triangles": ("u16", landmark_triangles),
        "landmark_bary": ("f32", bary),
        "masks_png": ("u8", np.frombuffer(masks_png(head_masks(model, MASK_SIZE)), np.uint8)),
    }
    sections, content = _pack(arrays)
    triangle_starts = np.cumsum([0] + [len(p.triangles) for p in parts])
    description = {
        "file": {"path": FILE_NAME, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
        "version": VERSION,
        "frame": FRAME,
        "vertices": int(starts[-1]),
        "triangles": len(triangles),
        "components": len(scale),
        "parts": [
            {"name": p.name, "material": p.material, "vertices": [int(starts[i]), len(p.uv)],
             "triangles": [int(triangle_starts[i]), len(p.triangles)]}
            for i, p in enumerate(parts)
        ],
        "eyes": eye_description(),
        "blendshapes": list(ARKIT_NAMES),
        "sections": sections,
    }  # fmt: skip
    return description, content


def load_template(path: Path, description: dict | None = None) -> Template:
    """Read a template.

    Args:
        path: ``template.bin``, or the folder that holds it and ``template.json``.
        description: the manifest's entry; read from ``template.json`` beside the file if absent.

    Raises:
        TemplateError: a file is missing, or does not match the description.
    """
    path = Path(path)
    if path.is_dir():
        path = path / FILE_NAME
    try:
        if description is None:
            description = json.loads(path.with_name(DESCRIPTION_NAME).read_text())
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise TemplateError(f"{error.filename} does not exist; run 'python -m fitdiff template'") from None
    found = hashlib.sha256(content).hexdigest()
    expected = description["file"]["sha256"]
    if found != expected:
        raise TemplateError(f"{path}: expected sha256 {expected}, found {found}; write the template again")
    arrays = {name: _section(content, entry, path, name) for name, entry in description["sections"].items()}
    scale = arrays["basis_scale"]
    basis = np.concatenate([arrays["basis_f16"].astype(np.float32), arrays["basis_i8"].astype(np.float32)])
    count = description["vertices"]
    blendshapes = np.zeros((len(description["blendshapes"]), count, 3), np.float32)
    start = arrays["blendshape_start"]
    for j in range(len(blendshapes)):
        entries = slice(start[j], start[j + 1])
        blendshapes[j, arrays["blendshape_vertices"][entries]] = arrays["blendshape_offsets"][entries]
    picture = np.asarray(Image.open(io.BytesIO(arrays["masks_png"].tobytes())))
    return Template(
        positions=arrays["positions"],
        triangles=arrays["triangles"].astype(np.int64),
        uv=arrays["uv"],
        basis=basis * scale[:, None, None],
        blendshapes=blendshapes,
        blendshape_names=description["blendshapes"],
        landmark_triangles=arrays["landmark_triangles"].astype(np.int64),
        landmark_bary=arrays["landmark_bary"],
        masks={name: picture[..., i] > 127 for i, name in enumerate(("chart", "skin", "face"))},
        parts={
            p["name"]: tuple(slice(p[key][0], p[key][0] + p[key][1]) for key in ("vertices", "triangles"))
            for p in description["parts"]
        },
    )


def _pack(arrays: dict[str, tuple[str, np.ndarray]]) -> tuple[dict, bytes]:
    sections, content = {}, bytearray()
    for name, (dtype, values) in arrays.items():
        content += b"\0" * (-len(content) % ALIGNMENT)
        typed = np.ascontiguousarray(values, _DTYPES[dtype])
        if dtype.startswith("u") and values.size and int(values.max()) > np.iinfo(_DTYPES[dtype]).max:
            raise TemplateError(f"{name}: {int(values.max())} does not fit {dtype}")
        sections[name] = {"offset": len(content), "dtype": dtype, "shape": list(typed.shape)}
        content += typed.tobytes()
    return sections, bytes(content)


def _section(content: bytes, entry: dict, path: Path, name: str) -> np.ndarray:
    dtype, shape = _DTYPES[entry["dtype"]], entry["shape"]
    size = int(np.prod(shape)) * dtype.itemsize
    if entry["offset"] + size > len(content):
        raise TemplateError(f"{path}: section {name} ends at {entry['offset'] + size}, the file at {len(content)}")
    return np.frombuffer(content, dtype, int(np.prod(shape)), entry["offset"]).reshape(shape)
