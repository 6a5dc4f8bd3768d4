"""Reader of MakeHuman's base mesh, morph targets and face rig (CC0 1.0).

Expected layout, as in the folder ``makehuman/data`` of MakeHuman's sources::

    3dobjs/base.obj                    base mesh with helper geometry, decimetres, Y up
    targets/**/*.target                sparse morph targets, "vertex dx dy dz" per line
    poseunits/face-poseunits.{bvh,json}
    rigs/default.mhskel, rigs/default_weights.mhw

All lengths in this package's generator are MakeHuman's decimetres unless a name says otherwise;
they become metres where a file for the runtime is written.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from fitdiff.errors import SourceDataError

VERTEX_COUNT = 19158
"""Vertices of the base mesh; targets and rig weights index them."""

REQUIRED_FILES = (
    "3dobjs/base.obj",
    "poseunits/face-poseunits.bvh",
    "poseunits/face-poseunits.json",
    "rigs/default.mhskel",
    "rigs/default_weights.mhw",
)
REQUIRED_TARGET_FOLDERS = ("asym", "cheek", "chin", "ears", "expression/units", "eyebrows", "eyes",
                           "forehead", "head", "macrodetails", "mouth", "neck", "nose")  # fmt: skip
TARGET_COUNT = 498

ENVIRONMENT_VARIABLE = "FITDIFF_MAKEHUMAN"


@dataclass(frozen=True)
class BaseMesh:
    """MakeHuman's base mesh; all faces are quads.

    Attributes:
        positions: float64 [19158, 3], decimetres.
        quads: int [F, 4] vertex indices, counter-clockwise seen from outside.
        uv_quads: int [F, 4] indices into MakeHuman's own texture coordinates.
        groups: str [F], the face group ("body", "helper-l-eye" …).
        uv_count: number of MakeHuman's texture coordinates.
    """

    positions: np.ndarray
    quads: np.ndarray
    uv_quads: np.ndarray
    groups: np.ndarray
    uv_count: int


class MakeHumanData:
    """Opens and checks a source folder; parts are read when first used."""

    def __init__(self, root: Path):
        """Open ``root``: the data folder itself or one that holds ``makehuman/data``.

        Raises:
            SourceDataError: the folder or a required file is missing.
        """
        self.root = _find_root(Path(root))
        missing = [name for name in REQUIRED_FILES if not (self.root / name).is_file()]
        missing += [
            f"targets/{name}/" for name in REQUIRED_TARGET_FOLDERS if not (self.root / "targets" / name).is_dir()
        ]
        if missing:
            raise SourceDataError(
                f"{self.root} is not a complete MakeHuman data folder: missing {', '.join(missing[:4])}"
                f"{' …' if len(missing) > 4 else ''}; see 'python -m fitdiff faces fetch --help'"
            )

    @cached_property
    def base(self) -> BaseMesh:
        """The base mesh."""
        return _read_base(self.root / "3dobjs/base.obj")

    @cached_property
    def target_paths(self) -> dict[str, Path]:
        """Target name (path below ``targets`` without suffix) → file, sorted by name."""
        folder = self.root / "targets"
        paths = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.target")}
        if len(paths) < TARGET_COUNT:
            raise SourceDataError(f"{folder}: expected {TARGET_COUNT} targets of the head, found {len(paths)}")
        return dict(sorted(paths.items()))

    def target(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return one morph target as (vertex indices [n], offsets [n, 3] in decimetres)."""
        path = self.target_paths[name]
        try:
            rows = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
            table = np.array(rows, float).reshape(-1, 4)
        except ValueError as error:
            raise SourceDataError(f"{path} is corrupt: {error}") from None
        indices = table[:, 0].astype(int)
        if len(indices) and (indices.min() < 0 or indices.max() >= VERTEX_COUNT):
            raise SourceDataError(f"{path} is corrupt: a vertex index lies outside of 0…{VERTEX_COUNT - 1}")
        return indices, table[:, 1:]

    def read_json(self, name: str) -> dict:
        """Read one JSON file below the root."""
        path = self.root / name
        try:
            return json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise SourceDataError(f"{path} is corrupt: {error}") from None

    @cached_property
    def digest(self) -> str:
        """Hash over all files that the generator reads; equal digests give equal faces."""
        total = hashlib.sha256()
        for path in [self.root / name for name in REQUIRED_FILES] + list(self.target_paths.values()):
            total.update(path.relative_to(self.root).as_posix().encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
        return total.hexdigest()[:16]


def default_root() -> Path | None:
    """Folder named by the environment variable ``FITDIFF_MAKEHUMAN``, if set."""
    value = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(value) if value else None


def _find_root(root: Path) -> Path:
    candidates = (root, root / "data", root / "makehuman/data", root / "makehuman/makehuman/data")
    for candidate in candidates:
        if (candidate / "3dobjs").is_dir():
            return candidate
    raise SourceDataError(
        f"no MakeHuman data in {root} (looked for 3dobjs/base.obj there and in makehuman/data below it); "
        "see 'python -m fitdiff faces fetch --help'"
    )


def _read_base(path: Path) -> BaseMesh:
    positions, quads, uv_quads, groups = [], [], [], []
    group, uv_count = "", 0
    try:
        for line in path.read_text().splitlines():
            words = line.split()
            if not words:
                continue
            if words[0] == "v":
                positions.append([float(word) for word in words[1:4]])
            elif words[0] == "vt":
                uv_count += 1
            elif words[0] == "g":
                group = words[1]
            elif words[0] == "f":
                corners = [word.split("/") for word in words[1:]]
                quads.append([int(corner[0]) - 1 for corner in corners])
                uv_quads.append([int(corner[1]) - 1 for corner in corners])
                groups.append(group)
        mesh = BaseMesh(np.array(positions), np.array(quads), np.array(uv_quads), np.array(groups), uv_count)
    except (ValueError, IndexError) as error:
        raise SourceDataError(f"{path} is corrupt: {error}") from None
    if mesh.positions.shape != (VERTEX_COUNT, 3) or mesh.quads.ndim != 2 or mesh.quads.shape[1] != 4:
        raise SourceDataError(
            f"{path}: expected {VERTEX_COUNT} vertices and only quads, found {len(positions)} vertices"
        )
    return mesh
