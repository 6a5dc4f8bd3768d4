"""Toy data and networks for the tests of learning and export: shapes are real, content is smooth noise."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from fitdiff.faces.dataset import ATTRIBUTES, LANDMARK_COUNT, ShardSpec, save_spec, shard_path
from fitdiff.faces.template import DESCRIPTION_NAME, F16_COMPONENTS, FILE_NAME, _pack
from fitdiff.learning.config import RecipeConfig, load_config
from fitdiff.learning.data import FaceData

RECOGNISER = Path(__file__).parents[2] / "base" / "recogniser.onnx"


def toy_config() -> RecipeConfig:
    """The configuration `toy`."""
    return load_config("toy")


def write_toy_dataset(folder: Path, config: RecipeConfig, count: int, first_seed: int) -> FaceData:
    """Write a data set of `count` random identities in the real format and open it."""
    spec = ShardSpec(
        map_size=config.data.map_size,
        chips=config.data.chips,
        first_seed=first_seed,
        count=count,
        shard_size=config.data.shard_size,
    )
    _write_shards(folder, spec)
    return FaceData(folder)


def write_toy_photos(folder: Path, config: RecipeConfig) -> None:
    """Write the data set of whole photos, with noise in them, in the real format."""
    spec = ShardSpec(
        map_size=config.data.map_size,
        chips=config.regressor.photos,
        selfie_size=config.regressor.photo_size,
        count=config.regressor.identities,
        shard_size=config.data.shard_size,
    )
    _write_shards(folder, spec)
    rng = np.random.default_rng(1)
    for index in range(spec.shard_count):
        n, size = len(spec.seeds(index)), spec.selfie_size
        blocks = rng.integers(0, 255, (n, spec.chips, size // 16, size // 16, 3), dtype=np.uint8)
        path = shard_path(folder, index)
        np.save(path / "selfies.npy", blocks.repeat(16, axis=2).repeat(16, axis=3))
        points = size * (0.5 + 0.2 * rng.uniform(-1, 1, (n, spec.chips, LANDMARK_COUNT, 2)))
        np.save(path / "points.npy", points.astype(np.float32))


def _write_shards(folder: Path, spec: ShardSpec) -> None:
    rng = np.random.default_rng(spec.first_seed)
    save_spec(folder, spec)
    size = spec.map_size
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    radius = np.hypot(x, y)
    masks = {"chart": radius < 0.45, "skin": radius < 0.4, "face": radius < 0.3}
    np.savez(folder / "masks.npz", **{name: mask.astype(np.uint8) * 255 for name, mask in masks.items()})
    for index in range(spec.shard_count):
        n = len(spec.seeds(index))
        tones = rng.uniform(60, 220, (n, 6, 1, 1))
        waves = 20 * np.sin(rng.uniform(2, 9, (n, 6, 1, 1)) * x) * np.cos(rng.uniform(2, 9, (n, 6, 1, 1)) * y)
        attributes = np.zeros(n, ATTRIBUTES)
        attributes["seed"] = list(spec.seeds(index))
        attributes["ita"] = rng.uniform(-60, 70, n)
        attributes["age"] = rng.uniform(18, 80, n)
        attributes["male"] = rng.uniform(0, 1, n)
        attributes["iris"] = rng.uniform(0.02, 0.2, (n, 3))
        chips = rng.integers(0, 255, (n, spec.chips, 10, 10, 3)).repeat(15, axis=2).repeat(15, axis=3)
        path = shard_path(folder, index)
        path.mkdir(parents=True)
        np.save(path / "maps.npy", np.clip(tones + waves, 0, 255).astype(np.uint8))
        np.save(path / "shape.npy", rng.standard_normal((n, spec.components)).astype(np.float32))
        np.save(path / "chips.npy", chips.astype(np.uint8))
        np.save(path / "attributes.npy", attributes)
        (path / "shard.json").write_text(json.dumps({"spec": asdict(spec), "count": n}))


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give zero-initialised parameters small random values, so that every path of the network carries signal."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if not parameter.any():
                parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def write_toy_template(folder: Path, components: int = 120, vertices: int = 300) -> None:
    """Write a template head of random vertices in the real format."""
    rng = np.random.default_rng(0)
    scale = np.geomspace(0.02, 0.0005, components)
    leading = min(F16_COMPONENTS, components)
    basis = rng.uniform(-1, 1, (components, vertices, 3))
    scale[leading:] /= 127
    sections, content = _pack(
        {
            "positions": ("f32", 0.1 * rng.standard_normal((vertices, 3))),
            "triangles": ("u16", np.arange(vertices).reshape(-1, 3)),
            "uv": ("f32", rng.random((vertices, 2))),
            "basis_f16": ("f16", basis[:leading]),
            "basis_i8": ("i8", np.rint(127 * basis[leading:])),
            "basis_scale": ("f32", scale),
            "blendshape_start": ("u32", np.zeros(1)),
            "blendshape_vertices": ("u16", np.zeros(0)),
            "blendshape_offsets": ("f16", np.zeros((0, 3))),
            "landmark_triangles": ("u16", np.arange(LANDMARK_COUNT) % (vertices // 3)),
            "landmark_bary": ("f32", np.full((LANDMARK_COUNT, 3), 1 / 3)),
            "masks_png": ("u8", np.frombuffer(_png(), np.uint8)),
        }
    )
    description = {
        "file": {"path": FILE_NAME, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
        "vertices": vertices,
        "components": components,
        "parts": [{"name": "skin", "vertices": [0, vertices], "triangles": [0, vertices // 3]}],
        "blendshapes": [],
        "sections": sections,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE_NAME).write_bytes(content)
    (folder / DESCRIPTION_NAME).write_text(json.dumps(description))


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (255, 255, 255)).save(buffer, "PNG")
    return buffer.getvalue()
