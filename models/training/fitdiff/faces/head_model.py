"""Everything that is the same for all people, computed once from the source data and kept on disk."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fitdiff.faces.anatomy import Anatomy, find_anatomy
from fitdiff.faces.expressions import build_expressions
from fitdiff.faces.geometry import HeadGeometry
from fitdiff.faces.makehuman import MakeHumanData
from fitdiff.faces.topology import HeadTopology, MorphTargets, build_targets, build_topology
from fitdiff.faces.uv_domain import build_domain
from fitdiff.faces.uv_solve import UvMap, solve, subdivide_map

CACHE_VARIABLE = "FITDIFF_CACHE"

_SOURCES = ("anatomy", "expressions", "geometry", "makehuman", "pose_units", "subdivision", "topology", "uv_domain",
            "uv_solve")  # fmt: skip
"""Modules whose change makes the stored model stale."""


@dataclass(frozen=True)
class HeadModel:
    """Topology, targets, expressions and texture layout of the head.

    Attributes:
        expressions: float32 [52, V, 3], decimetres.
        digest: hash of the source data.
    """

    topology: HeadTopology
    targets: MorphTargets
    anatomy: Anatomy
    expressions: np.ndarray
    uv_map: UvMap
    digest: str


def cache_folder() -> Path:
    """Folder for derived data: ``$FITDIFF_CACHE`` or ``~/.cache/fitdiff``."""
    value = os.environ.get(CACHE_VARIABLE)
    return Path(value) if value else Path.home() / ".cache" / "fitdiff"


def load_head_model(root: Path, use_cache: bool = True) -> HeadModel:
    """Build the head model from a MakeHuman folder, or load it if it was built before (5 s)."""
    data = MakeHumanData(root)
    path = cache_folder() / f"head-{data.digest}-{code_digest(_SOURCES)}.pickle"
    if use_cache and path.exists():
        try:
            with path.open("rb") as file:
                return pickle.load(file)
        except (pickle.UnpicklingError, EOFError, AttributeError, ImportError):
            path.unlink(missing_ok=True)
    model = build_head_model(data)
    if use_cache:
        store_in_cache(path, model)
    return model


def build_head_model(data: MakeHumanData) -> HeadModel:
    """Compute the head model from source data."""
    topology = build_topology(data)
    targets = build_targets(data, topology)
    anatomy = find_anatomy(topology)
    domain = build_domain(topology, anatomy, HeadGeometry(topology, targets).average())
    return HeadModel(
        topology=topology,
        targets=targets,
        anatomy=anatomy,
        expressions=build_expressions(data, topology, targets, anatomy),
        uv_map=subdivide_map(topology, domain, solve(domain)),
        digest=data.digest,
    )


def store_in_cache(path: Path, value: object) -> None:
    """Keep a derived value for later; a cache that cannot be written only costs time."""
    with contextlib.suppress(OSError):
        store_atomically(path, pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL))


def store_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it appears only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def code_digest(modules: Sequence[str]) -> str:
    """Hash of modules of this package, so that stored results of older code are not used."""
    total = hashlib.sha256()
    for name in modules:
        total.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    return total.hexdigest()[:12]
