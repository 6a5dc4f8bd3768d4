"""Pictures to look at: truth, reconstruction and generation side by side, and unconditional samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fitdiff.learning.checkpoint import atomic_write
from fitdiff.learning.evaluate import Maps, Result, Subject, decode_maps, reconstruct, stored_maps

GAP = 4
ROWS = 8
TILE = 192


def _pictures(maps: Maps, row: int) -> list[np.ndarray]:
    """Diffuse, specular and normal map of one face as uint8 [S,S,3]."""
    normals = maps["normals"][row] * 0.5 + 0.5
    stacked = (maps["diffuse"][row], np.repeat(maps["specular"][row], 3, axis=0), normals)
    return [np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0) for values in stacked]


def _save_grid(path: Path, rows: Sequence[Sequence[np.ndarray]]) -> None:
    height, width = len(rows), max(len(row) for row in rows)
    step = TILE + GAP
    canvas = Image.new("RGB", (width * step - GAP, height * step - GAP), (32, 32, 32))
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            canvas.paste(Image.fromarray(picture).resize((TILE, TILE), Image.Resampling.LANCZOS), (x * step, y * step))
    with atomic_write(path) as file:
        canvas.save(file, "PNG")


def spread_by_tone(ita: np.ndarray, count: int) -> np.ndarray:
    """Indices of `count` identities spread evenly from the lightest to the darkest skin."""
    order = np.argsort(-ita)
    return order[np.linspace(0, len(order) - 1, min(count, len(order))).astype(int)]


def write_grids(folder: Path, subject: Subject, result: Result) -> list[Path]:
    """Write the grids as PNG files; returns their paths.

    `faces.png`: one held-out person per row, light to dark; a selfie, then diffuse, specular and normal map of the
    truth, of the reconstruction, and of the face generated from the selfie's embedding. `unconditional.png`: diffuse
    maps of random people.
    """
    count = len(result.from_embedding.shape)
    chosen = spread_by_tone(subject.test.attributes["ita"][:count], ROWS)
    truth, rebuilt = stored_maps(subject.test, chosen), reconstruct(subject, subject.test, chosen)
    generated = decode_maps(subject, result.from_embedding.reflectance[chosen])
    chips = subject.test.chips(chosen)[:, 0]
    rows = [
        [chips[row], *_pictures(truth, row), *_pictures(rebuilt, row), *_pictures(generated, row)]
        for row in range(len(chosen))
    ]
    faces, random = folder / "faces.png", folder / "unconditional.png"
    _save_grid(faces, rows)
    shown = min(len(result.unconditional.shape), ROWS * ROWS)
    samples = decode_maps(subject, result.unconditional.reflectance[:shown])
    pictures = [_pictures(samples, row)[0] for row in range(shown)]
    _save_grid(random, [pictures[start : start + ROWS] for start in range(0, shown, ROWS)])
    return [faces, random]
