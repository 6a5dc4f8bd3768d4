"""The generator's part of the model bundle's manifest, `bundle.json`.

The manifest names every network's file with its length and SHA-256, its inputs and outputs with name, element type,
shape and meaning, and the numbers that sampling needs. Entries that other steps wrote (the face front-end) are left
as they are.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto

from fitdiff.learning.checkpoint import atomic_write
from fitdiff.learning.errors import RecipeError

FORMAT = 1
MANIFEST = "bundle.json"
ORIGIN = "trained from synthetic faces by the recipe in models/training"

DTYPES = {TensorProto.FLOAT: "f32", TensorProto.FLOAT16: "f16", TensorProto.INT64: "i64"}


@dataclass(frozen=True)
class NetworkEntry:
    """A network as the manifest lists it."""

    file: str
    """File name below the bundle's folder."""
    meanings: dict[str, str]
    """What each input and output means, by name."""
    licence: str
    origin: str = ORIGIN
    weights: str | None = None
    """Name of the bundle's file that holds this graph's weights as ONNX external data, if they are not in the graph."""

    def describe(self, folder: Path) -> dict[str, Any]:
        """The manifest's entry, with shapes read from the graph itself."""
        path = folder / self.file
        content = path.read_bytes()
        graph = onnx.load(str(path), load_external_data=False).graph
        entry: dict[str, Any] = {
            "file": {"path": self.file, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
            "origin": self.origin,
            "licence": self.licence,
            "inputs": [self._tensor(value) for value in graph.input],
            "outputs": [self._tensor(value) for value in graph.output],
        }
        if self.weights is not None:
            entry["weights"] = self.weights
        return entry

    def _tensor(self, value: onnx.ValueInfoProto) -> dict[str, Any]:
        kind = value.type.tensor_type
        if value.name not in self.meanings:
            raise RecipeError(f"{self.file}: the meaning of '{value.name}' is not described")
        return {
            "name": value.name,
            "dtype": DTYPES[kind.elem_type],
            "shape": [dim.dim_value for dim in kind.shape.dim],
            "meaning": self.meanings[value.name],
        }


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest in a folder, or an empty dict where there is none.

    Raises:
        RecipeError: the file is not JSON or of another format version.
    """
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise RecipeError(f"{path} is not valid JSON ({error}); restore it or delete it") from error
    if manifest.get("format") != FORMAT:
        raise RecipeError(f"{path} has format {manifest.get('format')!r}, this recipe writes format {FORMAT}")
    return manifest


def update_manifest(
    folder: Path,
    name: str,
    version: str,
    licence: str,
    networks: dict[str, NetworkEntry],
    sections: dict[str, Any],
) -> dict[str, Any]:
    """Put networks and further sections into the manifest, keeping everything else; returns the manifest.

    `name`, `version` and `licence` are set only where the manifest does not state them yet.
    """
    manifest = read_manifest(folder)
    manifest.setdefault("format", FORMAT)
    manifest.setdefault("id", name)
    manifest.setdefault("version", version)
    manifest.setdefault("licence", licence)
    entries = manifest.setdefault("networks", {})
    for role, network in networks.items():
        entries[role] = network.describe(folder)
    manifest |= sections
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    with atomic_write(folder / MANIFEST) as file:
        file.write(text.encode())
    return manifest
